"""Other programs' formats, read by those programs' libraries, or by what they stand on."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import roifile
import tifffile
import xarray as xr
from helpers.example_cells import decided, make_example, take
from pymatreader import read_mat
from scipy.sparse import csc_matrix, csr_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.exports import export
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.writers.table import WRITERS, Export, chosen_cells, find_writer

FORMATS = [item.format for item in WRITERS if not item.movie]
OTHERS = [name for name in FORMATS if name not in ("csv", "parquet", "nwb")]
ENDING = {"mat": ".mat", "cellreg": ".mat", "caiman": ".hdf5", "netcdf": ".nc", "imagej": ".zip"}


@pytest.fixture(scope="module")
def cells():
    return make_example()[0]


@pytest.fixture
def write(cells, tmp_path):
    """Write the accepted cells, or given ones, in a format; the path, and which rows they are."""

    def written(format, chosen=None, rejected=False):
        some, rows = chosen_cells(cells if chosen is None else chosen, rejected)
        path = tmp_path / f"{format}{ENDING.get(format, '')}"
        find_writer(format).write(some, path, Export(ids=rows))
        return path, rows

    return written


def told(format, path):
    """Columns of a written file, as lists."""
    if format == "mat":
        read = read_mat(path)["decisions"]  # empty text is an empty array
        return {name: [value if np.size(value) else "" for value in values] for name, values in read.items()}
    if format == "netcdf":
        with xr.open_dataset(path) as data:
            return {name: values.values.tolist() for name, values in data.items() if values.dims == ("cell",)}
    if format == "nwb":
        from pynwb import NWBHDF5IO

        with NWBHDF5IO(path, "r") as file:
            table = file.read().processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
            return {name: list(table[name][:]) for name in ("by_hand", "origin", "labels", "note")}
    if format == "parquet":
        return pd.read_parquet(path / "cells.parquet").to_dict("list")
    file = path / ("centers.csv" if format == "napari" else "cells.csv")
    return pd.read_csv(file, keep_default_na=False).to_dict("list")


@pytest.mark.parametrize("format", ["csv", "parquet", "nwb", "mat", "netcdf", "napari"])
@pytest.mark.parametrize("rejected", [False, True])
def test_what_a_person_decided_goes_along(format, rejected, cells, write):
    path, rows = write(format, decided(cells), rejected)
    found = {name: list(found) for name, found in told(format, path).items()}
    second = rows.tolist().index(1)
    assert (0 in rows) == rejected
    assert found["labels"][second] == "late; place cell"
    assert found["note"][second].lstrip("'") == "=dim at the end"
    assert found["note"][second].startswith("'") == (format in ("csv", "napari"))  # no formula for a table
    assert found["origin"][-1] == "drawn"
    assert set(found["origin"][:-1]) == {"found"}
    assert [int(value) for value in found["by_hand"]] == [-1] * rejected + [0] * (len(rows) - rejected)


def images(cells):
    return cells.footprints.toarray().reshape(-1, *cells.frame_shape)


def test_matlab(cells, write):
    path, rows = write("mat")
    read = read_mat(path)
    np.testing.assert_allclose(read["A"].transpose(2, 0, 1), images(cells)[rows])
    for name, values in (("C_raw", cells.traces), ("C", cells.denoised), ("S", cells.spikes)):
        np.testing.assert_array_equal(read[name], values[rows])
    np.testing.assert_allclose(read["dff"], cells.traces[rows] / 80, rtol=1e-5)
    np.testing.assert_allclose(read["centroid"] - 1, cells.centers[rows], rtol=1e-6)
    assert read["cell_id"].tolist() == rows.tolist()
    assert read["fs"] == 20
    assert read["accepted"].tolist() == [1] * len(rows)
    assert set(read["events"]["cell_id"]) <= set(rows)
    np.testing.assert_allclose(read["quality"]["snr"], cells.quality["snr"][rows])
    assert read["session"] == cells.session
    with h5py.File(path) as file:  # as MATLAB has it: columns, and the header that its load looks for
        assert file["time"].shape == (1, cells.n_frames)
        assert file["C"].attrs["MATLAB_class"] == b"single"
        assert file["accepted"].attrs["MATLAB_class"] == b"logical"
    assert path.read_bytes()[:19] == b"MATLAB 7.3 MAT-file"


def test_matlab_of_one_cell_and_of_none(cells, write):
    path, _ = write("mat", take(cells, np.arange(1)), rejected=True)
    assert np.squeeze(read_mat(path)["A"]).shape == cells.frame_shape


def test_cellreg(cells, write):
    """CellReg takes the only variable of the file, cells first."""
    path, rows = write("cellreg")
    read = read_mat(path)
    assert list(read) == ["footprints"]
    np.testing.assert_allclose(read["footprints"], images(cells)[rows])


def test_napari(cells, write):
    """As napari's own readers take it: shapes and points as CSV, pictures and labels as TIFF."""
    path, rows = write("napari")
    size = cells.frame_shape
    for name in ("mean", "maximum", "labels"):
        assert tifffile.imread(path / f"{name}.tif").shape == size
    labels = tifffile.imread(path / "labels.tif")
    centers = pd.read_csv(path / "centers.csv")
    assert list(centers.columns[:5]) == ["index", "axis-0", "axis-1", "cell", "accepted"]
    assert centers["cell"].tolist() == rows.tolist()
    np.testing.assert_allclose(centers[["axis-0", "axis-1"]], cells.centers[rows], atol=1e-3)
    for number, (y, x) in zip(centers["cell"], cells.centers[rows].round().astype(int), strict=True):
        assert labels[y, x] == number + 1
    shapes = pd.read_csv(path / "outlines.csv")
    assert list(shapes.columns) == ["index", "shape-type", "vertex-index", "axis-0", "axis-1"]
    middles = shapes.groupby("index")[["axis-0", "axis-1"]].agg(lambda part: (part.min() + part.max()) / 2)
    np.testing.assert_allclose(middles, cells.centers[rows], atol=0.6)


def test_suite2p(cells, write):
    """As Suite2p's window loads it (gui/io.py, load_files)."""
    path, rows = write("suite2p", rejected=True)
    assert sorted(file.name for file in path.iterdir()) == [
        "F.npy", "Fneu.npy", "iscell.npy", "ops.npy", "spks.npy", "stat.npy",
    ]  # fmt: skip
    stat = np.load(path / "stat.npy", allow_pickle=True)
    ops = np.load(path / "ops.npy", allow_pickle=True).item()
    assert (ops["Ly"], ops["Lx"], ops["fs"], ops["nframes"]) == (60, 84, 20.0, 300)
    for k, one in enumerate(stat):
        image = np.zeros((ops["Ly"], ops["Lx"]))
        image[one["ypix"], one["xpix"]] = one["lam"]
        np.testing.assert_allclose(image, images(cells)[k], atol=1e-6)
        assert one["overlap"].shape == one["ypix"].shape
    fluorescence, neuropil = np.load(path / "F.npy"), np.load(path / "Fneu.npy")
    np.testing.assert_allclose(fluorescence - 0.7 * neuropil, cells.traces + 80, rtol=1e-5)
    np.testing.assert_array_equal(np.load(path / "spks.npy"), cells.spikes)
    decided = np.load(path / "iscell.npy")
    assert decided[:, 0].astype(bool).tolist() == cells.accepted.tolist()
    np.testing.assert_allclose(decided[:, 1], cells.quality["score"], rtol=1e-6)
    assert len(rows) == len(stat)


def test_caiman(cells, write):
    """As its load_dict_from_hdf5 reads: sparse A by columns, Fortran's order of pixels, NoneType for nothing."""
    path, rows = write("caiman", rejected=True)
    with h5py.File(path) as file:
        group = file["estimates/A"]
        parts = [group[name][:] for name in ("data", "indices", "indptr")]
        footprints = csc_matrix(tuple(parts), tuple(group["shape"][:])).toarray()
        np.testing.assert_allclose(
            footprints.reshape(60, 84, -1, order="F").transpose(2, 0, 1), images(cells)
        )
        estimates = file["estimates"]
        np.testing.assert_allclose(estimates["C"][:] + estimates["YrA"][:], cells.traces, atol=1e-4)
        assert estimates["idx_components"][:].tolist() == np.flatnonzero(cells.accepted).tolist()
        assert estimates["b"][()] == b"NoneType"
        assert file["params/data/fr"][()] == 20
        assert tuple(file["dims"][:]) == cells.frame_shape
        assert estimates["cell_id"][:].tolist() == rows.tolist()


def test_minian(cells, write):
    """As its open_minian opens: one array in each folder."""
    path, rows = write("minian")
    read = {}
    for folder in path.iterdir():
        (array,) = xr.open_zarr(folder).values()
        assert folder.name == f"{array.name}.zarr"
        assert (folder / ".zmetadata").is_file()  # version 2, consolidated
        read[array.name] = array
    whole = xr.merge(read.values())
    assert whole["unit_id"].values.tolist() == rows.tolist()
    np.testing.assert_allclose(whole["A"].transpose("unit_id", "height", "width"), images(cells)[rows])
    np.testing.assert_allclose(whole["YrA"], cells.traces[rows])
    np.testing.assert_array_equal(whole["C"], cells.denoised[rows])
    np.testing.assert_array_equal(whole["S"], cells.spikes[rows])
    np.testing.assert_array_equal(whole["motion"].sel(shift_dim="width"), -cells.shifts[:, 1])


def test_netcdf(cells, write):
    path, rows = write("netcdf")
    with xr.open_dataset(path) as read:
        assert read["cell"].values.tolist() == rows.tolist()
        np.testing.assert_allclose(read["footprints"], images(cells)[rows])
        np.testing.assert_allclose(read["time"], cells.timestamps)
        np.testing.assert_array_equal(read["traces"], cells.traces[rows])
        np.testing.assert_allclose(read["dff"], cells.traces[rows] / 80, rtol=1e-5)
        np.testing.assert_allclose(read["quality_snr"], cells.quality["snr"][rows])
        assert read["traces"].sel(cell=rows[2]).shape == (300,)
        assert read.attrs["fps"] == 20


def test_imagej(cells, write):
    """Outlines lie around the footprint's bright half, half a pixel on from our count."""
    from skimage.draw import polygon2mask

    path, rows = write("imagej")
    rois = roifile.roiread(path)
    assert [roi.name for roi in rois] == [f"cell_{k:04d}" for k in rows]
    for roi, k in zip(rois, rows, strict=True):
        inside = polygon2mask(cells.frame_shape, roi.coordinates()[:, ::-1] - 0.5)
        bright = images(cells)[k] > 0.5
        assert (inside & bright).sum() / (inside | bright).sum() > 0.9


def test_frames_without_a_picture(cells, write):
    """Where a format knows no missing value, traces are bridged and there is no activity."""
    bad = np.zeros(cells.n_frames, bool)
    bad[100:105] = True
    gapped = replace(
        cells,
        bad_frames=bad,
        **{
            name: np.where(bad, np.float32(np.nan), getattr(cells, name))
            for name in ("traces", "denoised", "spikes")
        },
    )
    path, _ = write("suite2p", gapped)
    assert np.isfinite(np.load(path / "F.npy")).all()
    assert not np.load(path / "spks.npy")[:, 100:105].any()
    path, _ = write("caiman", gapped)
    with h5py.File(path) as file:
        assert np.isfinite(file["estimates/C"][:]).all()
    path, _ = write("minian", gapped)
    assert np.isfinite(xr.open_zarr(path / "C.zarr")["C"]).all()
    path, _ = write("mat", gapped)
    assert np.isnan(read_mat(path)["C"][:, 100:105]).all()


@pytest.mark.parametrize("format", OTHERS)
def test_the_command_writes_each(cells, tmp_path, run_command, format):
    write_cells(tmp_path / "cells.h5", cells)
    target = f"out{ENDING.get(format, '')}"
    done = run_command("export", "cells=cells.h5", f"output={target}", f"format={format}")
    assert done.status == 0, done.stderr
    again = run_command("export", "cells=cells.h5", f"output={target}", f"format={format}")
    assert (again.status, "overwrite=true" in again.stderr) == (2, True)
    over = run_command("export", "cells=cells.h5", f"output={target}", f"format={format}", "overwrite=true")
    assert over.status == 0, over.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["cells.h5", target])
    if format not in ENDING:
        return
    into = run_command("export", "cells=cells.h5", "output=new/folder/", f"format={format}")
    assert into.status == 0, into.stderr
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [f"cells{ENDING[format]}"]
    with pytest.raises(InputError, match="is a folder"):
        export(cells, f"{tmp_path}/another/", format)


@pytest.mark.parametrize("format", FORMATS)
def test_odd_cells_are_written_or_refused_in_one_line(cells, tmp_path, format):
    """No cell at all, an empty footprint, a frame, a cell of one pixel."""
    pixel = np.zeros((2, 60 * 84), np.float32)
    pixel[0, 100] = 1
    odd = replace(take(cells, np.arange(2)), footprints=csr_matrix(pixel))
    odd = replace(odd, centers=np.array([[1, 16], [np.nan, np.nan]], np.float32))
    for name, some in (("none", take(cells, np.zeros(0, int))), ("odd", odd)):
        target = tmp_path / f"{name}{ENDING.get(format, '')}"
        try:
            find_writer(format).write(some, target, Export())
        except InputError as error:
            message = str(error)
            assert "no cells" in message
            assert not target.exists()
            assert name == "none"
