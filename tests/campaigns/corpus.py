"""Small, whole files of every kind that a command reads: what is damaged next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from campaigns import made_cells
from helpers.example_cells import make_example, write_truth
from helpers.example_runs import make_run
from helpers.recordings import movie, write_video
from helpers.tiny_network import make_network
from helpers.tiny_session import make_session

from calcium_lightning.io.cells_file import write_cells


def make(folder: Path, train: Callable[[Path], Path] | None = None) -> Path:
    """Write all files of the cases (:mod:`campaigns.cases`) into a folder.

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
    made_cells.write_all(folder, cells)
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
