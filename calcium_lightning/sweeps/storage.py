"""Where a study is kept, and how several processes take turns at it. Knows Optuna, and nothing of Hydra."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from calcium_lightning.core.errors import InputError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL

POSTGRESQL = "postgresql://USER@HOST/NAME"
#: how long a process waits for others that write, seconds
PATIENCE_S = 60


def require_optuna() -> None:
    """Tell at once what is missing.

    Raises
    ------
    InputError
        If Optuna isn't installed.
    """
    try:
        import optuna  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"sweep=optuna: {error.name} isn't installed; pip install 'calcium-lightning[optuna]'"
        ) from error


def _parsed(url: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputError(f"hydra.sweeper.storage={url}: sqlite:///FILE or {POSTGRESQL}") from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql") or not parsed.database:
        shown = parsed.render_as_string(hide_password=True)
        raise InputError(f"hydra.sweeper.storage={shown}: sqlite:///FILE or {POSTGRESQL}")
    return parsed


def absolute(url: str) -> str:
    """A SQLite URL with an absolute path, as jobs may run in other folders; others stay.

    Raises
    ------
    InputError
        If it is no SQLite or PostgreSQL URL.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        return url
    path = str(Path(str(parsed.database)).expanduser().resolve())
    return parsed.set(database=path).render_as_string(hide_password=False)


def shown(url: str) -> str:
    """A URL without its password."""
    return _parsed(url).render_as_string(hide_password=True)


def open_storage(url: str) -> RDBStorage:
    """Open, and make if needed, the database of studies. Who may be the first does it in his :func:`turn`.

    Raises
    ------
    InputError
        If it can't be opened.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    if _parsed(url).get_backend_name() == "sqlite":
        settings: dict[str, Any] = {"connect_args": {"timeout": PATIENCE_S}}
    else:
        settings = {"pool_pre_ping": True}
    try:
        return RDBStorage(url, engine_kwargs=settings)
    except (SQLAlchemyError, ImportError, OSError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"hydra.sweeper.storage={shown(url)}: can't be opened ({line})") from error


@contextmanager
def turn(url: str) -> Iterator[None]:
    """Be the only process that changes the trials' list; others wait.

    A file lock beside a SQLite file, an advisory lock of a PostgreSQL server. Both end with the process.
    """
    from sqlalchemy import create_engine, text

    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(f"{parsed.database}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path):
            yield
        return
    key = int.from_bytes(hashlib.sha256(b"calcium-lightning").digest()[:7], "big")
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
            yield
    finally:
        engine.dispose()
