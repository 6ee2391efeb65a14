"""What the commands accept that go on from cells or runs: one dataclass per command.

The others, and the table of all, are in :mod:`calcium_lightning.command.schemas`. This module must import
nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from calcium_lightning.command.option import MISSING, option


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
    fps: float | None = option(
        None, "frame rate of another program's results, which may not say it", unit="Hz"
    )
    pixel_size_um: float | None = option(
        None, "micrometres per pixel of another program's results", unit="µm"
    )
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


@dataclass(init=False, repr=False, eq=False)  # no name of an argument may be "from"
class CurateConfig:
    """Cells decided by hand."""

    cells: Any = option(MISSING, "cells file; what is decided is kept in it", path="either")
    session: Any = option(None, "its session file: for the movie, and to regress new cells on", path="input")
    tracks: Any = option(
        None, "tracks file: what these cells are on other days; decisions about that go there", path="either"
    )
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


@dataclass(init=False, repr=False, eq=False)  # no name of an argument may be "from"
class TrackConfig:
    """The same cells across sessions."""

    cells: Any = option(
        None,
        "cells files of one animal: a list [A.h5,B.h5], a folder, or a glob in quotes; footprints "
        "of CaImAn, Suite2p, Minian and CellReg too; required without tracks=",
        path="input",
    )
    tracks: Any = option(
        None,
        "tracks file that is there already: page=, csv= and cellreg= are of it as it stands, links decided "
        "by hand included, and nothing is tracked; cells= says where its sessions' files are now",
        path="input",
    )
    __annotations__["from"] = "Any"
    vars()["from"] = option(
        None,
        "earlier tracks file, of fewer days perhaps: links decided by hand there are taken over",
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
    search: Any = option(
        None,
        "folder: look for cells that a session lacks in its recording; cells files with those go there",
        path="output",
    )
    sessions: Any = option(
        None,
        "recordings for search=, in the order of cells=; default: as the cells files say",
        path="input",
    )
    overwrite: bool = option(False, "replace existing outputs")


@dataclass
class CompareConfig:
    """Runs side by side."""

    runs: Any = option(None, "folder of a sweep or of runs, a glob of them, or a list", path="input")
    cells: Any = option(
        None,
        "in place of runs: several programs' cells of one recording, [OURS.h5,suite2p/plane0,CAIMAN.hdf5]",
        path="input",
    )
    truth: Any = option(None, "for cells: a session file with /truth, or an annotator's mask", path="input")
    radius: float = option(6.0, "for cells: how far centres of one cell may lie apart, pixels", unit="pixels")
    metric: str | None = option(None, "what to order by; default: what chose the best checkpoints")
    mode: str | None = option(None, "what of it is best: min | max; default: by the metric")
    output: Any = option(None, "page (.html) or a folder for it; default: here", path="output")
    table: Any = option(None, "table (.csv); default: beside the page", path="output")
    overwrite: bool = option(False, "replace existing outputs")


@dataclass
class DashboardConfig:
    """The W&B workspace of a project."""

    project: str = option("calcium-lightning", "the W&B project, as in logger.project=")
    entity: str | None = option(None, "user or team; default: the API key's own")
    name: str = option("Calcium Lightning", "of the saved view")
    group: str | None = option(None, "only the runs of this sweep")
    parameters: list[str] = option(
        [], "config keys on the axes of the sweep: [seed,optimizer.lr,choices.encoder]"
    )
    columns: list[str] = option([], "beside the runs' names: [summary:val/f1.max,config:seed]")
    sections: list[Any] = option([], "panels, by section (--cfg job)")
    report: str | None = option(None, "title: make a report on the runs, to fill in, in place of a workspace")
    questions: dict[str, str] = option({}, "what a report answers, heading by heading (--cfg job)")
    dry_run: bool = option(False, "print the workspace or report, and send nothing")
    url: str | None = option(None, "a saved view to replace, with overwrite=true")
    overwrite: bool = option(False, "replace the view at url=")
