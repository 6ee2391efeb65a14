"""Arrays whose axes no one names, with time at either end, in each format that holds arrays."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from scipy.io import savemat
from scipy.ndimage import gaussian_filter

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording


def frames(count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    picture = 100 + 40 * gaussian_filter(rng.normal(size=(30, 44)), 1.5)
    return (picture + rng.normal(0, 4, (count, 30, 44))).clip(0, 255).astype(np.uint8)


def write_hdf5(path, array):
    with h5py.File(path, "w") as file:
        file["mov"] = array


def write_mat73(path, array):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["Y"] = array.T
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


#: ending -> (writes an array, its axes if nothing is said, as a person counts them there)
FORMATS = {
    ".tif": (tifffile.imwrite, "tyx"),
    "_imagej.tif": (lambda path, array: tifffile.imwrite(path, array, imagej=True), "tyx"),
    "_big_endian.tif": (lambda path, array: tifffile.imwrite(path, array, byteorder=">"), "tyx"),
    ".h5": (write_hdf5, "tyx"),
    ".npy": (np.save, "tyx"),
    ".npz": (lambda path, array: np.savez(path, mov=array), "tyx"),
    ".zarr": (lambda path, array: zarr.save(path, array), "tyx"),
    ".mat": (lambda path, array: savemat(path, {"Y": array}), "yxt"),
    "73.mat": (write_mat73, "yxt"),
}


def as_axes(stack: np.ndarray, axes: str) -> np.ndarray:
    return stack.transpose(["tyx".index(axis) for axis in axes])


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("axes", ["tyx", "yxt"])
def test_frames_come_out_as_they_went_in(tmp_path, ending, axes):
    write, usual = FORMATS[ending]
    path = tmp_path / f"a{ending}"
    write(path, as_axes(frames(), axes))
    with open_recording(path) as recording:
        assert recording.shape == (40, 30, 44)
        np.testing.assert_array_equal(np.concatenate(list(recording.stream(0, 40, 7))), frames())
        said = [note for note in recording.notes if "axes=" in note]
    if axes == usual:
        assert said == []
    else:
        end = "first" if axes == "tyx" else "last"
        assert len(said) == 1
        assert said[0].startswith(f"time is the {end} axis of ")
        assert f"read as axes={axes} (axes={usual} for the other way)" in said[0]


@pytest.mark.parametrize("ending", FORMATS)
def test_who_says_which_is_which_is_right(tmp_path, ending):
    write, usual = FORMATS[ending]
    other = {"tyx": "yxt", "yxt": "tyx"}[usual]
    path = tmp_path / f"a{ending}"
    write(path, as_axes(frames(), other))
    with open_recording(path, axes=usual) as recording:
        assert recording.shape != (40, 30, 44)
        assert not any("axes=" in note for note in recording.notes)


def test_an_axis_that_is_named_is_not_guessed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["mov"] = as_axes(frames(), "yxt")
        for axis, name in enumerate(("frame", "height", "width")):
            file["mov"].dims[axis].label = name
    with open_recording(tmp_path / "a.h5") as recording:
        assert recording.shape == (30, 44, 40)


def test_where_nothing_is_certain_the_longest_axis_is_pointed_to(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(20, 30, 90)).astype(np.float32))
    with open_recording(tmp_path / "a.npy") as recording:
        assert recording.shape == (20, 30, 90)
        assert "if the longest axis of (20, 30, 90) is time, axes=yxt" in recording.notes[0]


def test_the_command_says_it(tmp_path, run_command):
    np.save(tmp_path / "a.npy", as_axes(frames(), "yxt"))
    done = run_command("ingest", "input=a.npy", "output=a.h5", "fps=20")
    assert done.status == 0, done.stderr
    assert "40 frames of 30 x 44" in done.stdout
    assert "time is the last axis of (30, 44, 40)" in done.stdout + done.stderr


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_pages_whose_samples_are_frames(tmp_path, compression):
    stack = as_axes(frames(), "yxt")
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        planarconfig="contig",
        photometric="minisblack",
        metadata=None,
        compression=compression,
    )
    with open_recording(tmp_path / "a.tif") as recording:
        assert recording.shape == (40, 30, 44)
        np.testing.assert_array_equal(np.concatenate(list(recording.stream(0, 40, 9))), frames())


def test_compressed_pages_are_turned_when_it_is_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", as_axes(frames(), "yxt"), compression="lzw")
    with open_recording(tmp_path / "a.tif") as recording:
        assert recording.shape == (30, 44, 40)
    for axes, across in (("yxt", (0, 1, 2)), ("xyt", (0, 2, 1))):
        with open_recording(tmp_path / "a.tif", axes=axes) as recording:
            read = np.concatenate(list(recording.stream(0, 40, 9)))
        np.testing.assert_array_equal(read, frames().transpose(across))


@pytest.mark.parametrize("shape", [(1, 40, 30, 44), (40, 1, 30, 44), (40, 30, 44, 1)])
def test_an_axis_of_one_is_nothing(tmp_path, shape):
    np.save(tmp_path / "a.npy", frames().reshape(shape))
    with open_recording(tmp_path / "a.npy") as recording:
        np.testing.assert_array_equal(np.concatenate(list(recording.stream(0, 40, 9))), frames())


def test_a_mask_beside_the_frames_is_no_recording(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["mov"], file["mask"] = frames(), np.ones((1, 30, 44), bool)
    with open_recording(tmp_path / "a.h5") as recording:
        assert recording.shape == (40, 30, 44)


def test_a_few_frames_one_by_one_say_what_to_do(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, frame in enumerate(frames(7)):
            file[f"frame_{number}"] = frame
    with pytest.raises(InputError, match=r"write frames into one dataset \(7, 30, 44\)"):
        open_recording(tmp_path / "a.h5")
