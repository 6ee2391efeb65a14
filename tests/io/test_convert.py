import numpy as np
import pytest
from helpers.recordings import movie
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.convert import ingest_recording
from calcium_lightning.io.ingest_settings import IngestSettings
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.session import Session, Truth


class Frames(Recording):
    """A recording in memory, in blocks of any size."""

    def __init__(self, frames, block=None, **known):
        self.path = known.pop("path", None) or __import__("pathlib").Path("memory")
        self.frames, self.block = frames, block
        self.shape, self.dtype = frames.shape, frames.dtype
        for name, value in {"fps": 20.0, **known}.items():
            setattr(self, name, value)

    def blocks(self, start, stop, size):
        for begin in range(start, stop, self.block or size):
            yield self.frames[begin : min(begin + (self.block or size), stop)]


def convert(tmp_path, frames, truth=None, known=None, block=None, **settings):
    path = tmp_path / "s.h5"
    ingest_recording(
        Frames(frames, block, **(known or {})), path, IngestSettings(**settings), truth, overwrite=True
    )
    return Session(path)


@settings(deadline=None, max_examples=30)
@given(
    block=st.integers(1, 40), spatial=st.integers(1, 3), temporal=st.integers(1, 5), start=st.integers(0, 10)
)
def test_blocks_of_any_size_give_the_same_session(tmp_path_factory, block, spatial, temporal, start):
    frames = movie(37)
    options = {"spatial_bin": spatial, "temporal_bin": temporal, "start": start}
    session = convert(tmp_path_factory.mktemp("c"), frames, block=block, **options)
    count = (37 - start) // temporal
    kept = frames[
        start : start + count * temporal, : 24 // spatial * spatial, : 38 // spatial * spatial
    ].astype(float)
    bins = kept.reshape(count, temporal, 24 // spatial, spatial, 38 // spatial, spatial)
    assert np.allclose(session.frames(), bins.mean((1, 3, 5)), rtol=1e-5)
    assert session.fps == pytest.approx(20 / temporal)
    assert session.dtype == ("uint8" if spatial == temporal == 1 else "float32")


def test_what_the_file_says_is_kept_and_can_be_overruled(tmp_path):
    known = {"pixel_size_um": 2.0, "kind": "dff", "motion_corrected": True, "timestamps": np.arange(12) / 20}
    session = convert(tmp_path, movie(12), known=known, spatial_bin=2, temporal_bin=3)
    assert (session.fps, session.pixel_size_um, session.kind, session.motion_corrected) == (
        pytest.approx(20 / 3),
        4,
        "dff",
        True,
    )
    assert np.allclose(session.timestamps, np.arange(12).reshape(4, 3).mean(1) / 20)
    session = convert(
        tmp_path,
        movie(12),
        known=known,
        fps=10.0,
        pixel_size_um=1.0,
        kind="raw",
        motion_corrected=False,
        timestamps=False,
    )
    assert (session.fps, session.pixel_size_um, session.kind, session.motion_corrected) == (
        10,
        1,
        "raw",
        False,
    )
    assert session.timestamps is None


def test_shifts_and_truth_go_along(tmp_path):
    shifts = np.random.default_rng(0).random((12, 2)).astype(np.float32)
    session = convert(
        tmp_path, movie(12), known={"shifts": shifts, "truth": Truth(mask=np.eye(4))}, start=2, spatial_bin=2
    )
    assert np.allclose(session.shifts, shifts[2:] / 2)
    assert np.array_equal(session.truth.mask, np.eye(4))
    session = convert(tmp_path, movie(12), Truth(mask=1 - np.eye(4)), known={"truth": Truth(mask=np.eye(4))})
    assert np.array_equal(session.truth.mask, 1 - np.eye(4))  # the truth that was given wins


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("bool", "uint8"),
        ("uint8", "uint8"),
        ("uint16", "uint16"),
        ("int16", "uint16"),
        ("int32", "uint16"),
        ("float16", "float32"),
        ("float64", "float32"),
        (">u2", "uint16"),
    ],
)
def test_default_types(tmp_path, source, expected):
    frames = (movie(5) > 90).astype(source) if source == "bool" else movie(5).astype(source)
    session = convert(tmp_path, frames)
    assert session.dtype == expected
    assert np.array_equal(session.frames(), frames)


def test_averages_are_rounded_to_the_integers_asked_for(tmp_path):
    frames = movie(12)
    session = convert(tmp_path, frames, temporal_bin=4, dtype="uint8")
    assert np.array_equal(session.frames(), np.rint(frames.reshape(3, 4, 24, 38).mean(1)))


@pytest.mark.parametrize(
    ("value", "source", "dtype", "message"),
    [
        (
            300,
            "uint16",
            "uint8",
            r"300 about frame \d+ doesn't fit uint8 \(0 to 255\); dtype=uint16 or dtype=float32",
        ),
        (-3, "int16", None, r"-3 about frame \d+ doesn't fit uint16.*dtype=float32 keeps it"),
        (70000, "int32", None, r"70000 about frame \d+ doesn't fit uint16"),
        (-0.6, "float32", "uint16", r"-1.0 about frame \d+ doesn't fit uint16"),
        (1e300, "float64", None, r"too large for float32"),
    ],
)
def test_nothing_is_clipped_silently(tmp_path, value, source, dtype, message):
    frames = movie(9).astype(source)
    frames[7, 3, 4] = value
    with pytest.raises(InputError, match=message):
        convert(tmp_path, frames, dtype=dtype)
    assert list(tmp_path.iterdir()) == []


def test_fractions_are_not_rounded_away(tmp_path):
    with pytest.raises(InputError, match=r"dtype=uint8 would leave \d grey levels"):
        convert(tmp_path, movie(5, dtype="float32"), dtype="uint8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_frames_are_named(tmp_path, value):
    frames = movie(30, dtype="float32")
    frames[17, 5, 6] = value
    with pytest.raises(InputError, match="frame 17 holds infinite values"):
        convert(tmp_path, frames, start=3)
    assert list(tmp_path.iterdir()) == []
    assert convert(tmp_path, frames, stop=17).n_frames == 17


@pytest.mark.parametrize(
    ("options", "known", "message"),
    [
        ({}, {"fps": None}, "says no frame rate; give it with fps="),
        ({"fps": -1.0}, {}, "fps=-1.0: a number above 0"),
        ({"kind": "blue"}, {}, "kind=blue"),
        ({"dtype": "int8"}, {}, "dtype=int8: uint8, uint16 or float32"),
        ({"compression": "zip"}, {}, "compression=zip: none, gzip or lz4"),
        ({"pixel_size_um": 0.0}, {}, "pixel_size_um=0.0"),
        ({"stop": 1}, {}, "memory: 1 frame left of 1; a recording needs at least 2"),
        ({}, {"timestamps": np.arange(11.0)}, "11 time stamps for 12 frames; timestamps=false"),
    ],
)
def test_settings_that_make_no_session(tmp_path, options, known, message):
    with pytest.raises(InputError, match=message):
        convert(tmp_path, movie(12), known=known, **options)
    assert list(tmp_path.iterdir()) == []


def test_one_frame_only(tmp_path):
    with pytest.raises(InputError, match="1 frame left of 1; a recording needs at least 2"):
        convert(tmp_path, movie(1))


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4"])
def test_compression(tmp_path, compression):
    frames = movie(200) // 16
    session = convert(tmp_path, frames, compression=compression)
    assert np.array_equal(session.frames(), frames)
    assert (session.path.stat().st_size < 0.9 * frames.size) == (compression != "none")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), MemoryError])
def test_nothing_is_left_behind(tmp_path, error):
    class Broken(Frames):
        def blocks(self, start, stop, size):
            yield self.frames[:5]
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        ingest_recording(Broken(movie(12)), tmp_path / "s.h5")
    assert list(tmp_path.iterdir()) == []


def test_nan_is_no_data(tmp_path):
    frames = movie(40, dtype="float32")
    gaps = frames.copy()
    gaps[:, :3] = gaps[12] = gaps[13, 9] = np.nan
    session = convert(tmp_path, gaps, start=2)
    assert session.bad_frames.nonzero()[0].tolist() == [10]
    assert not session.field[:3].any()
    assert session.field[3:8].all()
    frames[12], frames[13, 9] = frames[11], frames[11, 9]  # the last that was seen
    np.testing.assert_array_equal(session.frames()[:, 3:], frames[2:, 3:])


def test_nan_is_no_data_in_bins_either(tmp_path):
    frames = movie(40, dtype="float32")
    frames[:, :3] = frames[12] = np.nan
    session = convert(tmp_path, frames, spatial_bin=2, temporal_bin=2)
    assert session.bad_frames.nonzero()[0].tolist() == [6]
    assert (~session.field).any(1).nonzero()[0].tolist() == [0, 1]


def test_a_recording_of_nothing_but_nan_is_refused(tmp_path):
    with pytest.raises(InputError, match="no pixel holds data"):
        convert(tmp_path, np.full((8, 6, 7), np.nan, np.float32))
    assert list(tmp_path.iterdir()) == []
