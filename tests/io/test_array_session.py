"""Frames in arrays of any library, as the method sees them."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import dask.array
import h5py
import numpy as np
import pytest
import tifffile
import torch
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.array_session import ArraySession, as_session
from calcium_lightning.io.base_session import BaseSession, Beginning
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.session import Session, Truth
from calcium_lightning.io.session_writer import SessionWriter

SHAPE = (50, 24, 32)
FRAMES = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)


class Lazy:
    """An array elsewhere that notes what is asked of it."""

    def __init__(self, frames: np.ndarray, chunks=None) -> None:
        self.held, self.shape, self.chunks = frames, frames.shape, chunks
        self.most = 0

    def __getitem__(self, span: slice) -> np.ndarray:
        self.most = max(self.most, span.stop - span.start)
        return self.held[span]


@pytest.fixture(params=["numpy", "list", "memmap", "torch", "gradient", "h5py", "zarr", "dask"])
def array(request, tmp_path):
    if request.param == "numpy":
        yield FRAMES
    elif request.param == "list":
        yield FRAMES.tolist()
    elif request.param == "memmap":
        mapped = np.memmap(tmp_path / "a.bin", np.uint8, "w+", shape=SHAPE)
        mapped[:] = FRAMES
        yield mapped
    elif request.param == "torch":
        yield torch.from_numpy(FRAMES)
    elif request.param == "gradient":
        yield torch.from_numpy(FRAMES).float().requires_grad_()
    elif request.param == "h5py":
        with h5py.File(tmp_path / "a.h5", "w") as file:
            yield file.create_dataset("movie", data=FRAMES, chunks=(7, 24, 32), compression="gzip")
    elif request.param == "zarr":
        yield zarr.create_array(str(tmp_path / "a.zarr"), data=FRAMES, chunks=(7, 24, 32))
    else:
        yield dask.array.from_array(FRAMES, chunks=(7, 24, 32))


def test_arrays_of_any_library_are_the_same_frames(array):
    session = ArraySession(array, fps=20)
    assert (session.shape, session.fps, session.n_frames) == (SHAPE, 20.0, 50)
    assert session.dtype == (
        np.uint8 if getattr(array, "dtype", None) in (np.uint8, torch.uint8) else np.float32
    )
    np.testing.assert_array_equal(session.frames(), FRAMES)
    np.testing.assert_array_equal(session.frames(13, 29), FRAMES[13:29])
    np.testing.assert_array_equal(session.frames(45, 99), FRAMES[45:])
    parts = list(session.chunks(10))
    np.testing.assert_array_equal(np.concatenate([frames for _, frames in parts]), FRAMES)
    assert [start for start, _ in parts] == list(np.cumsum([0, *(len(part) for _, part in parts)])[:-1])
    assert len(session.sha256()) == 64


@pytest.mark.parametrize("dtype", [bool, "int8", "int16", "int32", "uint64", "float16", "float64", ">u2"])
def test_types_that_no_session_has_become_float32_or_stay_whole(dtype):
    values = FRAMES.astype(dtype)
    session = ArraySession(values, fps=20)
    assert session.dtype == (np.uint8 if dtype is bool else np.uint16 if dtype == ">u2" else np.float32)
    np.testing.assert_array_equal(session.frames(), values.astype(np.float64))


def test_torch_half_precision_of_either_kind():
    for dtype in (torch.bfloat16, torch.float16):
        session = ArraySession(torch.from_numpy(FRAMES).to(dtype), fps=20)
        np.testing.assert_array_equal(session.frames(), torch.from_numpy(FRAMES).to(dtype).float().numpy())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 60), st.integers(1, 60))
def test_memory_is_bounded_by_the_chunk(chunk, count):
    lazy = Lazy(FRAMES, (chunk, 24, 32))
    session = ArraySession(lazy, fps=20)
    lazy.most = 0
    assert sum(len(frames) for _, frames in session.chunks(count)) == 50
    assert lazy.most <= max(chunk, count + chunk // 2)
    lazy.most = 0
    session.sha256()
    assert lazy.most <= chunk


def test_chunks_that_are_too_large_are_cut():
    frames = np.zeros((400, 600, 600), np.uint8)
    assert ArraySession(Lazy(frames, frames.shape), fps=20).chunk_frames == 5
    assert ArraySession(Lazy(frames, ((100,) * 4, (600,), (600,))), fps=20).chunk_frames == 100  # dask's way
    assert ArraySession(Lazy(frames), fps=20).chunk_frames == 5


def test_what_is_known_is_told():
    times, shifts = np.arange(50) / 20 + 3, np.ones((50, 2))
    session = ArraySession(
        FRAMES, 20, pixel_size_um=2, kind="dff", motion_corrected=True, timestamps=times, shifts=shifts,
        truth=Truth(shifts=shifts), name="mouse 7",
    )  # fmt: skip
    assert (session.pixel_size_um, session.kind, session.motion_corrected) == (2.0, "dff", True)
    assert str(session.path) == "mouse 7"
    np.testing.assert_array_equal(session.timestamps, times)
    assert session.shifts.dtype == np.float32
    assert session.field.all()
    assert not session.bad_frames.any()
    lens, torn = np.eye(24, 32) > 0, np.arange(50) == 7
    seen = ArraySession(FRAMES, 20, field=lens, bad_frames=torn, about={"subject_id": "m7"})
    np.testing.assert_array_equal(seen.field, lens)
    np.testing.assert_array_equal(Beginning(seen, 9).bad_frames, torn[:9])
    assert Beginning(seen, 9).about == {"subject_id": "m7"}
    part = Beginning(session, 20)
    assert (part.n_frames, len(part.timestamps), len(part.shifts), len(part.truth.shifts)) == (20,) * 4
    np.testing.assert_array_equal(part.frames(), FRAMES[:20])
    assert part.sha256() != session.sha256() == Beginning(session, 50).sha256()
    assert (part.fps, part.kind) == (20.0, "dff")


def test_the_hash_is_of_the_content():
    assert ArraySession(FRAMES, 20).sha256() == ArraySession(Lazy(FRAMES, (7, 24, 32)), 10).sha256()
    other = FRAMES.copy()
    other[49, 23, 31] ^= 1
    assert ArraySession(other, 20).sha256() != ArraySession(FRAMES, 20).sha256()
    assert ArraySession(FRAMES.reshape(50, 32, 24), 20).sha256() != ArraySession(FRAMES, 20).sha256()


def with_a_broken_link() -> h5py.File:
    """An open file, as people hand it over."""
    file = h5py.File("a.h5", "w", driver="core", backing_store=False)
    file["movie"], file["gone"] = FRAMES, h5py.SoftLink("/nowhere")
    return file


def moving_picture() -> np.ndarray:
    """Columns unlike each other, frames alike but for noise; longer than wide."""
    picture = np.random.default_rng(1).normal(100, 20, (24, 32))
    return picture + np.random.default_rng(2).normal(0, 5, (80, 24, 32))


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: ArraySession(FRAMES[0], 20), r"frames are \(T, H, W\), three dimensions; this array is \(24, 32\)"),
        (lambda: ArraySession(FRAMES[None], 20), r"three dimensions; this array is \(1, 50, 24, 32\)"),
        (lambda: ArraySession(FRAMES[:, None], 20), r"is \(50, 1, 24, 32\); give frames\[:, 0, :, :\]$"),
        (lambda: ArraySession(np.stack([FRAMES] * 3, -1), 20), r"of colours, give one, such as frames\[..., 1\], or their mean$"),
        (lambda: ArraySession(np.stack([FRAMES] * 2, 1), 20), "; give one channel or plane of it$"),
        (lambda: ArraySession(FRAMES[:0], 20), r"no frames in an array of shape \(0, 24, 32\)"),
        (lambda: ArraySession(FRAMES + 1j, 20), "frames are real numbers, this array is of type complex128"),
        (lambda: ArraySession(FRAMES.astype(str), 20), "frames are real numbers"),
        (lambda: ArraySession(FRAMES, 0), "fps=0: a number above 0"),
        (lambda: ArraySession(FRAMES, "fast"), "fps=fast: a number above 0"),
        (lambda: ArraySession(FRAMES, 20, pixel_size_um=-1), "pixel_size_um=-1: a number above 0"),
        (lambda: ArraySession(FRAMES, 20, kind="df/f"), "kind='df/f' is neither raw nor dff"),
        (lambda: ArraySession(FRAMES, 20, timestamps=np.arange(49)), r"timestamps of shape \(49,\), for these frames \(50,\)"),
        (lambda: ArraySession(FRAMES, 20, shifts=np.full((50, 2), np.nan)), "shifts hold NaN or infinite"),
        (lambda: ArraySession(np.moveaxis(moving_picture(), 0, -1), 20),
         r"shape \(24, 32, 80\) looks like \(H, W, T\), and frames are \(T, H, W\): turn it with np.moveaxis"),
        (lambda: as_session(FRAMES), r"an array doesn't know its frame rate; add fps= \(Hz\)"),
        (lambda: as_session(7, fps=20), "int: a recording is an array"),
        (lambda: as_session(xr.Dataset({"varr": (("frame", "height", "width"), FRAMES), "max": (("a", "b"), FRAMES[0])}), fps=20),
         "Dataset: a recording is an array .* give one of its arrays: 'varr'$"),
        (lambda: as_session({"fps": 20}, fps=20), "the path of one$"),
        (lambda: as_session(with_a_broken_link(), fps=20), "give one of its arrays: 'movie'$"),
        (lambda: as_session("nowhere.h5"), "nowhere.h5: no such file"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_in_one_line(make, line):
    with pytest.raises(InputError, match=line) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_frames_that_are_wider_than_the_recording_is_long_are_taken():
    frames = moving_picture()[:20]
    assert ArraySession(frames, 20).shape == (20, 24, 32)
    assert ArraySession(np.random.default_rng(0).normal(size=(20, 24, 90)), 20).n_frames == 20


class Elsewhere:
    """An array that is read as it is sliced."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.shape = frames, frames.shape

    def __getitem__(self, span: slice) -> np.ndarray:
        return self.frames[span]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_is_named(value):
    """NaN, too, where none of the frames that are looked at let expect any."""
    frames = np.tile(FRAMES.astype(np.float64), (5, 1, 1))
    frames[30, 3, 4] = value
    session = ArraySession(Elsewhere(frames), 20)
    assert session.frames(0, 30).dtype == np.float32
    with pytest.raises(InputError, match="array: frame 30 holds NaN or infinite values"):
        session.frames(20, 40)


@pytest.mark.parametrize("door", [np.asarray, Elsewhere, torch.from_numpy])
def test_nan_is_no_data(door):
    """As registration leaves it: a border, more of it while the tissue moves, and frames without anything."""
    whole = FRAMES.astype(np.float32)
    frames = whole.copy()
    frames[:, :2] = np.nan
    frames[:, :, -3:] = np.nan
    frames[7, :4] = np.nan
    frames[20:22] = np.nan
    session = ArraySession(door(frames), 20)
    np.testing.assert_array_equal(np.flatnonzero(session.bad_frames), [20, 21])
    expected = np.ones(whole.shape[1:], bool)
    expected[:2], expected[:, -3:] = False, False
    expected[2:4] = False  # missing in one of the 48 frames with a picture: more than one in fifty
    np.testing.assert_array_equal(session.field, expected)
    read = session.frames(0, len(frames))
    assert np.isfinite(read).all()
    seen = np.isfinite(frames)
    np.testing.assert_array_equal(read[seen], whole[seen])
    np.testing.assert_allclose(read[7, 3, 5], np.nanmean(frames[:, 3, 5]), rtol=1e-5)
    np.testing.assert_array_equal(session.frames(19, 23), read[19:23])
    share = 1 - expected.mean()
    assert session.notes == (
        f"NaN is taken for no data: {share:.1%} of the pixels are outside /field and 2 frames are in /bad_frames",
    )


@pytest.mark.parametrize("door", [np.asanyarray, Elsewhere])
def test_what_a_mask_hides_is_no_data(door):
    """As netCDF's readers give it, whatever stands there."""
    hidden = np.zeros(FRAMES.shape, bool)
    hidden[:, :3], hidden[12] = True, True
    masked = np.ma.MaskedArray(np.where(hidden, 255, FRAMES).astype(np.uint8), hidden)
    session = ArraySession(door(masked), 20)
    np.testing.assert_array_equal(np.flatnonzero(session.bad_frames), [12])
    assert not session.field[:3].any()
    assert session.field[3:].all()
    np.testing.assert_array_equal(session.frames()[~hidden], FRAMES[~hidden])
    assert session.notes[0].startswith("NaN is taken for no data")


def test_a_mask_that_hides_nothing_changes_nothing():
    session = ArraySession(np.ma.MaskedArray(FRAMES), 20)
    assert session.dtype == FRAMES.dtype
    np.testing.assert_array_equal(session.frames(), FRAMES)
    assert session.notes == ()


def test_a_lone_nan_is_filled_and_said():
    frames = FRAMES.astype(np.float64)
    frames[31, 3, 4] = np.nan
    session = ArraySession(np.tile(frames, (3, 1, 1)), 20)
    assert session.field.all()
    assert not session.bad_frames.any()
    assert np.isfinite(session.frames(0, 150)).all()
    assert session.notes == ("NaN is taken for no data: a few values, filled",)


def test_nothing_but_nan_is_refused():
    with pytest.raises(InputError, match=r"array: no pixel holds data \(NaN\)"):
        ArraySession(np.full((40, 24, 32), np.nan), 20)


@pytest.mark.parametrize(
    "dims", [("frame", "height", "width"), ("height", "width", "frame"), ("x", "y", "t")]
)
def test_named_dimensions_tell_which_is_which(dims):
    """Minian's arrays, whichever way they lie."""
    order = {"frame": 0, "t": 0, "height": 1, "y": 1, "width": 2, "x": 2}
    array = xr.DataArray(FRAMES.transpose([order[name] for name in dims]), dims=dims)
    np.testing.assert_array_equal(as_session(array, fps=20).frames(), FRAMES)


def test_unknown_names_leave_an_array_as_it_is():
    array = xr.DataArray(FRAMES, dims=("first", "second", "third"))
    np.testing.assert_array_equal(as_session(array, fps=20).frames(), FRAMES)


def test_sessions_and_paths_pass_through(tmp_path):
    with SessionWriter(tmp_path / "a.h5", 24, 32, "uint8", 20.0) as writer:
        writer.append(FRAMES)
    with Session(tmp_path / "a.h5") as session:
        assert as_session(session) is session
        assert as_session(str(tmp_path / "a.h5")).sha256() == session.sha256()
        part = Beginning(session, 20)
        other = pickle.loads(pickle.dumps(part))
        session.close()
        np.testing.assert_array_equal(copy.copy(other).frames(), FRAMES[:20])
        assert session._file is None
        other.close()


class Ramp(BaseSession):
    """A source of one's own: what must be known, and two methods."""

    path, shape, dtype = Path("ramp"), (30, 8, 10), np.dtype(np.uint16)
    fps, pixel_size_um, kind, motion_corrected, chunk_frames = 10.0, None, "raw", False, 4

    def read_into(self, start: int, out: np.ndarray) -> None:
        out[:] = np.arange(start, start + len(out))[:, None, None]

    def sha256(self) -> str:
        return "0" * 64


def test_a_source_of_ones_own_takes_two_methods():
    session = as_session(Ramp())
    assert [start for start, _ in session.chunks()] == list(range(0, 30, 4))
    np.testing.assert_array_equal(session.frames(9, 12)[:, 0, 0], [9, 10, 11])
    assert (session.n_frames, session.height, session.width) == (30, 8, 10)
    assert (session.timestamps, session.shifts, session.truth) == (None, None, None)
    assert str(session) == "Ramp('ramp', (30, 8, 10), uint16, 10 Hz, raw)"
    with Beginning(session, 99) as part:
        assert part.n_frames == 30


def test_recordings_of_other_formats_are_read_as_they_are(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, photometric="minisblack")
    for path in (tmp_path / "a.tif", str(tmp_path / "a.tif")):
        np.testing.assert_array_equal(as_session(path, fps=15).frames(11, 40), FRAMES[11:40])
    with pytest.raises(InputError, match=r"a\.tif: the recording doesn't tell its frame rate; add fps="):
        as_session(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a-001.tif", FRAMES, photometric="minisblack")
    with pytest.warns(UserWarning, match=r"a\.tif: one of 2 files \(a-001\.tif\)"):
        as_session(tmp_path / "a.tif", fps=15)
    (tmp_path / "a-001.tif").unlink()
    with open_recording(tmp_path / "a.tif") as recording:
        session = as_session(recording, fps=15)
        assert (session.fps, str(session.path), session.kind) == (15.0, str(tmp_path / "a.tif"), "raw")
        np.testing.assert_array_equal(session.frames(11, 40), FRAMES[11:40])
        recording.note("told while it was read")
        assert session.notes == Beginning(session, 9).notes == ("told while it was read",)
        with pytest.raises(InputError, match=r"a\.tif: the recording doesn't tell its frame rate; add fps="):
            as_session(recording)
        recording.short(60, 50)
        with pytest.raises(InputError, match="promises 60 frames and 50 are there"):
            as_session(recording, fps=15)
