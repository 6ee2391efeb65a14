"""Any movie, in any format, container and layout, whole or damaged: every frame again, or one clear line.

What a message advises is done, and must give the frames that it promises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from helpers.recordings import ingested, write_video
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import OnePhotonSeries, OpticalChannel
from scipy import io

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.writers.matlab import save

SEARCH = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
Writer = Callable[[Path, np.ndarray], Path]


def tiff(**options: object) -> Writer:
    """A stack with tifffile's options."""

    def write(folder: Path, frames: np.ndarray) -> Path:
        tifffile.imwrite(folder / "a.tif", frames, **{"photometric": "minisblack", **options})
        return folder / "a.tif"

    return write


def coloured(planar: bool) -> Writer:
    """Grey kept as RGB."""

    def write(folder: Path, frames: np.ndarray) -> Path:
        axis, config = (1, "separate") if planar else (3, "contig")
        rgb = np.repeat(np.expand_dims(frames, axis), 3, axis)
        tifffile.imwrite(folder / "a.tif", rgb, photometric="rgb", planarconfig=config)
        return folder / "a.tif"

    return write


def video(name: str, codec: str, **options: str) -> Writer:
    """A lossless video."""

    def write(folder: Path, frames: np.ndarray) -> Path:
        pixels = "gray" if frames.dtype == np.uint8 else "gray16le"
        return write_video(folder / name, frames, codec, pixels, **options)

    return write


def parts(names: str, count: int, one: Writer, ending: str) -> Writer:
    """A folder of several files, numbered as in ``names``."""

    def write(folder: Path, frames: np.ndarray) -> Path:
        (folder / "rec").mkdir()
        for index, part in enumerate(np.array_split(frames, count)):
            made = one(folder, part)
            name = (
                names.format(n=index)
                if index or "{n}" in names.partition("-")[0]
                else names.partition("-")[0]
            )
            made.rename(folder / "rec" / f"{name}{ending}")
        return folder / "rec"

    return write


def hdf5(folder: Path, frames: np.ndarray) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("mov", data=frames, chunks=(3, *frames.shape[1:]), compression="gzip")
    return folder / "a.h5"


def matlab(folder: Path, frames: np.ndarray) -> Path:
    io.savemat(folder / "a.mat", {"Y": frames.transpose(1, 2, 0)})
    return folder / "a.mat"


def npy(folder: Path, frames: np.ndarray) -> Path:
    np.save(folder / "a.npy", frames)
    return folder / "a.npy"


def store(folder: Path, frames: np.ndarray) -> Path:
    array = zarr.create_array(
        str(folder / "a.zarr"), shape=frames.shape, chunks=(3, *frames.shape[1:]), dtype=frames.dtype
    )
    array[:] = frames
    return folder / "a.zarr"


def pictures(folder: Path, frames: np.ndarray) -> Path:
    (folder / "rec").mkdir()
    for index, frame in enumerate(frames):
        tifffile.imwrite(folder / "rec" / f"f{index}.tif", frame, photometric="minisblack", compression="lzw")
    return folder / "rec"


def png(folder: Path, frames: np.ndarray) -> Path:
    (folder / "rec").mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / "rec" / f"frame{index}.png")
    return folder / "rec"


def npz(folder: Path, frames: np.ndarray) -> Path:
    np.savez(folder / "a.npz", frames=frames)
    return folder / "a.npz"


def matlab73(folder: Path, frames: np.ndarray) -> Path:
    save(folder / "a.mat", {"Y": frames.transpose(1, 2, 0)}, overwrite=False)
    return folder / "a.mat"


def matlab_column(folder: Path, frames: np.ndarray) -> Path:
    """Pixels in one column, and their sizes beside them."""
    stack = frames.transpose(1, 2, 0)
    flat = stack.reshape(-1, len(frames), order="F")
    save(folder / "a.mat", {"Y": flat, "Ysiz": np.array(stack.shape, float)}, overwrite=False)
    return folder / "a.mat"


def zarr2(folder: Path, frames: np.ndarray) -> Path:
    array = zarr.create_array(
        str(folder / "a.zarr"),
        shape=frames.shape,
        chunks=(4, *frames.shape[1:]),
        dtype=frames.dtype,
        zarr_format=2,
    )
    array[:] = frames
    return folder / "a.zarr"


def nwb(folder: Path, frames: np.ndarray) -> Path:
    file = NWBFile(
        session_description="a", identifier="a", session_start_time=datetime(2026, 1, 2, tzinfo=UTC)
    )
    channel = OpticalChannel(name="c", description="d", emission_lambda=510.0)
    plane = file.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="d",
        device=file.create_device("m"),
        excitation_lambda=470.0,
        indicator="i",
        location="l",
    )
    file.add_acquisition(
        OnePhotonSeries(
            name="movie", data=frames.transpose(0, 2, 1), imaging_plane=plane, rate=20.0, unit="n.a."
        )
    )
    with NWBHDF5IO(folder / "a.nwb", "w") as stream:
        stream.write(file)
    return folder / "a.nwb"


def mmap(folder: Path, frames: np.ndarray) -> Path:
    """CaImAn's: float32, pixels down the columns, time fastest."""
    count, height, width = frames.shape
    path = folder / f"Yr_d1_{height}_d2_{width}_d3_1_order_C_frames_{count}.mmap"
    frames.astype(np.float32).transpose(2, 1, 0).tofile(path)
    return path


def suite2p(folder: Path, frames: np.ndarray) -> Path:
    plane = folder / "plane0"
    plane.mkdir()
    frames.astype("<i2").tofile(plane / "data.bin")
    np.save(
        plane / "ops.npy", {"Ly": frames.shape[1], "Lx": frames.shape[2], "nframes": len(frames), "fs": 20.0}
    )
    return plane


def daq(folder: Path, frames: np.ndarray) -> Path:
    """A session of Miniscope-DAQ: a scope's videos with their stamps, and a camera beside it."""
    scope, camera = folder / "12_30_15" / "My_V4_Miniscope", folder / "12_30_15" / "BehavCam"
    for place, part in ((scope, frames), (camera, frames[:3])):
        place.mkdir(parents=True)
        for index, piece in enumerate(np.array_split(part, 2)):
            write_video(
                place / f"{index}.avi", piece, "ffv1", "gray" if piece.dtype == np.uint8 else "gray16le"
            )
        rows = "".join(f"{k},{17 + 50 * k},0\n" for k in range(len(part)))
        (place / "timeStamps.csv").write_text(f"Frame Number,Time Stamp (ms),Buffer Index\n{rows}")
    (scope / "metaData.json").write_text('{"deviceType": "Miniscope_V4_BNO", "frameRate": "20FPS"}')
    (camera / "metaData.json").write_text('{"deviceType": "WebCam-1080", "frameRate": "N/A"}')
    return folder / "12_30_15"


FORMATS: dict[str, Writer] = {
    "tiff": tiff(),
    "tiff, big-endian": tiff(byteorder=">"),
    "tiff, compressed": tiff(compression="deflate", predictor=True),
    "tiff, big": tiff(bigtiff=True, metadata=None),
    "imagej": tiff(imagej=True),
    "ome": tiff(ome=True),
    "ome, compressed": tiff(ome=True, compression="lzw"),
    "rgb": coloured(planar=False),
    "rgb, planar": coloured(planar=True),
    "avi, ffv1": video("a.avi", "ffv1"),
    "avi, raw": video("a.avi", "rawvideo"),
    "avi, ffv1 with checksums": video("a.avi", "ffv1", level="3", slicecrc="1"),
    "mkv": video("a.mkv", "ffv1"),
    "split tiffs": parts("X-{n:03}", 3, tiff(), ".tif"),
    "numbered tiffs": parts("rec_{n}", 3, tiff(compression="lzw"), ".tif"),
    "numbered videos": parts("{n}", 3, video("a.avi", "ffv1"), ".avi"),
    "hdf5": hdf5,
    "matlab": matlab,
    "matlab 7.3": matlab73,
    "matlab, pixels in a column": matlab_column,
    "npy": npy,
    "npz": npz,
    "zarr": store,
    "zarr 2": zarr2,
    "nwb": nwb,
    "mmap": mmap,
    "suite2p": suite2p,
    "pictures": pictures,
    "png": png,
    "daq": daq,
}
#: formats that 16 bits can't be written in here
EIGHT_BITS = {"avi, raw", "suite2p"}


@st.composite
def movies(draw: st.DrawFn, kind: str) -> np.ndarray:
    """Any values of any small size; neither constant, nor so small that it is no picture."""
    shape = (draw(st.integers(6, 14)), draw(st.integers(17, 24)), draw(st.integers(17, 26)))
    dtype = "uint8" if kind in EIGHT_BITS else draw(st.sampled_from(["uint8", "uint16"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    high = draw(st.sampled_from([2, 200, int(np.iinfo(dtype).max) + 1]))
    return rng.integers(0, high, shape).astype(dtype)


def check(path: Path, frames: np.ndarray, folder: Path) -> None:
    """Every frame is found again, or one line says what is wrong, and what it advises works."""
    try:
        read = ingested(path, folder, fps=20.0)[0].frames()
    except InputError as error:
        message = str(error)
        assert "\n" not in message
        assert str(path) in message
        found = re.findall(r"(?:start=(\d+) )?stop=(\d+) takes", message)
        for start, stop in found[:1]:
            first, last = int(start or 0), int(stop)
            taken = ingested(path, folder, fps=20.0, start=first, stop=last)[0].frames()
            np.testing.assert_array_equal(taken, frames[first:last])
        return
    np.testing.assert_array_equal(read, frames)


@pytest.mark.parametrize("kind", FORMATS)
@settings(SEARCH, max_examples=6)
@given(data=st.data())
def test_what_was_written_is_read(kind, data):
    frames = data.draw(movies(kind))
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = FORMATS[kind](folder, frames)
        read = ingested(path, folder, fps=20.0)[0].frames()
        np.testing.assert_array_equal(read, frames)


@SEARCH
@given(data=st.data())
def test_a_damaged_file_is_whole_or_says_what_is_left(data):
    kind = data.draw(st.sampled_from(sorted(FORMATS)))
    frames = data.draw(movies(kind))
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = FORMATS[kind](folder, frames)
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        victim = data.draw(st.sampled_from(files))
        content = victim.read_bytes()
        near = st.integers(1, min(400, len(content))).map(lambda lost: len(content) - lost)
        keep = data.draw(st.one_of(st.integers(0, len(content) - 1), near))
        victim.write_bytes(content[:keep])
        check(path, frames, folder)


@SEARCH
@given(data=st.data())
def test_flipped_bits_are_no_traceback(data):
    """Values may be others, since few formats have checksums; but what is read is a recording, or refused."""
    kind = data.draw(st.sampled_from(sorted(FORMATS)))
    frames = data.draw(movies(kind))
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = FORMATS[kind](folder, frames)
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        victim = data.draw(st.sampled_from(files))
        content = bytearray(victim.read_bytes())
        anywhere = st.integers(0, len(content) - 1)
        head = st.integers(0, min(600, len(content)) - 1)  # where the sizes and the types are
        for place in data.draw(st.lists(st.one_of(anywhere, head), min_size=1, max_size=4)):
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        victim.write_bytes(bytes(content))
        try:
            read = ingested(path, folder, fps=20.0)[0].frames()
        except InputError as error:
            message = str(error)
            assert "\n" not in message
            return
        assert read.ndim == 3
