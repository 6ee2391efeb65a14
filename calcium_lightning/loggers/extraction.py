"""An extraction as a W&B run of its own: the cells as an artifact, and what they were made of.

Session, weights and cells are then one chain in W&B, from a recording's hash to the run that trained the
weights to the file of cells. Knows cells files and the logger; nothing of how cells were found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.cells_stream import open_cells
from calcium_lightning.loggers.make import wandb_logger
from calcium_lightning.loggers.wandb_job import WandbIdentity

#: what ``logger=wandb`` names
WANDB = "calcium_lightning.loggers.make.wandb_logger"


def check_logger(settings: Mapping[str, Any]) -> bool:
    """Whether extractions are logged.

    Raises
    ------
    InputError
        For a logger that takes no artifacts.
    """
    if settings and settings.get("_target_") != WANDB:
        raise InputError("logger=: an extraction is logged by logger=wandb, or not at all (logger=csv)")
    return bool(settings)


def plain_settings(cfg: DictConfig) -> dict[str, Any]:
    """The settings of an extraction without its logger's, in plain containers."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items() if key != "logger"}


def log_extraction(
    settings: Mapping[str, Any], cells: Path, checkpoint: Path | None, config: Mapping[str, Any]
) -> None:
    """Log a cells file that was just written.

    Parameters
    ----------
    settings : mapping
        As ``conf/logger/wandb.yaml`` has them.
    cells : Path
        The file.
    checkpoint : Path or None
        The weights; None for those in the package.
    config : mapping
        The settings of the extraction, which are the run's.
    """
    with open_cells(cells) as found:
        accepted, expected = int(found.accepted.sum()), found.false_discovery
        figures = {"cells/found": float(len(found)), "cells/accepted": float(accepted)}
        if expected is not None:
            figures["cells/expected_false"] = expected.expected_false
        facts = {
            "session": found.session,
            "session_sha256": found.session_sha256,
            "package_version": found.package_version,
            "found": len(found),
            "accepted": accepted,
        }
    identity = WandbIdentity(
        name=cells.name.removesuffix(".h5").removesuffix(".cells"),
        data={str(facts["session"]): str(facts["session_sha256"])},
        uses_model=True,
        checkpoint=checkpoint,
    )
    given = {key: value for key, value in settings.items() if key not in ("_target_", "job_type")}
    logger = wandb_logger(cells.parent, identity=identity, job_type="extract", **given)
    logger.log_hyperparams(dict(config))
    logger.log_metrics(figures, 0)
    logger.log_cells(cells, facts)
    logger.finalize("success")
