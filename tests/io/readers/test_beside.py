"""Times that lie beside the frames in the same file, in every format that holds arrays."""

import h5py
import numpy as np
import pytest
import zarr
from helpers.recordings import ingested, movie
from scipy import io

from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.writers.matlab import save

N = 40
FRAMES = movie(N)
#: 20 Hz, and a pause of 3 s
TIMES = np.arange(N) * 0.05 + 3 * (np.arange(N) >= 25)
INDEX = np.arange(N)


def hdf5(path, name, values, unit):
    with h5py.File(path / "a.h5", "w") as file:
        file["rec/mov"] = FRAMES
        file[f"rec/{name}"] = values
        if unit:
            file[f"rec/{name}"].attrs["units"] = unit
    return path / "a.h5"


def apart(path, name, values, unit):
    with h5py.File(path / "a.h5", "w") as file:
        for index, frame in enumerate(FRAMES):
            file[f"images/{index}"] = frame
        file[name] = values
        if unit:
            file[name].attrs["units"] = unit
    return path / "a.h5"


def netcdf(path, name, values, unit):
    with h5py.File(path / "a.nc", "w") as file:
        for axis, length in (("y", values), ("height", np.arange(24)), ("width", np.arange(38))):
            label = name if axis == "y" else axis
            file[label] = length
            file[label].make_scale(label)
        file[name].attrs["units"] = unit
        file["mov"] = FRAMES
        for axis, label in enumerate((name, "height", "width")):
            file["mov"].dims[axis].attach_scale(file[label])
    return path / "a.nc"


def npz(path, name, values, unit):
    np.savez(path / "a.npz", mov=FRAMES, **{name: values})
    return path / "a.npz"


def store(path, name, values, unit):
    root = zarr.open_group(str(path / "a.zarr"), mode="w")
    root.create_array("mov", data=FRAMES).attrs["_ARRAY_DIMENSIONS"] = [name, "y", "x"]
    root.create_array(name, data=values).attrs["units"] = unit
    return path / "a.zarr"


def matlab(path, name, values, unit):
    io.savemat(path / "a.mat", {"Y": FRAMES.transpose(1, 2, 0), name: values})
    return path / "a.mat"


def matlab73(path, name, values, unit):
    save(path / "a.mat", {"Y": FRAMES.transpose(1, 2, 0), name: values[:, None]}, overwrite=True)
    return path / "a.mat"


ANY = (hdf5, apart, npz, store, matlab, matlab73)


@pytest.mark.parametrize("write", ANY)
@pytest.mark.parametrize(("name", "scale"), [("timestamps", 1.0), ("t", 1e3), ("frame_times", 1e6)])
def test_times_beside_the_frames_are_taken(tmp_path, write, name, scale):
    session, notes = ingested(write(tmp_path, name, TIMES * scale, ""), tmp_path)
    np.testing.assert_allclose(session.timestamps, TIMES, atol=1e-9)
    assert session.fps == pytest.approx(20)
    assert session.bad_frames.nonzero()[0].tolist() == [25]
    assert any(note.endswith(f"times from {name}") or f"/{name}" in note for note in notes)


@pytest.mark.parametrize("write", [hdf5, netcdf, store])
@pytest.mark.parametrize(
    ("unit", "scale"), [("seconds", 1), ("milliseconds since 2026-03-04T14:30:12", 1000), ("ns", 10**9)]
)
def test_their_unit_is_taken_from_where_it_stands(tmp_path, write, unit, scale):
    with open_recording(write(tmp_path, "time", np.rint(TIMES * scale * 20).astype(int), unit)) as recording:
        np.testing.assert_allclose(recording.timestamps, TIMES * 20, atol=1e-3)


@pytest.mark.parametrize("write", ANY)
def test_what_only_counts_the_frames_is_no_time(tmp_path, write):
    for values in (INDEX, INDEX[::-1], np.zeros(N)):
        with open_recording(write(tmp_path, "time", values, "")) as recording:
            assert (recording.timestamps, recording.fps) == (None, None)
            assert not any("times" in note for note in recording.notes)


def test_a_rate_that_the_times_contradict_is_said(tmp_path):
    np.savez(tmp_path / "a.npz", mov=FRAMES, fps=25.0, timestamps=TIMES)
    session, notes = ingested(tmp_path / "a.npz", tmp_path)
    assert session.fps == pytest.approx(20)
    assert "20 Hz by the time stamps (nominal: 25 Hz)" in notes
    session, _ = ingested(tmp_path / "a.npz", tmp_path, fps=20.0, stop=30)
    np.testing.assert_allclose(session.timestamps, TIMES[:30], atol=1e-9)


def test_dates_of_numpy(tmp_path):
    began = np.datetime64("2026-03-04T14:30:12")
    np.savez(tmp_path / "a.npz", mov=FRAMES, times=began + (TIMES * 1e3).round().astype("m8[ms]"))
    with open_recording(tmp_path / "a.npz") as recording:
        np.testing.assert_allclose(recording.timestamps, TIMES, atol=1e-5)
        assert recording.about["session_start_time"].startswith("2026-03-04T14:30:12")


def test_a_few_too_many_and_no_unit_are_said(tmp_path):
    np.savez(tmp_path / "a.npz", mov=FRAMES, times=np.arange(N + 1) / 20, t=TIMES * 1e13, time=np.arange(9.0))
    with open_recording(tmp_path / "a.npz") as recording:
        assert recording.timestamps is None
        assert recording.notes[-2:] == (
            "no times from times (41 for 40 frames)",
            "no times from t (its times are in no unit that gives a frame rate)",
        )
