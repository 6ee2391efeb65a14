"""The commands of the campaigns, and the files that each of them reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from helpers.tiny_training import TINY

#: a training that takes a second
TRAIN = (*TINY, "trainer=cpu")


@dataclass(frozen=True)
class Case:
    """A command and the files that it reads.

    Attributes
    ----------
    name : str
    command : str
        Entry point.
    arguments : tuple of str
        As typed in the folder that holds the files.
    files : tuple of str
        That are copied into that folder; the first are the ones that are damaged.
    damaged : int
        How many of them.
    output : str
        What a run that went well leaves; empty for none.
    weight : int
        How often it is tried, in proportion: those that take long are tried less.
    changes : str
        A file that it may change when it goes well: ``curate`` keeps decisions in the cells file.
    """

    name: str
    command: str
    arguments: tuple[str, ...]
    files: tuple[str, ...]
    damaged: int = 1
    output: str = ""
    weight: int = 2
    changes: str = ""


def _ingest(
    name: str,
    file: str,
    *more: str,
    beside: tuple[str, ...] = (),
    first: tuple[str, ...] = (),
    weight: int = 2,
) -> Case:
    """A recording that is damaged, with files ``beside`` it, or only those that come ``first``."""
    arguments = (f"input={file}", "output=out.h5", *more)
    files = (*first, file) if not file.startswith("[") else first
    damaged = len(first) or 1 + len(beside)
    return Case(f"ingest-{name}", "ingest", arguments, (*files, *beside), damaged, "out.h5", weight)


INGEST = (
    _ingest("tiff", "stack.tif", "fps=20"),
    _ingest("imagej", "imagej.tif"),
    _ingest("ome", "image.ome.tif", "fps=20"),
    _ingest("deflate-tiff", "packed.tif", "fps=20"),
    _ingest("ffv1", "ffv1.avi"),
    _ingest("mjpeg", "mjpeg.avi"),
    _ingest("h264", "h264.mp4"),
    _ingest("mkv", "ffv1.mkv"),
    _ingest("npy", "array.npy", "fps=20"),
    _ingest("npz", "arrays.npz"),
    _ingest("mat5", "five.mat", "fps=20"),
    _ingest("mat73", "seven.mat", "fps=20"),
    _ingest("hdf5", "chunked.h5", weight=4),
    _ingest("hdf5-plain", "plain.h5", "fps=20"),
    _ingest("nwb", "series.nwb", weight=3),
    _ingest("zarr", "store.zarr", "fps=20", weight=3),
    _ingest("zarr-zip", "store.zarr.zip", "fps=20"),
    _ingest("isxd", "movie.isxd"),
    _ingest("mmap", "Yr_d1_24_d2_38_d3_1_order_C_frames_12.mmap", "fps=20"),
    _ingest("raw", "numbers.raw", "fps=20", "shape=[12,24,38]", "dtype=uint8"),
    _ingest("suite2p", "suite2p/data.bin", beside=("suite2p/ops.npy",)),
    _ingest("pictures", "pictures", "fps=20"),
    _ingest("miniscope", "miniscope", weight=4),
    _ingest("session", "session.h5", weight=4),
    _ingest("caiman", "results.hdf5", beside=("Yr_d1_24_d2_38_d3_1_order_C_frames_12.mmap",)),
    _ingest("truth", "array.npy", "fps=20", "truth=mask.npy", first=("mask.npy",)),
    _ingest("truth-mat", "array.npy", "fps=20", "truth=mask.mat", first=("mask.mat",)),
    _ingest("field", "array.npy", "fps=20", "field=mask.png", first=("mask.png",)),
    _ingest("joined", "[array.npy,chunked.h5]", "join=true", "fps=20", first=("chunked.h5", "array.npy")),
    _ingest("published", "stack.tif", "fps=20", "preprocess=published", weight=1),
)


def _case(name: str, arguments: str, files: str, damaged: int = 1, output: str = "", **more: Any) -> Case:
    """A case whose command is the first word of its name."""
    return Case(
        name, name.partition("-")[0], tuple(arguments.split()), tuple(files.split()), damaged, output, **more
    )


_EXTRACT = "session=session.h5 output=out.h5 cell_diameter=6"
_DAYS = "day0.h5 day1.h5 day2.h5"
_TRAIN = f"{' '.join(TRAIN)} data.sessions=[session.h5] hydra.run.dir=out"
#: folder or file of other programs' results -> what is made of them
_RESULTS = {
    "caiman.hdf5": "export-results format=csv output=out/",
    "plane0": "report-results output=out.html",
    "minian": "export-results output=out.mat",
    "cells.mat": "evaluate-results truth=truth.h5 output=out.json",
    "footprints.mat": "evaluate-results truth=cells_mask.npy output=out.json",
    "cells.nwb": "export-results format=caiman output=out.hdf5",
    "cellset.isxd": "evaluate-results truth=truth.h5 output=out.json",
}
#: what ``export`` writes, by its output
_EXPORTS = {
    "out.nwb": "",
    "out.csv": "",
    "out/": "rejected=true",
    "out.parquet": "",
    "out.mat": "",
    "out.hdf5": "",
    "out.nc": "",
    "out.zip": "",
    **{f"out_{name}": f"format={name}" for name in ("suite2p", "minian", "napari")},
    "out_cellreg.mat": "format=cellreg",
}
_MOVIES = ("out.mp4", "out.tif", "out.zarr")
REST = (
    _case("extract", _EXTRACT, "session.h5", output="out.h5", weight=5),
    _case("extract-checkpoint", f"{_EXTRACT} checkpoint=model.ckpt", "model.ckpt session.h5", 1, "out.h5", weight=3),
    _case("extract-weights", f"{_EXTRACT} checkpoint=model.safetensors", "model.safetensors session.h5", 1, "out.h5",
          weight=3),
    _case("extract-field", f"{_EXTRACT} field=session_field.npy", "session_field.npy session.h5", 1, "out.h5"),
    _case("extract-curated", "session=session.h5 output=curated.h5 cell_diameter=6 overwrite=true",
          "curated.h5 session.h5", changes="curated.h5"),
    _case("evaluate", "cells=cells.h5 truth=truth.h5 output=out.json", "cells.h5 truth.h5", 2, "out.json", weight=5),
    _case("evaluate-mask", "cells=cells.h5 truth=cells_mask.npy output=out.json", "cells_mask.npy cells.h5", 1,
          "out.json"),
    *(_case(f"export-{output}", f"cells=cells.h5 output={output} {more}", "cells.h5", 1, output, weight=1)
      for output, more in _EXPORTS.items()),
    *(_case(f"export-movie-{output}", f"cells=filmed.h5 session=session.h5 output={output}", "filmed.h5 session.h5", 2,
            output, weight=1) for output in _MOVIES),
    _case("export-curated", "cells=curated.h5 output=out/", "curated.h5 curated.h5.curation", 2, "out/", weight=3),
    _case("export-tracks", "cells=day1.h5 tracks=tracks.h5 output=out.csv", "tracks.h5 day1.h5", 1, "out.csv",
          weight=3),
    _case("export-behavior", "cells=cells.h5 behavior=behavior.csv output=out.nwb", "behavior.csv cells.h5", 1,
          "out.nwb"),
    *(_case(f"{what.split()[0]}-{file}", f"cells={file} {' '.join(what.split()[1:])}", f"{file} truth.h5 cells_mask.npy", 1,
            what.rpartition("output=")[2], weight=2) for file, what in _RESULTS.items()),
    _case("report", "cells=cells.h5 output=out.html", "cells.h5", 1, "out.html", weight=3),
    _case("report-curated", "cells=curated.h5 output=out.html", "curated.h5 curated.h5.curation", 2, "out.html"),
    _case("report-metrics", "cells=cells.h5 output=out.html metrics=metrics.json", "metrics.json cells.h5", 1,
          "out.html", weight=4),
    _case("curate", "cells=curated.h5 from=decisions.json serve=false who=Ada", "curated.h5 decisions.json", 2,
          changes="curated.h5", weight=4),
    _case("curate-journal", "cells=curated.h5 from=decisions.json serve=false who=Ada",
          "curated.h5.curation curated.h5 decisions.json", 1, changes="curated.h5", weight=3),
    _case("curate-anew", "cells=filmed.h5 from=decided.h5 session=session.h5 serve=false",
          "decided.h5 filmed.h5 session.h5", 1, changes="filmed.h5", weight=1),
    _case("track", "cells=[day0.h5,day1.h5,day2.h5] output=out.h5 page=out.html csv=out.csv cellreg=out.mat", _DAYS, 2,
          "out.h5", weight=5),
    _case("track-results", "cells=[caiman.hdf5,plane0/stat.npy,footprints.mat] output=out.h5",
          "caiman.hdf5 plane0 footprints.mat", 3, "out.h5", weight=4),
    _case("compare", "runs=runs output=out.html", "runs", 1, "out.html", weight=10),
    _case("train", _TRAIN, "session.h5", 1, "out"),
    _case("train-resume", f"{_TRAIN} ckpt_path=model.ckpt", "model.ckpt session.h5", 1, "out"),
    _case("train-weights", f"{_TRAIN} weights=model.ckpt", "model.ckpt session.h5", 1, "out"),
)  # fmt: skip
#: what is damaged is in the files
FILES = (*INGEST, *REST)
#: what is damaged is on the command line
SETTINGS = tuple(
    _case(f"{command}-settings", arguments, files, 0, output, weight=weight)
    for command, arguments, files, output, weight in (
        ("simulate", "output=out.h5 simulation=demo", "", "out.h5", 4),
        ("ingest", "input=array.npy fps=20 output=out.h5", "array.npy", "out.h5", 4),
        ("extract", _EXTRACT, "session.h5", "out.h5", 4),
        ("train", _TRAIN, "session.h5", "out", 4),
        ("evaluate", "cells=cells.h5 truth=truth.h5", "cells.h5 truth.h5", "", 2),
        ("export", "cells=cells.h5 output=out.nwb", "cells.h5", "out.nwb", 3),
        ("report", "cells=cells.h5 output=out.html", "cells.h5", "out.html", 2),
        ("curate", "cells=curated.h5 serve=false", "curated.h5", "", 2),
        ("track", "cells=[day0.h5,day1.h5] output=out.h5", _DAYS, "out.h5", 3),
        ("compare", "runs=runs output=out.html", "runs", "out.html", 2),
        ("dashboard", "dry_run=true", "", "", 1),
    )
)
