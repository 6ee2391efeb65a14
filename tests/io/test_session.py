"""The session file: round trips, the contract as plain h5py sees it, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, random_array

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.session import Session, Truth
from calcium_lightning.io.session_writer import SessionWriter

ROUND_TRIPS = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def some_frames(shape: tuple[int, int, int], dtype: str, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    if dtype == "float32":
        return random.normal(size=shape).astype(np.float32)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def write(path: Path, frames: np.ndarray, *, truth: Truth | None = None, **options) -> Path:
    with SessionWriter(path, *frames.shape[1:], frames.dtype, options.pop("fps", 20.0), **options) as writer:
        writer.append(frames)
        if truth is not None:
            writer.set_truth(truth)
    return path


def some_truth(frames: int, height: int, width: int, count: int = 3) -> Truth:
    random = np.random.default_rng(1)
    return Truth(
        shifts=random.normal(size=(frames, 2)).astype(np.float32),
        footprints=csr_matrix(
            random_array((count, height * width), density=0.2, rng=random, dtype=np.float32)
        ),
        traces=random.random((count, frames), np.float32),
        spikes=random.random((count, frames), np.float32),
        amplitude=random.random(count, np.float32),
        mask=random.integers(0, 2, (height * 2, width * 3), dtype=np.uint8),
    )


@ROUND_TRIPS
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 30), st.integers(1, 30)),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    fps=st.floats(0.01, 1000),
    pixel_size=st.none() | st.floats(0.01, 50),
    kind=st.sampled_from(["raw", "dff"]),
    corrected=st.booleans(),
    compression=st.sampled_from([None, "none", "gzip", "lz4"]),
    pieces=st.integers(1, 5),
)
def test_what_is_written_is_read(
    tmp_path, shape, dtype, fps, pixel_size, kind, corrected, compression, pieces
):
    frames = some_frames(shape, dtype)
    path = tmp_path / "s, with=odd name.h5"
    truth = some_truth(*shape)
    shifts, times = truth.shifts * 2, np.arange(shape[0]) / fps
    options = {
        "pixel_size_um": pixel_size,
        "kind": kind,
        "motion_corrected": corrected,
        "compression": compression,
    }
    with SessionWriter(path, *shape[1:], dtype, fps, overwrite=True, **options) as writer:
        for piece in np.array_split(frames, pieces):
            writer.append(piece)
        writer.set_timestamps(times)
        writer.set_shifts(shifts)
        writer.set_truth(truth)
    with Session(path) as session:
        assert (session.shape, session.dtype) == (shape, np.dtype(dtype))
        assert (session.fps, session.pixel_size_um, session.kind) == (fps, pixel_size, kind)
        assert session.motion_corrected is corrected
        np.testing.assert_array_equal(session.frames(), frames)
        np.testing.assert_array_equal(session.timestamps, times)
        np.testing.assert_array_equal(session.shifts, shifts)
        read = session.truth
        for name in ("shifts", "traces", "spikes", "amplitude", "mask"):
            np.testing.assert_array_equal(getattr(read, name), getattr(truth, name))
        assert abs(read.footprints - truth.footprints).nnz == 0


def test_plain_h5py_finds_what_the_contract_says(tmp_path):
    frames = some_frames((70, 12, 17), "uint16")
    path = write(tmp_path / "a.h5", frames, pixel_size_um=1.5, truth=some_truth(70, 12, 17))
    with h5py.File(path) as file:
        assert file.attrs["format"] == "calcium-lightning-session"
        assert file.attrs["version"] == 1
        data = file["frames"]
        assert dict(data.attrs) == {
            "fps": 20.0,
            "kind": "raw",
            "motion_corrected": False,
            "pixel_size_um": 1.5,
        }
        assert data.chunks[1:] == (12, 17)  # whole frames
        np.testing.assert_array_equal(data[...], frames)
        assert file["truth/footprints"].attrs["shape"].tolist() == [3, 12, 17]
        types = {name: file[f"truth/{name}"].dtype.name for name in ("shifts", "traces", "amplitude", "mask")}
        assert types == {"shifts": "float32", "traces": "float32", "amplitude": "float32", "mask": "uint8"}


def test_a_minimal_file_by_other_hands_is_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update(format=np.bytes_("calcium-lightning-session"), version=1)
        file["frames"] = np.ones((3, 4, 5), np.uint8)  # not chunked
        file["frames"].attrs.update(fps=5, kind=np.bytes_("dff"))
        file["something/else"] = 1
    session = Session(tmp_path / "a.h5")
    assert (session.fps, session.kind, session.truth, session.shifts) == (5.0, "dff", None, None)
    assert [start for start, _ in session.chunks()] == [0]


@ROUND_TRIPS
@given(length=st.integers(1, 200), count=st.none() | st.integers(1, 300))
def test_chunks_cover_the_session_once_on_the_files_chunks(tmp_path, length, count):
    frames = some_frames((length, 3, 4), "uint8")
    session = Session(write(tmp_path / "a.h5", frames, overwrite=True))
    blocks = list(session.chunks(count))
    assert all(start % session.chunk_frames == 0 for start, _ in blocks)
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), frames)
    session.close()


@ROUND_TRIPS
@given(ends=st.tuples(st.integers(0, 200), st.integers(0, 200)), count=st.none() | st.integers(1, 300))
def test_any_part_is_cut_on_the_files_chunks(tmp_path, ends, count):
    session = Session(write(tmp_path / "a.h5", some_frames((200, 3, 4), "uint8"), overwrite=True))
    session.chunk_frames = 16
    (start, stop), spans = sorted(ends), session.spans(*sorted(ends), count)
    assert [frame for span in spans for frame in range(*span)] == list(range(start, stop))
    assert all(low % 16 == 0 for low, _ in spans[1:])
    assert all(high - low <= max(16, (count or 0) + 8) for low, high in spans)
    session.close()


def test_where_and_when_there_is_no_picture_is_kept(tmp_path):
    field, bad = np.arange(30).reshape(5, 6) > 7, np.arange(9) % 4 == 3
    with SessionWriter(tmp_path / "a.h5", 5, 6, "uint8", 20.0) as writer:
        writer.append(some_frames((9, 5, 6), "uint8"))
        writer.set_field(field)
        writer.set_bad_frames(bad)
    session = Session(tmp_path / "a.h5")
    np.testing.assert_array_equal(session.field, field)
    np.testing.assert_array_equal(session.bad_frames, bad)
    plain = Session(write(tmp_path / "b.h5", some_frames((9, 5, 6), "uint8")))
    assert plain.field.shape == (5, 6)
    assert plain.field.all()
    assert plain.bad_frames.shape == (9,)
    assert not plain.bad_frames.any()
    with (
        pytest.raises(InputError, match="no pixel of the field"),
        SessionWriter(tmp_path / "c.h5", 5, 6, "uint8", 20.0) as writer,
    ):
        writer.set_field(np.zeros((5, 6), bool))


def test_a_pickled_session_opens_the_file_again(tmp_path):
    frames = some_frames((9, 4, 5), "uint8")
    session = Session(write(tmp_path / "a.h5", frames))
    copy = pickle.loads(pickle.dumps(session))
    session.close()
    np.testing.assert_array_equal(copy.frames(2, 99), frames[2:])
    np.testing.assert_array_equal(session.frames(0, 2), frames[:2])  # a closed one, too


def test_the_hash_is_of_the_bytes(tmp_path):
    import hashlib

    path = write(tmp_path / "a.h5", some_frames((3, 4, 5), "uint8"))
    assert Session(path).sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_writer_that_is_broken_off_leaves_nothing(tmp_path, error):
    with pytest.raises(error), SessionWriter(tmp_path / "a.h5", 4, 5, "uint8", 20.0) as writer:  # noqa: PT012
        writer.append(np.zeros((3, 4, 5), np.uint8))
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"dtype": "int32"}, "uint8, uint16 or float32, not int32"),
        ({"kind": "jpeg"}, "kind=jpeg"),
        ({"fps": 0.0}, "fps=0.0"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"pixel_size_um": -1.0}, "pixel_size_um=-1.0"),
        ({"compression": "zip"}, "compression=zip"),
    ],
)
def test_a_writer_refuses_what_breaks_the_contract(tmp_path, options, line):
    arguments = {"dtype": "uint8", "fps": 20.0, **options}
    with pytest.raises(InputError, match=line):
        SessionWriter(tmp_path / "a.h5", 4, 5, arguments.pop("dtype"), arguments.pop("fps"), **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frames", "line"),
    [
        (np.zeros((2, 4, 6), np.float32), r"frame 3 has shape \(4, 6\), the first had \(4, 5\)"),
        (np.zeros((2, 4, 5), np.uint8), "frame 3 is of type uint8"),
        (np.array([0, 0, np.nan, 0]).repeat(20).reshape(4, 4, 5).astype(np.float32), "frame 5 holds NaN"),
        (
            np.array([np.inf, 0]).repeat(20).reshape(2, 4, 5).astype(np.float32),
            "frame 3 holds NaN or infinite",
        ),
    ],
)
def test_a_bad_frame_is_named_and_nothing_is_left(tmp_path, frames, line):
    with (  # noqa: PT012
        pytest.raises(InputError, match=line),
        SessionWriter(tmp_path / "a.h5", 4, 5, "float32", 20.0) as writer,
    ):
        writer.append(np.zeros((3, 4, 5), np.float32))
        writer.append(frames)
    assert list(tmp_path.iterdir()) == []


def test_a_session_without_frames_is_refused(tmp_path):
    with (
        pytest.raises(InputError, match=r"a\.h5: no frames"),
        SessionWriter(tmp_path / "a.h5", 4, 5, "uint8", 20.0),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["shifts", "traces", "spikes", "amplitude", "footprints", "mask"])
def test_a_truth_that_does_not_fit_is_refused(tmp_path, name):
    from dataclasses import replace

    truth = some_truth(6, 4, 5)
    wrong = csr_matrix((3, 21)) if name == "footprints" else np.ones((7, 7, 7), np.float32)
    with pytest.raises(InputError, match=name):
        write(tmp_path / "a.h5", some_frames((6, 4, 5), "uint8"), truth=replace(truth, **{name: wrong}))
    assert list(tmp_path.iterdir()) == []


def damage(path: Path, change) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda f: f.attrs.update(version=2), "version 2, this package reads up to 1"),
        (lambda f: f.attrs.update(version=0), "version 0"),
        (lambda f: f.attrs.update(version="one"), "version one"),
        (lambda f: f.attrs.__delitem__("version"), "version None"),
        (lambda f: f.attrs.update(format="calcium-lightning-cells"), "is a 'calcium-lightning-cells' file"),
        (lambda f: f.attrs.__delitem__("format"), "ingest key=DATASET"),
        (lambda f: f.move("frames", "frame"), "no dataset /frames; nearest: frame"),
        (lambda f: f["frames"].attrs.__delitem__("fps"), "/frames has no attribute fps"),
        (lambda f: f["frames"].attrs.update(fps=-2.0), "/frames has no attribute fps"),
        (lambda f: f["frames"].attrs.update(fps="fast"), "fps"),
        (lambda f: f["frames"].attrs.update(kind="movie"), "kind 'movie'"),
        (
            lambda f: (f.__delitem__("frames"), f.update(frames=np.zeros((3, 4)))),
            r"/frames has shape \(3, 4\)",
        ),
        (
            lambda f: (f.__delitem__("frames"), f.update(frames=np.zeros((3, 4, 5), "i8"))),
            "/frames is of type int64",
        ),
        (lambda f: (f.__delitem__("frames"), f.update(frames=np.zeros((0, 4, 5), "u1"))), "/frames is empty"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused_by_name(tmp_path, change, line):
    path = damage(write(tmp_path / "a.h5", some_frames((6, 4, 5), "uint8")), change)
    with pytest.raises(InputError, match=line) as caught:
        Session(path)
    assert str(path) in str(caught.value)


def test_what_is_no_session_at_all_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", some_frames((600, 40, 50), "uint8"))
    whole = path.read_bytes()
    (tmp_path / "short.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_text("hello")
    (tmp_path / "empty.h5").write_bytes(b"")
    for name, line in (
        ("short.h5", "truncated"),
        ("text.h5", "not an HDF5 file"),
        ("empty.h5", "the file is empty; copy it again"),
        ("nowhere.h5", "no such file"),
        (".", "is a folder"),
    ):
        with pytest.raises(InputError, match=line):
            Session(tmp_path / name)


def test_damaged_and_infinite_frames_are_named_when_they_are_read(tmp_path):
    frames = some_frames((40, 30, 50), "float32")
    path = write(tmp_path / "a.h5", frames)
    damage(path, lambda f: f["frames"].__setitem__((33, 2, 1), np.inf))
    session = Session(path)
    session.frames(0, 33)
    with pytest.raises(InputError, match=r"a\.h5: /frames 33 holds NaN or infinite"):
        session.frames(20, 40)
    packed = write(tmp_path / "b.h5", frames, compression="gzip")
    with h5py.File(packed) as file:
        chunk = file["frames"].id.get_chunk_info(0)
    content = bytearray(packed.read_bytes())
    content[chunk.byte_offset + 20 : chunk.byte_offset + 2000] = bytes(1980)
    packed.write_bytes(content)
    with pytest.raises(InputError, match=r"b\.h5: /frames 0 to 39 can't be read"):
        Session(packed).frames()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("timestamps", np.zeros(5)),
        ("shifts", np.zeros((6, 3))),
        ("field", np.ones((5, 4))),
        ("bad_frames", np.zeros(5)),
        ("truth/traces", np.zeros((2, 6))),
        ("truth/mask", np.zeros(3)),
    ],
)
def test_optional_datasets_of_a_wrong_shape_are_named(tmp_path, name, array):
    path = write(tmp_path / "a.h5", some_frames((6, 4, 5), "uint8"), truth=some_truth(6, 4, 5))

    def change(file):
        if name in file:
            del file[name]
        file[name] = array

    session = Session(damage(path, change))
    with pytest.raises(InputError, match=rf"a\.h5: /{name} has shape"):
        _ = (session.timestamps, session.shifts, session.field, session.bad_frames, session.truth)
