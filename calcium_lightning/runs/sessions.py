"""Which sessions a training is of.

Knows configs and files; knows nothing of training.
"""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig

from calcium_lightning.command.inputs import find_inputs
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.kind import may_be_session
from calcium_lightning.io.session import ingest_first


def training_sessions(cfg: DictConfig) -> list[Path]:
    """The sessions of ``data.sessions=``, each once, whose folders and globs are written out in the config.

    Raises
    ------
    InputError
        As :func:`~calcium_lightning.command.inputs.find_inputs`, and if none is named.
    """
    given = cfg.data.get("sessions")
    if given is None:  # of data that are made up
        return []
    if not given:
        raise InputError(f"data.sessions={given}: no session to learn from; data.sessions=[A.h5,B.h5]")
    found = find_inputs("data.sessions", given, may_be_session, otherwise=ingest_first)
    once: dict[Path, Path] = {}
    for item in found:
        once.setdefault(item.path.resolve(), item.path)
    paths = list(once.values())
    if twice := len(found) - len(paths):
        print(f"data.sessions: {twice} named twice; each counts once", file=sys.stderr)
    cfg.data.sessions = [str(path) for path in paths]
    return paths
