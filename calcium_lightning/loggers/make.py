"""Loggers besides ``metrics.csv``, given a run's folder."""

from __future__ import annotations

import netrc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from calcium_lightning.core.errors import InputError
from calcium_lightning.loggers.wandb_job import WandbIdentity

#: W&B's own server, by its names of before and since 2026
HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")
MODES = ("online", "offline", "disabled")


def wandb_mode(mode: str | None = None) -> str:
    """``WANDB_MODE``, else what was asked for, else online where an API key is configured."""
    if mode is not None and mode not in MODES:
        raise InputError(f"logger.mode={mode}: {', '.join(MODES)}")
    return os.environ.get("WANDB_MODE") or mode or ("online" if has_wandb_key() else "offline")


def has_wandb_key() -> bool:
    """Whether a key for the W&B server in use is in the environment, or was stored by ``wandb login``."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    server = urlparse(os.environ.get("WANDB_BASE_URL", "")).hostname
    try:
        known = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    return any(known.authenticators(host) is not None for host in ([server] if server else HOSTS))


def wandb_logger(
    save_dir: Path,
    project: str = "calcium-lightning",
    entity: str | None = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str = "train",
    tags: Sequence[str] = (),
    mode: str | None = None,
    init_timeout: float = 30.0,
    finish_timeout: float = 300.0,
    identity: WandbIdentity | None = None,
) -> Any:
    """W&B's logger for the job of a run's folder.

    Parameters
    ----------
    save_dir : Path
        The run's folder.
    project, entity, name, group, job_type, tags
        As in ``wandb.init``. By default the name is the run folder's, or what sets a job of a sweep apart,
        and the group is the sweep.
    mode : {"online", "offline", "disabled"}, optional
        See :func:`wandb_mode`.
    init_timeout, finish_timeout : float
        How long to wait for W&B at the beginning and for uploads at the end, seconds.
    identity : WandbIdentity, optional
        Who the run is; default: read from the folder.
    """
    try:
        import wandb  # noqa: F401
    except ImportError as error:
        raise InputError("logger=wandb needs wandb: pip install wandb") from error
    from calcium_lightning.loggers.wandb_run import WandbRun

    os.environ.setdefault("WANDB_SILENT", "true")  # it would tell what is told in one line already
    return WandbRun(
        Path(save_dir),
        wandb_mode(mode),
        init_timeout=init_timeout,
        finish_timeout=finish_timeout,
        identity=identity,
        project=project,
        entity=entity,
        name=name,
        group=group,
        job_type=job_type,
        tags=tags,
    )


def tensorboard_logger(save_dir: Path) -> Any:
    """TensorBoard's logger, writing into ``tensorboard/`` of the run's folder."""
    try:
        import tensorboard  # noqa: F401
        from lightning.pytorch.loggers import TensorBoardLogger
    except ImportError as error:
        raise InputError(
            "logger=tensorboard needs tensorboard: pip install 'calcium-lightning[tensorboard]'"
        ) from error
    return TensorBoardLogger(save_dir=str(save_dir), name="tensorboard", version="")
