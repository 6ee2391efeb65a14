import h5py
import numpy as np
import pytest
from helpers.mat_objects import opaque
from helpers.recordings import cut, movie, read_all
from scipy.io import savemat

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording


def version5(path, compressed=True, **variables):
    savemat(path, variables, do_compression=compressed)
    return path


def version73(path, **variables):
    """As MATLAB writes it: HDF5 behind a block of 512 bytes, the axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            node = file.create_dataset(name, data=np.asarray(value).T)
            node.attrs["MATLAB_class"] = np.bytes_("uint8")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


BOTH = pytest.mark.parametrize("write", [version5, version73])


@BOTH
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_an_array_of_y_x_time(tmp_path, write, dtype):
    frames = movie(11, dtype=dtype)
    path = write(tmp_path / "a.mat", Y=frames.transpose(1, 2, 0), Fs=np.array([[15.0]]))
    assert np.array_equal(read_all(path), frames)
    with open_recording(path) as recording:
        assert recording.fps == 15
        assert np.array_equal(np.concatenate(list(recording.blocks(2, 9, 3))), frames[2:9])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("within", [True, False])
def test_strings_and_tables_beside_it_are_left_alone(tmp_path, first, within):
    """A whole workspace is often saved; SciPy reads its objects, and can't list them."""
    stack = movie(11).transpose(1, 2, 0)
    variables = {"session": {"Y": stack, "Fs": 15.0}} if within else {"Y": stack, "Fs": 15.0}
    path = version5(tmp_path / "a.mat", compressed=False, **variables)
    content = path.read_bytes()
    header, variables = content[:128], content[128:]
    objects = opaque("mouse", "string") + opaque("log", "table")
    path.write_bytes(header + (objects + variables if first else variables + objects))
    with open_recording(path, key="session.Y" if within else None) as recording:
        assert recording.fps == 15
        assert np.array_equal(np.concatenate(list(recording.blocks(0, 11, 4))), movie(11))


@BOTH
def test_other_axes(tmp_path, write):
    path = write(tmp_path / "a.mat", Y=movie(11))
    assert np.array_equal(read_all(path, axes="tyx"), movie(11))


@BOTH
def test_the_variable_is_chosen(tmp_path, write):
    path = write(
        tmp_path / "a.mat", Y=movie(11).transpose(1, 2, 0), Z=movie(5).transpose(1, 2, 0), mean=movie(1)[0]
    )
    with pytest.raises(InputError, match=r"key="):
        open_recording(path)
    assert len(read_all(path, key="Z")) == 5
    with pytest.raises(InputError, match=r"nearest: mean"):
        open_recording(path, key="men")
    with pytest.raises(InputError, match=r"mean has shape .*three dimensions"):
        open_recording(path, key="mean")


@BOTH
def test_pixels_in_one_column_are_unfolded_by_their_sizes(tmp_path, write):
    """CNMF's and NoRMCorre's way: Y (pixels, time) and Ysiz beside it."""
    frames = movie(11)
    flat = frames.transpose(1, 2, 0).reshape(-1, 11, order="F")
    path = write(tmp_path / "a.mat", Y=flat, Ysiz=np.array([[24.0], [38], [11]]), Fs=np.array([[15.0]]))
    assert np.array_equal(read_all(path), frames)
    assert np.array_equal(read_all(path, key="Y"), frames)
    with open_recording(path) as recording:
        assert recording.fps == 15
        assert np.array_equal(np.concatenate(list(recording.blocks(2, 9, 3))), frames[2:9])


@BOTH
def test_sizes_that_do_not_fit_unfold_nothing(tmp_path, write):
    path = write(tmp_path / "a.mat", Y=np.ones((24 * 38, 11)), Ysiz=np.array([[24.0, 37, 11]]))
    with pytest.raises(InputError, match=r"no .* of three dimensions"):
        open_recording(path)


def test_a_field_of_a_structure(tmp_path):
    frames = movie(11)
    path = version5(tmp_path / "a.mat", data={"Y": frames.transpose(1, 2, 0), "fps": 15.0}, note="x")
    assert np.array_equal(read_all(path), frames)
    assert np.array_equal(read_all(path, key="data.Y"), frames)
    with open_recording(path) as recording:
        assert recording.fps == 15
    with pytest.raises(InputError, match=r"nearest: data\.Y"):
        open_recording(path, key="data.X")


def test_no_stack(tmp_path):
    with pytest.raises(InputError, match=r"no array of three dimensions; there are: a \(3, 3\)"):
        open_recording(version5(tmp_path / "a.mat", a=np.eye(3)))


@pytest.mark.parametrize("compressed", [True, False])
def test_truncated(tmp_path, compressed):
    path = version5(tmp_path / "a.mat", compressed, Y=movie(30).transpose(1, 2, 0))
    cut(path, 0.5)
    with pytest.raises(InputError, match="cut off"):
        read_all(path)


def test_truncated_73(tmp_path):
    path = version73(tmp_path / "a.mat", Y=movie(30).transpose(1, 2, 0))
    cut(path, 0.5)
    with pytest.raises(InputError, match=r"truncated|cut off"):
        read_all(path)


def test_no_matlab_at_all(tmp_path):
    (tmp_path / "a.mat").write_text("hello " * 100)
    with pytest.raises(InputError, match="not a MATLAB file"):
        open_recording(tmp_path / "a.mat")
