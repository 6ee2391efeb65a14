"""What each command accepts: one dataclass per command, its keys typed and explained.

Hydra validates every override against these schemas, and ``--help`` prints them. Components that can be
exchanged (an encoder, a loss) are not here: they are config groups under ``conf``, and the signature of their
``_target_`` is their schema. This module must import nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MISSING = "???"


def option(
    default: Any, help: str, *, unit: str = "", path: str = "", paths: dict[str, str] | None = None
) -> Any:
    """Give a dataclass field with a default, and what ``--help`` and the checks of arguments know of it.

    Parameters
    ----------
    default : Any
        Its default; ``MISSING`` where one must be given.
    help : str
        What it is, in one line.
    unit : str
        Of its value, such as ``"Hz"``.
    path : {"", "input", "output", "either"}
        It is a path, taken as it was typed: of what the command reads, of what it makes, or of both.
    paths : dict of str to str
        The same of keys inside, where the field is a group of them.
    """
    metadata = {"help": help, "unit": unit, "path": path, "paths": paths or {}}
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
    detector: Any = option({}, "what finds cells in a frame")
    device: str = option("auto", "auto | cpu | cuda | mps")
    parts: Any = option([], "modules of parts of one's own, by name or file: [my_parts]")
    overwrite: bool = option(False, "replace an existing output")
    seed: int = option(0, "seed of everything random")
    preprocess: Any = option({}, "motion, flat field, baseline, foreground")
    localize: Any = option({}, "from localisations to cells")


@command_schema("evaluate")
@dataclass
class EvaluateConfig:
    """Cells against truth."""

    cells: Any = option(
        MISSING,
        "cells file(s), or other programs' results: a path, a list, a folder, a glob",
        path="input",
    )
    truth: Any = option(
        MISSING,
        "session file(s) with /truth, or annotators' mask(s) (.npy, .png, .mat); as many as cells files, or "
        "one",
        path="input",
    )
    unknown: Any = option(None, "pixels of the mask(s) to leave out (.npy)", path="input")
    output: Any = option(None, "write the figures there (.json) too", path="output")
    all: bool = option(False, "count rejected cells too")
    parts: Any = option([], "modules of parts of one's own, by name or file: [my_parts]")
    radius: float = option(6.0, "how far a centre may lie from the true one, pixels", unit="pixels")
    overwrite: bool = option(False, "replace an existing output")


@dataclass
class NwbConfig:
    """What NWB wants to know and a cells file doesn't."""

    session_start_time: str | None = option(
        None, "ISO 8601; default: as the recorder noted it, or when the session file was last changed"
    )
    masks: str = option("pixel", "footprints as pixel lists or whole images: pixel | image")
    localizations: bool = option(False, "write every localisation in every frame too")
    indicator: str = option("unknown", "calcium indicator, such as GCaMP6f")
    location: str = option("unknown", "brain area")
    device: str | None = option(None, "what recorded it; default: as the recorder noted it")
    excitation_nm: float | None = option(None, "wavelength, nm", unit="nm")
    emission_nm: float | None = option(None, "wavelength, nm", unit="nm")
    subject_id: str | None = option(None, "the animal's name; default: as the recorder noted it")
    species: str | None = option(None, "such as Mus musculus")
    sex: str | None = option(None, "M | F | U | O")
    age: str | None = option(None, "ISO 8601, such as P90D")
    strain: str | None = option(None, "such as C57BL/6J")
    genotype: str | None = option(None, "such as Thy1-GCaMP6f")
    subject_description: str | None = option(None, "of the animal, in words")
    experimenter: str | None = option(None, "Last, First")
    lab: str | None = option(None, "laboratory")
    institution: str | None = option(None, "institution")
    session_description: str | None = option(None, "what was done in the session")
    experiment_description: str | None = option(
        None, "what the experiment is for; default: as the recorder noted it"
    )


@command_schema("export")
@dataclass
class ExportConfig:
    """Cells to other formats."""

    cells: Any = option(
        MISSING,
        "cells file(s), or other programs' results: a path, a list, a folder, a glob",
        path="input",
    )
    output: Any = option(
        None,
        "file or folder, whose ending says the format: X.nwb, .csv, .mat, ...; a folder: CSV tables",
        path="output",
    )
    format: str | None = option(
        None,
        "nwb | csv | parquet | mat | suite2p | caiman | minian | cellreg | netcdf | imagej | "
        "napari | mp4 | tiff | zarr (the movie), or one of parts=; default: by the output's ending",
    )
    behavior: Any = option(
        None,
        "time stamps of a behaviour camera (its folder, or a table), or a table of events: into NWB",
        path="input",
    )
    session: Any = option(
        None, "for a movie, the cells' recording; default: where the cells file says", path="input"
    )
    outlines: bool = option(False, "draw the cells into an MP4")
    rejected: bool = option(False, "write cells that failed the quality tests too (marked as such)")
    tracks: Any = option(
        None, "tracks file: adds to each cell its track, the same in all sessions", path="input"
    )
    parts: Any = option([], "modules of parts of one's own, by name or file: [my_parts]")
    overwrite: bool = option(False, "replace an existing output")
    nwb: NwbConfig = field(
        default_factory=NwbConfig,
        metadata={
            "help": "nwb.session_start_time=, .masks=pixel|image, .indicator=, .subject_id=, ... (--cfg job)"
        },
    )


@command_schema("ingest")
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
        None, "order of an array's axes, such as tyx or tcyx (c channels, z planes), where no file says"
    )
    channel: int | None = option(None, "which of several channels, from 0")
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
    preprocess: Any = option(None, "published: the published chain, raw to ΔF/F; truth= is then of its field")
    compression: str = option("none", "of the frames: none | gzip | lz4")
    parts: Any = option([], "modules of parts of one's own, by name or file: [my_parts]")
    overwrite: bool = option(False, "replace an existing output")


@command_schema("simulate")
@dataclass
class SimulateConfig:
    """A synthetic session with ground truth."""

    output: Any = option(None, "session file (.h5), or a folder for it; default: here", path="output")
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


@command_schema("train")
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


@command_schema("report")
@dataclass
class ReportConfig:
    """Cells on one page."""

    cells: Any = option(
        MISSING,
        "cells file(s), or other programs' results: a path, a list, a folder, a glob",
        path="input",
    )
    output: Any = option(None, "page (.html); a folder when there are several; default: here", path="output")
    metrics: Any = option(
        None, "figures of these cells, as evaluate's output=METRICS.json wrote them", path="input"
    )
    overwrite: bool = option(False, "replace an existing output")


@command_schema("curate")
@dataclass(init=False, repr=False, eq=False)  # no name of an argument may be "from"
class CurateConfig:
    """Cells decided by hand."""

    cells: Any = option(MISSING, "cells file; what is decided is kept in it", path="either")
    session: Any = option(None, "its session file: for the movie, and to regress new cells on", path="input")
    __annotations__["from"] = "Any"
    vars()["from"] = option(
        None,
        "decisions to take over, by place: DECISIONS.json from the page, or a curated file",
        path="input",
    )
    who: str | None = option(None, "who decides; default: the user's name")
    open: bool = option(True, "open the page in the browser; false only prints its address")
    port: int = option(0, "of the page, on this machine only; 0 takes a free one")
    serve: bool = option(True, "false: take from= over and end, without a page")


@command_schema("track")
@dataclass
class TrackConfig:
    """The same cells across sessions."""

    cells: Any = option(
        MISSING,
        "cells files of one animal: a list [A.h5,B.h5], a folder, or a glob in quotes; footprints "
        "of CaImAn, Suite2p, Minian and CellReg too",
        path="input",
    )
    output: Any = option(None, "tracks file (.h5); default: tracks.h5 here", path="output")
    page: Any = option(None, "a page to look at (.html)", path="output")
    csv: Any = option(None, "the tracks as a table (.csv)", path="output")
    cellreg: Any = option(
        None, "as CellReg writes them (.mat): footprints and cell_to_index_map", path="output"
    )
    p: float = option(0.5, "least probability that a cell belongs to its track")
    rejected: bool = option(False, "take the cells that failed the quality tests too")
    overwrite: bool = option(False, "replace existing outputs")


@command_schema("watch")
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


@command_schema("compare")
@dataclass
class CompareConfig:
    """Runs side by side."""

    runs: Any = option(MISSING, "folder of a sweep or of runs, a glob of them, or a list", path="input")
    metric: str | None = option(None, "what to order by; default: what chose the best checkpoints")
    mode: str | None = option(None, "what of it is best: min | max; default: by the metric")
    output: Any = option(None, "page (.html) or a folder for it; default: here", path="output")
    table: Any = option(None, "table (.csv); default: beside the page", path="output")
    overwrite: bool = option(False, "replace existing outputs")


@command_schema("dashboard")
@dataclass
class DashboardConfig:
    """The W&B workspace of a project."""

    project: str = option("calcium-lightning", "the W&B project, as in logger.project=")
    entity: str | None = option(None, "user or team; default: the API key's own")
    name: str = option("Calcium Lightning", "of the saved view")
    group: str | None = option(None, "only the runs of this sweep")
    parameters: Any = option([], "config keys on the axes of the sweep: [seed,optimizer.lr,choices.encoder]")
    columns: Any = option([], "beside the runs' names: [summary:val/f1.max,config:seed]")
    sections: Any = option([], "panels, by section (--cfg job)")
    dry_run: bool = option(False, "print the workspace and send nothing")
    url: str | None = option(None, "a saved view to replace, with overwrite=true")
    overwrite: bool = option(False, "replace the view at url=")
