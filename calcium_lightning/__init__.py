"""Neurons in one-photon calcium imaging: analysis by synthesis with learnable coordinates.

    cells = calcium_lightning.extract(frames, fps=20)

Importing the package imports none of its rooms: commands start fast, and each name of the face loads what
it needs when it is first used. ``extract``, ``evaluate``, ``export`` and ``track`` are commands too
(``python -m calcium_lightning.extract``).

The rooms, in the direction in which data flow: ``io`` (recordings, sessions) → ``preprocess`` (frames) →
``data`` (windows) → ``nn`` and ``localize`` (localisations, cells) → ``core.cells``, ``io`` and ``pages``
(files and pages).
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from calcium_lightning.core.conveniences import register
from calcium_lightning.core.version import __version__ as __version__

if TYPE_CHECKING:
    from calcium_lightning.core.cells import Cells
    from calcium_lightning.exports import export
    from calcium_lightning.io.array_session import ArraySession
    from calcium_lightning.io.readers.formats import open_recording
    from calcium_lightning.io.results.table import read_cells
    from calcium_lightning.io.session import Session
    from calcium_lightning.io.tracks_file import read_tracks
    from calcium_lightning.metrics.evaluation import evaluate
    from calcium_lightning.pipeline import extract, load_model
    from calcium_lightning.simulation.scene import Scene
    from calcium_lightning.tracking.track import track

__all__ = [
    "ArraySession",
    "Cells",
    "Scene",
    "Session",
    "evaluate",
    "export",
    "extract",
    "load_model",
    "open_recording",
    "read_cells",
    "read_tracks",
    "track",
]

#: where each name of the face is
_FACE = {
    "ArraySession": "io.array_session",
    "Cells": "core.cells",
    "Scene": "simulation.scene",
    "Session": "io.session",
    "load_model": "pipeline",
    "open_recording": "io.readers.formats",
    "read_cells": "io.results.table",
    "read_tracks": "io.tracks_file",
}
#: what cells offer, and who does it (:mod:`calcium_lightning.core.conveniences`)
_CONVENIENCES = {
    "html": ("pages.notebook", "cells_html"),
    "plot": ("pages.notebook", "plot_cells"),
    "to_csv": ("io.writers.csv", "to_csv"),
    "to_nwb": ("io.writers.nwb", "to_nwb"),
}
#: modules that are commands and, called, functions of the face
_COMMANDS = ("evaluate", "export", "extract", "track")


def _later(room: str, name: str) -> Callable[..., Any]:
    """A function of a room, which is imported when it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(f"{__name__}.{room}"), name)(*args, **kwargs)

    return call


for _name, _where in _CONVENIENCES.items():
    register(_name, _later(*_where))


def __getattr__(name: str) -> Any:
    if name in _COMMANDS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_FACE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
