"""What each command accepts: one dataclass per command, its keys typed and explained.

Hydra validates every override against these schemas, and ``--help`` prints them. Components that can be
exchanged (an encoder, a loss) are not here: they are config groups under ``conf``, and the signature of their
``_target_`` is their schema. This module must import nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calcium_lightning.command.option import MISSING, option
from calcium_lightning.command.schemas_of_results import (
    CompareConfig,
    CurateConfig,
    DashboardConfig,
    EvaluateConfig,
    ExportConfig,
    ReportConfig,
    TrackConfig,
)


@dataclass
class ExtractConfig:
    """Cells of one or many sessions."""

    session: Any = option(
        MISSING, "session file(s): a path, a list [A.h5,B.h5], a folder, or a glob in quotes", path="input"
    )
    output: Any = option(
        None,
        "cells file (.h5); a folder when there are several sessions; default: here",
        path="output",
    )
    checkpoint: Any = option(
        None,
        "a trained model (.ckpt or .safetensors); default: the weights in the package",
        path="input",
    )
    cell_diameter: Any = option(
        None,
        "full width at half maximum of a typical footprint, pixels; default: estimated",
        unit="pixels",
    )
    cell_diameter_um: Any = option(
        None, "the same in micrometres, for sessions that know their pixel size", unit="µm"
    )
    fps: Any = option(None, "frame rate, Hz, in place of the session's", unit="Hz")
    pixel_size_um: Any = option(None, "micrometres per pixel, in place of the session's", unit="µm")
    field: Any = option(
        None,
        "which pixels show tissue, a mask (.npy .png .tif); default: the session's, or found",
        path="input",
    )
    bridge_bad_frames: bool = option(
        False, "bridge traces over frames that hold no picture, where they are nan otherwise"
    )
    fdr: Any = option(0.05, "greatest share of false cells among the accepted, by the recording's twin")
    curated: Any = option(
        None, "cells files that a person has curated: the score learns from the decisions", path="input"
    )
    detector: Any = option({}, "what finds cells in a frame")
    device: str = option("auto", "auto | cpu | cuda | mps")
    parts: Any = option([], "modules of parts of one's own, by name or file: [my_parts]")
    overwrite: bool = option(False, "replace an existing output")
    seed: int = option(0, "seed of everything random")
    preprocess: Any = option({}, "motion, flat field, baseline, foreground")
    logger: Any = option({}, "wandb: the cells as an artifact of W&B, with what they were made of")
    localize: Any = option({}, "from localisations to cells")


@dataclass
class IngestConfig:
    """A recording to a session file."""

    input: Any = option(
        MISSING, "recording(s): a file or folder, a list [A.avi,B.avi], or a glob in quotes", path="input"
    )
    output: Any = option(
        None,
        "session file (.h5); a folder when there are several inputs; default: here",
        path="output",
    )
    key: str | None = option(
        None, "dataset of an HDF5 or NWB file, variable of a .mat; default: the only one that fits"
    )
    axes: str | None = option(
        None,
        "order of an array's axes, such as tyx, yxt or tcyx (c channels, z planes), where no file says "
        "(default: tyx or yxt by the look of the frames)",
    )
    channel: int | None = option(None, "which of several channels, from 0")
    interleaved: int = option(
        1, "so many channels or planes take turns, frame by frame: channel= is which; fps= is of all frames"
    )
    plane: int | None = option(None, "which of several planes, from 0")
    shape: Any = option(
        None, "[T,H,W] or [H,W] of a file of nothing but numbers; dtype= is then what they are"
    )
    fps: float | None = option(None, "frame rate of the recording, Hz; default: from the file", unit="Hz")
    pixel_size_um: float | None = option(
        None,
        "micrometres per pixel of the recording; default: from the file",
        unit="µm",
    )
    kind: str | None = option(None, "raw (sensor counts) | dff; default: from the file, or raw")
    motion_corrected: bool | None = option(
        None, "motion was removed already; default: from the file, or false"
    )
    crop: Any = option(None, "[y0,y1,x0,x1]: keep these rows and columns, pixels")
    bin: int = option(1, "average blocks of so many pixels along each side")
    temporal_bin: int = option(1, "average so many frames into one")
    start: int = option(0, "first frame")
    stop: int | None = option(None, "the frame after the last")
    dtype: str | None = option(
        None, "uint8 | uint16 | float32; default: the recording's integers, float32 for averages"
    )
    truth: Any = option(
        None,
        "annotators' mask or footprints of the whole field (.npy .png .mat .h5), one for each input",
        path="input",
    )
    truth_key: str | None = option(None, "dataset or variable of the truth's file")
    join: bool = option(
        False, "one session of all inputs, in their order: levels matched, pauses kept in the time stamps"
    )
    timestamps: bool = option(True, "take the recording's time stamps along")
    field: Any = option(
        None,
        "which pixels show tissue, a mask of the whole field (.npy .png .tif); default: found",
        path="input",
    )
    behavior: Any = option(
        None,
        "time stamps of a behaviour camera (its folder, or a table), or a table of events: kept in its clock",
        path="input",
    )
    preprocess: Any = option(None, "published: the published chain, raw to ΔF/F; truth= is then of its field")
    compression: str = option("none", "of the frames: none | gzip | lz4")
    parts: Any = option([], "modules of parts of one's own, by name or file: [my_parts]")
    overwrite: bool = option(False, "replace an existing output")


@dataclass
class SimulateConfig:
    """A synthetic session with ground truth."""

    output: Any = option(
        None, "session file (.h5), or a folder for it or for several days; default: here", path="output"
    )
    seed: int = option(0, "the same seed and settings give the same file")
    fps: float | None = option(None, "frame rate, Hz, in place of the preset's", unit="Hz")
    pixel_size_um: float | None = option(None, "micrometres per pixel, in place of the preset's", unit="µm")
    cell_diameter: float | None = option(
        None,
        "full width at half maximum of a typical cell, pixels, in place of the preset's",
        unit="pixels",
    )
    cell_diameter_um: float | None = option(None, "the same in micrometres", unit="µm")
    compression: str = option("none", "of the frames: none | gzip | lz4")
    overwrite: bool = option(False, "replace an existing output")
    simulation: Any = option(
        {}, "the scene: simulation.seconds=, .height_px=, .brightness=, ... (--cfg job shows all)"
    )
    days: Any = option(
        {}, "several: days of one animal, a session each; days.count=, .turnover=, .drift_px=, ..."
    )


@dataclass
class TrainConfig:
    """Train on one or many sessions."""

    seed: int = option(0, "seed of everything random")
    cell_diameter: Any = option(
        None, "full width at half maximum of a typical footprint, pixels", unit="pixels"
    )
    cell_diameter_um: Any = option(
        None, "the same in micrometres, for sessions that know their pixel size", unit="µm"
    )
    fps: Any = option(None, "frame rate, Hz, in place of the sessions'", unit="Hz")
    pixel_size_um: Any = option(None, "micrometres per pixel, in place of the sessions'", unit="µm")
    ckpt_path: Any = option(
        None, "go on with a run that was broken off: RUN/checkpoints/last.ckpt", path="either"
    )
    weights: Any = option(
        None, "start from trained weights: default (the package's), .ckpt or .safetensors", path="input"
    )
    fresh: bool = option(False, "run anew what was finished or begun before, in a new folder")
    parts: Any = option([], "modules of parts of one's own, by name or file: [my_parts]")
    overwrite: bool = option(False, "replace a run that is in the folder already; implies fresh")
    window: Any = option({}, "what the network sees of time: window.taps= over window.seconds=")
    data: Any = option(
        {},
        "sessions (data.sessions=[A.h5,B.h5], a folder, or a glob in quotes), splits, batches, augmentation",
        paths={"sessions": "input", "folder": "output"},
    )
    preprocess: Any = option({}, "motion, background, baseline, noise")
    model: Any = option({}, "how the parts are put together")
    encoder: Any = option({}, "windows to features")
    head: Any = option({}, "features to coordinates")
    painter: Any = option({}, "a coordinate to its dot (model=published)", paths={"weights": "input"})
    decoder: Any = option({}, "coordinates to a picture")
    background: Any = option({}, "what is smooth in the picture")
    layer: Any = option({}, "plain convolution or CoordConv (+experiment=coordconv_*)")
    split: Any = option({}, "which places are held out (data=not_so_clevr)")
    loss: Any = option({}, "what is learned from")
    optimizer: Any = option({}, "how")
    scheduler: Any = option({}, "the learning rate over the run")
    trainer: Any = option({}, "where and how long: trainer.max_epochs=")
    callbacks: Any = option({}, "checkpoints, early stopping, pictures")
    logger: Any = option({}, "besides metrics.csv")


@dataclass
class WatchConfig:
    """Activity of cells while they are recorded."""

    input: Any = option(
        MISSING, "folder into which 0.avi, 1.avi, ... are recorded, or an HDF5 file that grows", path="input"
    )
    output: Any = option(MISSING, "cells file (.h5), written when the recording is over", path="output")
    fps: Any = option(MISSING, "frame rate", unit="Hz")
    cell_diameter: Any = option(
        None, "full width at half maximum of a typical footprint; default: estimated", unit="pixels"
    )
    cell_diameter_um: Any = option(None, "the same in micrometres, with pixel_size_um=", unit="µm")
    pixel_size_um: Any = option(None, "micrometres per pixel", unit="µm")
    lines: Any = option(None, "file of lines frame,cell,activity; default: standard output", path="output")
    outlet: str | None = option(None, "tcp://127.0.0.1:5555 (ZeroMQ publishes there) | lsl")
    lsl_cells: int = option(512, "channels of the stream with outlet=lsl")
    beginning_s: float = option(60.0, "what is looked at before there are cells", unit="s")
    search_s: float = option(60.0, "how often new cells are sought; 0: never", unit="s")
    patience_s: float = option(10.0, "the recording is over when nothing has come for so long", unit="s")
    key: str = option("frames", "dataset of an HDF5 file")
    device: str = option("auto", "of what finds cells: auto | cpu | cuda | mps")
    overwrite: bool = option(False, "replace existing outputs")


#: command name -> schema
SCHEMAS: dict[str, type] = {
    "extract": ExtractConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
    "ingest": IngestConfig,
    "simulate": SimulateConfig,
    "train": TrainConfig,
    "watch": WatchConfig,
    "report": ReportConfig,
    "curate": CurateConfig,
    "track": TrackConfig,
    "compare": CompareConfig,
    "dashboard": DashboardConfig,
}
