"""Which sessions a training is of.

Knows configs and files; knows nothing of training.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from calcium_lightning.command.inputs import find_inputs
from calcium_lightning.io.kind import may_be_session
from calcium_lightning.io.session import ingest_first


def training_sessions(cfg: DictConfig) -> list[Path]:
    """The sessions of ``data.sessions=``, whose folders and globs are written out in the config.

    Raises
    ------
    InputError
        As :func:`~calcium_lightning.command.inputs.find_inputs`.
    """
    given = cfg.data.get("sessions")
    if not given:
        return []
    paths = [
        item.path for item in find_inputs("data.sessions", given, may_be_session, otherwise=ingest_first)
    ]
    cfg.data.sessions = [str(path) for path in paths]
    return paths
