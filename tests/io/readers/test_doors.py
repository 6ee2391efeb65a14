"""Formats that other programs work in: each gives the frames that were written, or one clear line."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from helpers.isxd import write_isxd
from helpers.recordings import advice, cut, ingested, movie, read_all

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording

FRAMES = movie(20, dtype="uint16")
BOTH = np.stack([FRAMES, FRAMES // 2], axis=1)


def test_npy(tmp_path):
    for array in (FRAMES, FRAMES.astype(">u2"), np.asfortranarray(FRAMES), movie(20, dtype="float32")):
        np.save(tmp_path / "a.npy", array)
        assert np.array_equal(read_all(tmp_path / "a.npy"), array)
    np.save(tmp_path / "a.npy", np.repeat(movie(20)[..., None], 3, 3))
    assert np.array_equal(read_all(tmp_path / "a.npy"), movie(20))
    np.save(tmp_path / "a.npy", BOTH)
    assert np.array_equal(read_all(tmp_path / "a.npy", axes="tcyx", channel=1), FRAMES // 2)
    with pytest.raises(InputError, match=r"shape \(20, 2, 24, 38\).*axes=tcyx"):
        open_recording(tmp_path / "a.npy")


def test_npy_that_was_cut_off(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES)
    cut(tmp_path / "a.npy", 0.5)
    with pytest.raises(InputError, match="promises 20 frames and 9 are there") as error:
        ingested(tmp_path / "a.npy", tmp_path, fps=20.0)
    read = ingested(tmp_path / "a.npy", tmp_path, fps=20.0, **advice(str(error.value)))[0]
    assert np.array_equal(read.frames(), FRAMES[:9])


def test_npz(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", Y=FRAMES, fps=15.0, mean=FRAMES.mean(0))
    assert np.array_equal(read_all(tmp_path / "a.npz"), FRAMES)
    with open_recording(tmp_path / "a.npz") as recording:
        assert recording.fps == 15
    np.savez(tmp_path / "a.npz", one=FRAMES, two=FRAMES[:5])
    with pytest.raises(InputError, match=r"choose with key=; there are: one \(20, 24, 38\), two"):
        open_recording(tmp_path / "a.npz")
    assert len(read_all(tmp_path / "a.npz", key="two")) == 5


def test_objects_in_npy_are_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a.npy: Python objects.*never loaded; save .* numbers"):
        open_recording(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", mov=FRAMES, about=np.array([{"a": 1}], dtype=object))
    assert np.array_equal(read_all(tmp_path / "a.npz"), FRAMES)
    with pytest.raises(InputError, match=r"about: Python objects"):
        open_recording(tmp_path / "a.npz", key="about")


def test_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "broken.tif").symlink_to("gone/rec.tif")
    with pytest.raises(InputError, match=r"broken.tif: a link to gone/rec.tif, which isn't there"):
        open_recording(tmp_path / "broken.tif")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr(tmp_path, version):
    array = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=FRAMES.shape, chunks=(7, 24, 38), dtype="u2", zarr_format=version
    )
    array[:] = FRAMES
    array.attrs["fps"] = 20
    assert np.array_equal(read_all(tmp_path / "a.zarr"), FRAMES)
    with open_recording(tmp_path / "a.zarr") as recording:
        assert recording.fps == 20


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr(tmp_path, version):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=version)
    for level, data in enumerate((BOTH[:, :, None], BOTH[:, :, None, ::2, ::2])):
        array = group.create_array(
            str(level), shape=data.shape, chunks=(7, 1, 1, *data.shape[3:]), dtype="u2"
        )
        array[:] = data
    units = {"t": "millisecond", "y": "micrometer", "x": "micrometer"}
    axes = [{"name": name, **({"unit": units[name]} if name in units else {})} for name in "tczyx"]
    levels = [
        {
            "path": str(n),
            "coordinateTransformations": [{"type": "scale", "scale": [50, 1, 1, 2 * 2**n, 2 * 2**n]}],
        }
        for n in range(2)
    ]
    described = {"multiscales": [{"axes": axes, "datasets": levels}]}
    group.attrs.update(described if version == 2 else {"ome": described})
    with pytest.raises(InputError, match="2 channels"):
        open_recording(tmp_path / "a.zarr")
    assert np.array_equal(read_all(tmp_path / "a.zarr", channel=1), FRAMES // 2)
    with open_recording(tmp_path / "a.zarr", channel=0) as recording:
        assert recording.fps == pytest.approx(20)
        assert recording.pixel_size_um == pytest.approx(2)


def test_minian_and_damage(tmp_path):
    group = zarr.open_group(str(tmp_path / "Y.zarr"), mode="w", zarr_format=2)
    array = group.create_array("Y", shape=FRAMES.shape, chunks=(5, 24, 38), dtype="u2")
    array[:] = FRAMES
    array.attrs["_ARRAY_DIMENSIONS"] = ["frame", "height", "width"]
    group.create_array("frame", shape=(20,), dtype="i8")[:] = np.arange(20)
    assert np.array_equal(read_all(tmp_path / "Y.zarr"), FRAMES)
    assert np.array_equal(read_all(tmp_path), FRAMES)
    (tmp_path / "Y.zarr" / "Y" / "2.0.0").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"frame 10 can't be read.*stop=10 takes"):
        read_all(tmp_path / "Y.zarr")


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_memory_map_of_caiman(tmp_path, order):
    frames = movie(20, dtype="float32")
    pixels = frames.transpose(1, 2, 0).reshape(24 * 38, 20, order="F")
    path = tmp_path / f"Yr_rig__d1_24_d2_38_d3_1_order_{order}_frames_20.mmap"
    np.memmap(path, np.float32, "w+", shape=pixels.shape, order=order)[:] = pixels
    assert np.array_equal(read_all(path), frames)
    with h5py.File(tmp_path / "results.hdf5", "w") as file:
        file["estimates/A/data"] = [1.0]
        file["mmap_file"] = f"C:\\elsewhere\\{path.name}".encode()
        file["params/data/fr"] = 20.0
    assert np.array_equal(read_all(tmp_path / "results.hdf5"), frames)
    cut(path, 0.5)
    with pytest.raises(InputError, match=r"10 are there.*stop=10|bytes, its name says"):
        read_all(path)
    path.unlink()
    with pytest.raises(InputError, match=rf"their movie {path.name} isn't beside"):
        open_recording(tmp_path / "results.hdf5")


class Harmful:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_suite2p_without_running_what_its_settings_hold(tmp_path):
    plane = tmp_path / "suite2p" / "plane0"
    plane.mkdir(parents=True)
    (FRAMES // 2).astype("<i2").tofile(plane / "data.bin")
    ops = {"Ly": 24, "Lx": 38, "nframes": 20, "fs": 20.0, "yoff": np.zeros(20), "save_path": Path("/x")}
    np.save(plane / "ops.npy", {**ops, "trap": Harmful(tmp_path / "ran")}, allow_pickle=True)
    for path in (plane / "data.bin", plane, tmp_path / "suite2p"):
        assert np.array_equal(read_all(path), FRAMES // 2)
    with open_recording(plane) as recording:
        assert recording.fps == 20
        assert recording.motion_corrected
    assert not (tmp_path / "ran").exists()
    (plane / "ops.npy").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"not (Suite2p's settings|a file of Suite2p's)"):
        open_recording(plane)


def test_raw_numbers_with_a_told_shape(tmp_path):
    FRAMES.astype(">u2").tofile(tmp_path / "a.raw")
    for shape in ((20, 24, 38), (24, 38)):
        assert np.array_equal(read_all(tmp_path / "a.raw", shape=shape, dtype=">u2"), FRAMES)
    with pytest.raises(InputError, match=r"shape=\[T,H,W\].*dtype="):
        open_recording(tmp_path / "a.raw")
    for shape, dtype, message in (
        ((24, 39), "uint16", "19 frames of 24 x 39 uint16 and 912 bytes more"),
        ((15, 24, 38), "uint16", r"20 frames .* not 15"),
        ((24, 38), "numbers", "dtype=numbers: not a type"),
        ((24,), "uint16", r"shape=\[24\]: expected"),
    ):
        with pytest.raises(InputError, match=message):
            open_recording(tmp_path / "a.raw", shape=shape, dtype=dtype)
    with pytest.raises(InputError, match=r"promises 30 frames and 20 are there.*stop=20"):
        read_all(tmp_path / "a.raw", shape=(30, 24, 38), dtype=">u2")


@pytest.mark.parametrize(("dtype", "code"), [("uint16", 0), ("float32", 1), ("uint8", 2)])
@pytest.mark.parametrize("padding", [0, 5120])
def test_isxd(tmp_path, dtype, code, padding):
    frames = movie(20, dtype=dtype)
    path = write_isxd(tmp_path / "a.isxd", frames, code=code, padding=padding)
    assert np.array_equal(read_all(path), frames)
    with open_recording(path) as recording:
        assert recording.fps == 20
        assert recording.about == {
            "subject_id": "M7",
            "device": "NVista3",
            "session_start_time": "2020-09-13T14:26:40.000+02:00",
        }


def test_isxd_with_dropped_frames_and_cuts(tmp_path):
    path = write_isxd(tmp_path / "a.isxd", np.delete(FRAMES, [5, 6, 12], 0), 20, dropped=[5, 6, 12])
    read = ingested(path, tmp_path)[0]
    assert read.bad_frames.nonzero()[0].tolist() == [5, 6, 12]
    good = ~read.bad_frames
    assert np.array_equal(read.frames()[good], FRAMES[good])
    assert np.array_equal(read.frames()[5], FRAMES[4])
    path = write_isxd(tmp_path / "b.isxd", np.delete(FRAMES, range(5, 9), 0), 20, cropped=[[5, 8]])
    with open_recording(path) as recording:
        assert recording.n_frames == 16
        np.testing.assert_allclose(np.diff(recording.timestamps)[[3, 4, 5]], [0.05, 0.25, 0.05])
    assert np.array_equal(read_all(path), np.delete(FRAMES, range(5, 9), 0))


def test_isxd_of_another_kind(tmp_path):
    path = write_isxd(tmp_path / "a.isxd", FRAMES)
    path.write_bytes(path.read_bytes().replace(b'"type": 0', b'"type": 3'))
    with pytest.raises(InputError, match="of another kind, not a movie"):
        open_recording(path)


def test_frames_that_were_never_written(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("m", FRAMES.shape, "u2", chunks=(4, 24, 38))
        dataset[:12] = FRAMES[:12]
        file.create_dataset("empty", FRAMES.shape, "u2", chunks=(4, 24, 38))
    with pytest.raises(InputError, match=r"promises 20 frames and 12 are there.*stop=12"):
        read_all(tmp_path / "a.h5", key="m")
    with pytest.raises(InputError, match="made for 20 frames, none are there"):
        open_recording(tmp_path / "a.h5", key="empty")


def test_channels_and_planes_of_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["m"] = BOTH
    with pytest.raises(InputError, match=r"shape \(20, 2, 24, 38\); say which axis is which"):
        open_recording(tmp_path / "a.h5")
    assert np.array_equal(read_all(tmp_path / "a.h5", axes="tcyx", channel=1), FRAMES // 2)
    assert np.array_equal(read_all(tmp_path / "a.h5", axes="tzyx", plane=0), FRAMES)
    with pytest.raises(InputError, match="axes=tqyx: expected an order of the letters"):
        open_recording(tmp_path / "a.h5", axes="tqyx")


def test_a_zarr_that_promises_what_hardly_any_piece_is_there_of_is_not_read_as_black(tmp_path):
    zarr.open_group(tmp_path / "a.zarr", mode="w").create_array("movie", data=FRAMES, chunks=(4, 24, 38))
    about = tmp_path / "a.zarr/movie/zarr.json"
    about.write_text(about.read_text().replace('"shape": [\n    20,', '"shape": [\n    2000000,', 1))
    with pytest.raises(InputError, match=r"in 500000 pieces, and is of 7 files"):
        open_recording(tmp_path / "a.zarr")
