"""Where a study is kept, and how several processes take turns at it. Knows Optuna, and nothing of Hydra."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from calcium_lightning.errors import InputError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

#: how long a process waits for others that write, seconds
PATIENCE_S = 60


def absolute(url: str) -> str:
    """A SQLite URL with an absolute path: jobs may run in other folders. Others stay."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return url
    path = str(Path(parsed.database).expanduser().resolve())
    return parsed.set(database=path).render_as_string(hide_password=False)


def shown(url: str) -> str:
    """A URL without its password."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def open_storage(url: str) -> RDBStorage:
    """Open, and make if needed, the database of studies.

    Raises
    ------
    InputError
        If it is no SQLite or PostgreSQL URL, or can't be opened.
    """
    try:
        from optuna.storages import RDBStorage
        from sqlalchemy import make_url
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise InputError(
            f"sweep=optuna: {error.name} isn't installed; pip install 'calcium-lightning[optuna]'"
        ) from error
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
        if kind not in ("sqlite", "postgresql"):
            raise InputError(
                f"hydra.sweeper.storage={shown(url)}: sqlite:///FILE or postgresql://USER@HOST/NAME"
            )
        if kind == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": PATIENCE_S}})
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except (SQLAlchemyError, ImportError, OSError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"hydra.sweeper.storage={url}: can't be opened ({line})") from error


@contextmanager
def turn(url: str) -> Iterator[None]:
    """Be the only process that changes the trials' list; others wait.

    A file lock beside a SQLite file, an advisory lock of a PostgreSQL server. Both end with the process.
    """
    from sqlalchemy import create_engine, make_url, text

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(f"{parsed.database}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
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
