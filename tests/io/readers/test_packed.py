"""Numbers that are packed as netCDF's conventions say, as xarray writes them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray as xr

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording

DIMENSIONS = ("frame", "height", "width")
MOVIE = np.random.default_rng(0).uniform(20, 200, (40, 24, 32)).astype(np.float32)
PACKED = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 100.0, "_FillValue": -32768}


@pytest.fixture(params=["netcdf", "zarr"])
def packed(request, tmp_path):
    """A movie whose first columns hold no data, as 16-bit integers."""
    movie = MOVIE.copy()
    movie[:, :, :3] = np.nan
    data = xr.Dataset({"movie": xr.DataArray(movie, dims=DIMENSIONS)})
    path = tmp_path / f"movie.{'nc' if request.param == 'netcdf' else 'zarr'}"
    if request.param == "netcdf":
        data.to_netcdf(path, engine="h5netcdf", encoding={"movie": PACKED})
    else:
        data.to_zarr(path, encoding={"movie": PACKED}, consolidated=False)
    return path


def test_packed_frames_are_what_was_packed(packed):
    with open_recording(packed) as recording:
        (frames,) = recording.blocks(0, 40, 40)
        assert recording.dtype == np.float32
        assert any("times 0.01, plus 100, -32768 is no data" in note for note in recording.notes)
    assert np.isnan(frames[:, :, :3]).all()
    np.testing.assert_allclose(frames[:, :, 3:], MOVIE[:, :, 3:], atol=0.0051)


@pytest.mark.parametrize(
    ("attributes", "empty"),
    [
        ({"_FillValue": np.uint8(0)}, True),
        ({"missing_value": np.array([0, 300])}, True),
        ({"_FillValue": 9.97e36}, False),
        ({"_FillValue": np.nan}, False),
        ({"scale_factor": 1.0, "add_offset": 0.0}, False),
        ({"scale_factor": "none", "_FillValue": h5py.Empty("f4")}, False),
    ],
)
def test_only_what_the_numbers_can_hold_stands_for_no_data(tmp_path, attributes, empty):
    frames = np.random.default_rng(1).integers(0, 5, (30, 24, 32)).astype(np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("movie", data=frames).attrs.update(attributes)
    with open_recording(tmp_path / "a.h5") as recording:
        (read,) = recording.blocks(0, 30, 30)
        assert recording.dtype == (np.float32 if empty else np.uint8)
        assert any("is no data" in note for note in recording.notes) == empty
    np.testing.assert_array_equal(np.isnan(read), (frames == 0) & empty)
    np.testing.assert_array_equal(read[~np.isnan(read)], frames[~np.isnan(read)])


def test_netcdf_of_version_3_is_told_and_the_advice_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = xr.Dataset({"movie": xr.DataArray(MOVIE, dims=DIMENSIONS)})
    data.to_netcdf("old.nc", engine="scipy")
    with pytest.raises(InputError, match=r"old\.nc: not an HDF5 file but netCDF of version 3") as refused:
        open_recording("old.nc")
    exec(str(refused.value).split("in Python: ")[1], {"xarray": xr})
    with open_recording("OUT.nc") as recording:
        (frames,) = recording.blocks(0, 40, 40)
    np.testing.assert_array_equal(frames, MOVIE)
