"""Loggers besides ``metrics.csv``, given a run's folder."""

from __future__ import annotations

import netrc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from calcium_lightning.errors import InputError

MODES = ("online", "offline", "disabled")


def wandb_mode(mode: str | None = None) -> str:
    """``WANDB_MODE``, else what was asked for, else online where an API key is configured."""
    if mode is not None and mode not in MODES:
        raise InputError(f"logger.mode={mode}: {', '.join(MODES)}")
    return os.environ.get("WANDB_MODE") or mode or ("online" if _has_key() else "offline")


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def wandb_logger(
    save_dir: Path,
    project: str = "calcium-lightning",
    entity: str | None = None,
    name: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
    mode: str | None = None,
) -> Any:
    """W&B's logger, writing into the run's folder.

    Parameters
    ----------
    save_dir : Path
        The run's folder.
    project, entity, name, group, tags
        As in ``wandb.init``; the name is the run folder's by default.
    mode : {"online", "offline", "disabled"}, optional
        See :func:`wandb_mode`.
    """
    try:
        import wandb
        from lightning.pytorch.loggers import WandbLogger
    except ImportError as error:
        raise InputError("logger=wandb needs wandb: pip install wandb") from error
    os.environ.setdefault("WANDB_SILENT", "true")  # Lightning hands over a setting that W&B warns of
    return WandbLogger(
        save_dir=str(save_dir),
        project=project,
        entity=entity,
        name=name or save_dir.name,
        group=group,
        tags=list(tags),
        mode=wandb_mode(mode),  # Lightning's offline=True would set WANDB_MODE for the rest of the process
        settings=wandb.Settings(silent=True, console="off"),
        log_model=False,
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
