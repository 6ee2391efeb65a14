"""What only a user's own processes know, so that none of them takes orders from a stranger on the network.

An order names the config of a job, and a config names code. torch's key-value store, by which the processes
of several machines meet, takes what anyone sends; so orders are signed (HMAC, RFC 2104) with a secret of the
user's, and with a number that the follower has drawn for this run: an older order is worth nothing.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path

from calcium_lightning.core import system
from calcium_lightning.core.errors import InputError

VARIABLE = "CALCIUM_LIGHTNING_SECRET"


def secret() -> bytes:
    """The text of ``CALCIUM_LIGHTNING_SECRET``, or a random one that the user's cache folder keeps.

    Raises
    ------
    InputError
        If there is no such folder, or others may read what it keeps.
    """
    if given := os.environ.get(VARIABLE):
        return given.encode()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = cache / "calcium_lightning" / "secret"
    try:
        if not file.exists():
            _make(file)
        known = file.stat()
        if not system.is_own(known) or (not system.WINDOWS and known.st_mode & 0o077):
            raise InputError(f"{file}: others may read or change it; delete it, and a new one is made")
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file}: {error.strerror}; {VARIABLE}= (the same text for all processes) does without it"
        ) from error


def _make(file: Path) -> None:
    """Write a new secret, whole at once: processes that start together all read the first one's."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.BINARY, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_hex(32).encode())
        with contextlib.suppress(FileExistsError):
            os.link(own, file)
    finally:
        own.unlink()


def sign(message: bytes, key: str, drawn: bytes) -> bytes:
    """A message with its signature in front.

    Parameters
    ----------
    message : bytes
        What is said.
    key : str
        Under which it is said: it is valid there only.
    drawn : bytes
        The number that its reader has drawn.
    """
    return _signature(message, key, drawn) + b" " + message


def verified(signed: bytes, key: str, drawn: bytes) -> bytes | None:
    """The message, if one's own process signed it; otherwise ``None``."""
    signature, _, message = signed.partition(b" ")
    return message if hmac.compare_digest(signature, _signature(message, key, drawn)) else None


def _signature(message: bytes, key: str, drawn: bytes) -> bytes:
    said = b"\0".join((key.encode(), drawn, message))
    return hmac.new(secret(), said, "sha256").hexdigest().encode()
