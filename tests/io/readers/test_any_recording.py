"""Any movie, in any format, container and layout, whole or damaged: every frame again, or one clear line.

What a message advises is done, and must give the frames that it promises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
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
from scipy import io

from calcium_lightning.core.errors import InputError

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
    "npy": npy,
    "zarr": store,
    "pictures": pictures,
}
#: formats that 16 bits can't be written in here
EIGHT_BITS = {"avi, raw"}


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
