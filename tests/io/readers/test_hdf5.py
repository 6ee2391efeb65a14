import h5py
import hdf5plugin
import numpy as np
import pytest
from helpers.recordings import cut, movie, read_all
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.session import Truth
from calcium_lightning.io.session_writer import SessionWriter


def store(path, name="mov", frames=None, **options):
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=movie(23) if frames is None else frames, **options)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64", ">u2"])
def test_a_dataset_comes_back_exactly(tmp_path, dtype):
    frames = movie(23).astype(dtype)
    assert np.array_equal(read_all(store(tmp_path / "a.h5", frames=frames)), frames)


@settings(deadline=None, max_examples=25)
@given(
    chunks=st.tuples(st.integers(1, 23), st.integers(1, 24), st.integers(1, 38)),
    size=st.integers(1, 30),
    span=st.tuples(st.integers(0, 22), st.integers(1, 23)).filter(lambda span: span[0] < span[1]),
)
def test_any_chunking_gives_the_same_frames(tmp_path_factory, chunks, size, span):
    path = store(tmp_path_factory.mktemp("h") / "a.h5", chunks=chunks, compression="gzip", compression_opts=1)
    with open_recording(path) as recording:
        blocks = list(recording.blocks(*span, size))
    assert np.array_equal(np.concatenate(blocks), movie(23)[slice(*span)])


def test_plugin_compression(tmp_path):
    path = store(tmp_path / "a.h5", chunks=(5, 24, 38), **hdf5plugin.LZ4())
    assert np.array_equal(read_all(path), movie(23))


@pytest.mark.parametrize("order", ["tyx", "txy", "yxt", "xyt", "ytx"])
def test_axes(tmp_path, order):
    stored = movie(23).transpose(["tyx".index(axis) for axis in order])
    path = store(tmp_path / "a.h5", frames=stored, chunks=True)
    assert np.array_equal(read_all(path, axes=order), movie(23))
    with open_recording(path, axes=order) as recording:
        assert np.array_equal(np.concatenate(list(recording.blocks(3, 11, 4))), movie(23)[3:11])


def test_wrong_axes(tmp_path):
    with pytest.raises(InputError, match="axes=tyy"):
        open_recording(store(tmp_path / "a.h5"), axes="tyy")


def test_the_rate_is_found_beside_the_data(tmp_path):
    path = store(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["mov"].attrs["fr"] = 15.0  # CaImAn
    with open_recording(path) as recording:
        assert recording.fps == 15
    with h5py.File(path, "a") as file:
        del file["mov"].attrs["fr"]
        file["Fs"] = 25.0
    with open_recording(path) as recording:
        assert recording.fps == 25


def test_the_only_stack_is_found(tmp_path):
    path = store(tmp_path / "a.h5", "deep/down/mov")
    store(path, "mean", movie(1)[0])
    assert np.array_equal(read_all(path), movie(23))


def test_several_stacks_are_listed(tmp_path):
    store(store(tmp_path / "a.h5", "one"), "two")
    with pytest.raises(InputError, match=r"choose with key=: one, two"):
        open_recording(tmp_path / "a.h5")
    assert len(read_all(tmp_path / "a.h5", key="two")) == 23


def test_a_missing_dataset_lists_the_nearest_names(tmp_path):
    store(store(tmp_path / "a.h5", "movie"), "mean", movie(1)[0])
    with pytest.raises(InputError, match=r"no dataset moovie; nearest: movie; of three dimensions: movie"):
        open_recording(tmp_path / "a.h5", key="moovie")


@pytest.mark.parametrize("frames", [movie(1)[0], movie(6).reshape(2, 3, 24, 38), np.zeros(5)])
def test_wrong_rank(tmp_path, frames):
    path = store(tmp_path / "a.h5", frames=frames)
    with pytest.raises(InputError, match=r"mov has shape .*(expected three dimensions|say which axis)"):
        open_recording(path, key="mov")
    with pytest.raises(InputError, match=r"no dataset of three dimensions.*there are: mov|say which axis"):
        open_recording(path)


@pytest.mark.parametrize("frames", [movie(6).astype("S3"), movie(6).astype(complex)])
def test_wrong_dtype(tmp_path, frames):
    with pytest.raises(InputError, match=r"mov is of type .*expected numbers"):
        open_recording(store(tmp_path / "a.h5", frames=frames), key="mov")


def test_a_truncated_file(tmp_path):
    path = store(tmp_path / "a.h5", frames=movie(60))
    cut(path, 0.6)
    with pytest.raises(InputError, match="truncated HDF5"):
        open_recording(path)


def test_a_corrupt_frame_is_named(tmp_path):
    path = store(tmp_path / "a.h5", chunks=(1, 24, 38), fletcher32=True)
    with h5py.File(path) as file:
        info = file["mov"].id.get_chunk_info_by_coord((17, 0, 0))
    content = bytearray(path.read_bytes())
    content[info.byte_offset + 5] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="frame 17 of mov can't be read"):
        read_all(path)


def test_no_hdf5_at_all(tmp_path):
    (tmp_path / "a.h5").write_text("hello " * 100)
    with pytest.raises(InputError, match="not an HDF5 file"):
        open_recording(tmp_path / "a.h5")


def test_our_own_session(tmp_path):
    path = tmp_path / "s.h5"
    with SessionWriter(
        path, 24, 38, "uint8", 20.0, pixel_size_um=2.0, kind="dff", motion_corrected=True
    ) as writer:
        writer.append(movie(23))
        writer.set_timestamps(np.arange(23) / 20)
        writer.set_shifts(np.ones((23, 2)))
        writer.set_truth(Truth(mask=np.eye(5)))
    assert np.array_equal(read_all(path), movie(23))
    with open_recording(path) as recording:
        assert (recording.fps, recording.pixel_size_um, recording.kind, recording.motion_corrected) == (
            20,
            2,
            "dff",
            True,
        )
        assert np.array_equal(recording.timestamps, np.arange(23) / 20)
        assert recording.shifts.shape == (23, 2)
        assert np.array_equal(recording.truth.mask, np.eye(5))


def test_a_newer_session(tmp_path):
    with SessionWriter(tmp_path / "s.h5", 24, 38, "uint8", 20.0) as writer:
        writer.append(movie(3))
    with h5py.File(tmp_path / "s.h5", "a") as file:
        file.attrs["version"] = 99
    with pytest.raises(InputError, match="version 99"):
        open_recording(tmp_path / "s.h5")


def test_a_cells_file_is_no_recording(tmp_path):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.attrs["format"] = "calcium-lightning-cells"
    with pytest.raises(InputError, match="a cells file"):
        open_recording(tmp_path / "c.h5")


def test_a_missing_file_and_an_unknown_format(tmp_path):
    (tmp_path / "movie.xyz").write_text("hello hello")
    with pytest.raises(InputError, match=r"no such file or folder; nearest: movie.xyz"):
        open_recording(tmp_path / "movie.xy")
    with pytest.raises(InputError, match=r"not a recording of a known format; expected a folder"):
        open_recording(tmp_path / "movie.xyz")


def test_a_file_of_links_names_them(tmp_path):
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file["movie"] = movie(11)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["m"] = h5py.ExternalLink("frames.h5", "movie")
    with pytest.raises(
        InputError, match=r"links to other files: m \(frames\.h5\); give one of these, or its key="
    ):
        open_recording(tmp_path / "a.h5")
    assert np.array_equal(read_all(tmp_path / "a.h5", key="m"), movie(11))
