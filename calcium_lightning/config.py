"""What each command accepts: one dataclass per command, its keys typed and explained.

Hydra validates every override against these schemas, and ``--help`` prints them. Components that can be
exchanged (an encoder, a loss) are not here: they are config groups under ``conf``, and the signature of their
``_target_`` is their schema. This module must import nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MISSING = "???"


def option(default: Any, help: str) -> Any:
    """Give a dataclass field with a default and the line that ``--help`` shows for it."""
    metadata = {"help": help}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


#: command name -> schema; filled by :func:`command_schema`
SCHEMAS: dict[str, type] = {}


def command_schema(name: str) -> Any:
    """Register a dataclass as the schema of the command ``name``."""

    def register(schema: type) -> type:
        SCHEMAS[name] = schema
        return schema

    return register


@command_schema("extract")
@dataclass
class ExtractConfig:
    """Cells of one or many sessions."""

    session: Any = option(MISSING, "session file(s), one path or a list [A.h5,B.h5]")
    output: Any = option(None, "cells file (.h5); a folder when there are several sessions; default: the run's folder")
    checkpoint: Any = option(None, "a trained model (.ckpt or .safetensors); default: the weights in the package")
    cell_diameter: Any = option(None, "full width at half maximum of a typical footprint, pixels; default: estimated")
    cell_diameter_um: Any = option(None, "the same in micrometres, for sessions that know their pixel size")
    fps: Any = option(None, "frame rate, Hz, in place of the session's")
    pixel_size_um: Any = option(None, "micrometres per pixel, in place of the session's")
    detector: str = option("network", "what finds cells in a frame: network | bandpass (the baseline)")
    device: str = option("auto", "auto | cpu | cuda | mps")
    overwrite: bool = option(False, "replace an existing output")
    seed: int = option(0, "seed of everything random")
    preprocess: Any = option({}, "motion, flat field, baseline, foreground")
    localize: Any = option({}, "from localisations to cells")


@command_schema("evaluate")
@dataclass
class EvaluateConfig:
    """Cells against truth."""

    cells: Any = option(MISSING, "cells file(s), one path or a list [A.h5,B.h5]")
    truth: Any = option(MISSING, "session file(s) with /truth, or annotators' mask(s) (.npy); one per cells file, or one")
    unknown: Any = option(None, "pixels of the mask(s) to leave out (.npy)")
    output: Any = option(None, "write the figures there (.json) too")
    all: bool = option(False, "count rejected cells too")
    radius: float = option(6.0, "how far a centre may lie from the true one, pixels")
    overwrite: bool = option(False, "replace an existing output")
