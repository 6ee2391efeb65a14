"""Small, whole files of every kind that a command reads, and the commands that read them: what is damaged next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from helpers.example_cells import make_example, write_truth
from helpers.example_runs import make_run
from helpers.recordings import movie, write_video
from helpers.tiny_network import make_network
from helpers.tiny_session import make_session
from helpers.tiny_training import TINY

from calcium_lightning.io.cells_file import write_cells

#: a training that takes a second
TRAIN = (*TINY, "callbacks.pictures=null", "trainer=cpu")


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
    """

    name: str
    command: str
    arguments: tuple[str, ...]
    files: tuple[str, ...]
    damaged: int = 1
    output: str = ""
    weight: int = 2


def _ingest(name: str, file: str, *more: str, beside: tuple[str, ...] = (), weight: int = 2) -> Case:
    arguments = (f"input={file}", "output=out.h5", *more)
    return Case(f"ingest-{name}", "ingest", arguments, (file, *beside), 1 + len(beside), "out.h5", weight)


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
    Case(
        "ingest-truth",
        "ingest",
        ("input=array.npy", "fps=20", "truth=mask.npy", "output=out.h5"),
        ("mask.npy", "array.npy"),
        output="out.h5",
    ),
    Case(
        "ingest-truth-mat",
        "ingest",
        ("input=array.npy", "fps=20", "truth=mask.mat", "output=out.h5"),
        ("mask.mat", "array.npy"),
        output="out.h5",
    ),
    Case(
        "ingest-field",
        "ingest",
        ("input=array.npy", "fps=20", "field=mask.png", "output=out.h5"),
        ("mask.png", "array.npy"),
        output="out.h5",
    ),
)
_EXTRACT = ("session=session.h5", "output=out.h5", "cell_diameter=6")
REST = (
    Case("extract", "extract", _EXTRACT, ("session.h5",), output="out.h5", weight=5),
    Case(
        "extract-checkpoint",
        "extract",
        (*_EXTRACT, "checkpoint=model.ckpt"),
        ("model.ckpt", "session.h5"),
        output="out.h5",
        weight=3,
    ),
    Case(
        "extract-weights",
        "extract",
        (*_EXTRACT, "checkpoint=model.safetensors"),
        ("model.safetensors", "session.h5"),
        output="out.h5",
        weight=3,
    ),
    Case(
        "evaluate",
        "evaluate",
        ("cells=cells.h5", "truth=truth.h5", "output=out.json"),
        ("cells.h5", "truth.h5"),
        2,
        "out.json",
        5,
    ),
    Case(
        "evaluate-mask",
        "evaluate",
        ("cells=cells.h5", "truth=cells_mask.npy", "output=out.json"),
        ("cells_mask.npy", "cells.h5"),
        output="out.json",
    ),
    *(
        Case(
            f"export-{ending}",
            "export",
            ("cells=cells.h5", f"output=out{ending}"),
            ("cells.h5",),
            output=f"out{ending}",
            weight=2,
        )
        for ending in (".nwb", ".csv", "/")
    ),
    Case("report", "report", ("cells=cells.h5", "output=out.html"), ("cells.h5",), 1, "out.html", 3),
    Case(
        "report-metrics",
        "report",
        ("cells=cells.h5", "output=out.html", "metrics=metrics.json"),
        ("metrics.json", "cells.h5"),
        output="out.html",
        weight=4,
    ),
    Case("compare", "compare", ("runs=runs", "output=out.html"), ("runs",), 1, "out.html", 10),
    Case(
        "train",
        "train",
        (*TRAIN, "data.sessions=[session.h5]", "hydra.run.dir=out"),
        ("session.h5",),
        output="out",
        weight=2,
    ),
    Case(
        "train-resume",
        "train",
        (*TRAIN, "data.sessions=[session.h5]", "hydra.run.dir=out", "ckpt_path=model.ckpt"),
        ("model.ckpt", "session.h5"),
        output="out",
        weight=2,
    ),
    Case(
        "train-weights",
        "train",
        (*TRAIN, "data.sessions=[session.h5]", "hydra.run.dir=out", "weights=model.ckpt"),
        ("model.ckpt", "session.h5"),
        output="out",
        weight=2,
    ),
)
#: what is damaged is in the files
FILES = (*INGEST, *REST)
#: what is damaged is on the command line
SETTINGS = (
    Case("simulate-settings", "simulate", ("output=out.h5", "simulation=demo"), (), 0, "out.h5", 4),
    Case("ingest-settings", "ingest", ("input=array.npy", "output=out.h5"), ("array.npy",), 0, "out.h5", 3),
    Case("extract-settings", "extract", _EXTRACT, ("session.h5",), 0, "out.h5", 2),
    Case("train-settings", "train", REST[-3].arguments, ("session.h5",), 0, "out", 2),
    Case(
        "evaluate-settings", "evaluate", ("cells=cells.h5", "truth=truth.h5"), ("cells.h5", "truth.h5"), 0, ""
    ),
    Case("export-settings", "export", ("cells=cells.h5", "output=out.nwb"), ("cells.h5",), 0, "out.nwb"),
    Case("compare-settings", "compare", ("runs=runs", "output=out.html"), ("runs",), 0, "out.html"),
)


def make(folder: Path, train: Callable[[Path], Path] | None = None) -> Path:
    """Write all files of the cases into a folder.

    Parameters
    ----------
    folder : Path
        Made.
    train : callable, optional
        Makes a checkpoint in a folder that holds ``session.h5``; without it there is none.
    """
    folder.mkdir(parents=True)
    frames = movie(12)
    _recordings(folder, frames)
    _arrays(folder, frames)
    _folders(folder, frames)
    make_session(folder / "session.h5", frames=60, size=(40, 48), cells=5)
    cells, truth = make_example(6, 120)
    write_cells(folder / "cells.h5", cells)
    write_truth(folder / "truth.h5", cells, truth)
    mask = np.zeros(cells.frame_shape, np.uint8)
    mask[10:20, 12:30] = 1
    np.save(folder / "cells_mask.npy", mask)
    _metrics(folder)
    for number, status in enumerate(("finished", "finished", "failed", None)):
        make_run(folder / f"runs/{number}", [f"optimizer.lr={10**-number}"], [0.5, 0.4 + number / 10], status)
    _weights(folder)
    if train is not None:
        shutil.copy2(train(folder), folder / "model.ckpt")
    return folder


def _recordings(folder: Path, frames: np.ndarray) -> None:
    import tifffile
    from helpers.isxd import write_isxd

    tifffile.imwrite(folder / "stack.tif", frames, photometric="minisblack")
    tifffile.imwrite(folder / "packed.tif", frames, photometric="minisblack", compression="zlib")
    tifffile.imwrite(folder / "imagej.tif", frames, imagej=True, metadata={"axes": "TYX", "finterval": 0.05})
    tifffile.imwrite(folder / "image.ome.tif", frames, metadata={"axes": "TYX"})
    write_video(folder / "ffv1.avi", frames)
    write_video(folder / "ffv1.mkv", frames)
    write_video(folder / "mjpeg.avi", frames, codec="mjpeg", pixels="yuvj420p")
    write_video(folder / "h264.mp4", frames, codec="libx264", pixels="yuv420p")
    write_isxd(folder / "movie.isxd", frames.astype(np.uint16))


def _arrays(folder: Path, frames: np.ndarray) -> None:
    import h5py
    import zarr
    from scipy.io import savemat

    np.save(folder / "array.npy", frames)
    np.savez(folder / "arrays.npz", movie=frames, fps=20.0)
    savemat(folder / "five.mat", {"Y": frames.transpose(1, 2, 0), "fps": 20.0})
    with h5py.File(folder / "seven.mat", "w") as file:
        file["Y"] = frames.transpose(0, 2, 1)
    with h5py.File(folder / "chunked.h5", "w") as file:
        node = file.create_dataset("movie", data=frames, chunks=(4, 24, 38), compression="gzip")
        node.attrs["fps"] = 20.0
        node.attrs["pixel_size_um"] = 2.0
    with h5py.File(folder / "plain.h5", "w") as file:
        file["movie"] = frames
    _nwb(folder / "series.nwb", frames)
    for store in (folder / "store.zarr", zarr.storage.ZipStore(folder / "store.zarr.zip", mode="w")):
        group = zarr.open_group(store, mode="w")
        group.create_array("movie", data=frames, chunks=(4, 24, 38))
        if not isinstance(store, Path):
            store.close()
    frames.tofile(folder / "numbers.raw")
    flat = frames.transpose(2, 1, 0).astype(np.float32)
    flat.tofile(folder / "Yr_d1_24_d2_38_d3_1_order_C_frames_12.mmap")
    with h5py.File(folder / "results.hdf5", "w") as file:
        file["estimates/A/data"] = np.ones(3)
        file["mmap_file"] = b"Yr_d1_24_d2_38_d3_1_order_C_frames_12.mmap"
        file["params/data/fr"] = 20.0
    mask = np.zeros(frames.shape[1:], np.uint8)
    mask[5:15, 6:20] = 1
    np.save(folder / "mask.npy", mask)
    savemat(folder / "mask.mat", {"mask": mask})


def _nwb(path: Path, frames: np.ndarray) -> None:
    """The parts of an NWB file that are read."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        series = file.create_group("acquisition/OnePhotonSeries")
        series.attrs["neurodata_type"] = "OnePhotonSeries"
        series["data"] = frames.transpose(0, 2, 1)
        series["starting_time"] = 0.0
        series["starting_time"].attrs["rate"] = 20.0
        plane = series.create_group("imaging_plane")
        plane["imaging_rate"] = 20.0
        plane["grid_spacing"] = [2e-6, 2e-6]
        plane["grid_spacing"].attrs["unit"] = "meters"
        file["general/subject/subject_id"] = "M7"
        file["session_start_time"] = "2026-01-01T00:00:00+00:00"


def _folders(folder: Path, frames: np.ndarray) -> None:
    import imagecodecs

    (folder / "pictures").mkdir()
    for number, frame in enumerate(frames[:6]):
        (folder / f"pictures/frame_{number}.png").write_bytes(imagecodecs.png_encode(frame))
    (folder / "mask.png").write_bytes(imagecodecs.png_encode((frames[0] > 90).astype(np.uint8) * 255))
    scope = folder / "miniscope"
    scope.mkdir()
    for number in range(2):
        write_video(scope / f"{number}.avi", frames[6 * number : 6 * number + 6], rate=60)
    about = {
        "deviceType": "Miniscope_V4_BNO",
        "deviceName": "My_V4",
        "frameRate": "20FPS",
        "framesPerFile": 1000,
        "ROI": {"height": 24, "leftEdge": 0, "topEdge": 0, "width": 38},
        "recordingStartTime": {"msecSinceEpoch": 1700000000000, "year": 2023, "month": 11, "day": 14},
    }
    (scope / "metaData.json").write_text(json.dumps(about))
    rows = "".join(f"{number},{50 * number + 7},0\n" for number in range(12))
    (scope / "timeStamps.csv").write_text("Frame Number,Time Stamp (ms),Buffer Index\n" + rows)
    suite2p = folder / "suite2p"
    suite2p.mkdir()
    frames.astype("<i2").tofile(suite2p / "data.bin")
    ops = {"Ly": 24, "Lx": 38, "nframes": 12, "fs": 20.0, "yoff": np.zeros(12)}
    np.save(suite2p / "ops.npy", np.array(ops, dtype=object))


def _metrics(folder: Path) -> None:
    from calcium_lightning.metrics.evaluation import evaluate

    result = evaluate([folder / "cells.h5"], [folder / "truth.h5"])
    (folder / "metrics.json").write_text(json.dumps(result, default=str))


def _weights(folder: Path) -> None:
    from calcium_lightning.nn.checkpoint import save_network
    from calcium_lightning.nn.windows import WindowSettings

    save_network(folder / "model.safetensors", make_network(), WindowSettings(taps=5, seconds=0.5))
