"""Other programs' results, as those programs write them, and as we do."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from helpers.example_cells import make_example, take, write_truth
from helpers.same_cells import COUNT, FPS, HEIGHT, LENGTH, WIDTH, images, same_cells
from scipy import io
from scipy.sparse import csc_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.readers.suite2p import read_ops
from calcium_lightning.io.results.table import is_foreign, read_cells
from calcium_lightning.io.writers.table import Export, find_writer

#: format of ours -> (name of the file, does it keep accepted, spikes, motion)
THERE_AND_BACK = {
    "caiman": ("a.hdf5", True, True, False),
    "suite2p": ("plane0", True, True, True),
    "minian": ("minian", False, True, True),
    "mat": ("a.mat", True, True, False),
    "cellreg": ("c.mat", False, False, False),
    "nwb": ("a.nwb", True, True, False),
}


@pytest.fixture(scope="module")
def cells():
    return make_example()[0]


@pytest.mark.parametrize("format", THERE_AND_BACK)
def test_what_we_export_is_read_again(cells, tmp_path, format):
    name, decided, spikes, motion = THERE_AND_BACK[format]
    find_writer(format).write(cells, tmp_path / name, Export())
    read = read_cells(tmp_path / name)
    same_cells(read, cells, courses=format != "cellreg")
    assert is_foreign(tmp_path / name)
    if decided:
        assert read.accepted.tolist() == cells.accepted.tolist()
    if spikes:
        np.testing.assert_allclose(read.spikes, cells.spikes, atol=1e-4)
    if motion:
        np.testing.assert_allclose(read.shifts, cells.shifts, atol=0.51 if format == "suite2p" else 1e-5)
    if format not in ("minian", "cellreg"):
        assert read.fps == pytest.approx(FPS)
    elif format == "minian":
        assert "no frame rate" in read.notes[0]
    write_cells(tmp_path / "ours.h5", read)  # a cells file of ours like any other
    assert len(read_cells(tmp_path / "ours.h5")) == COUNT
    assert not is_foreign(tmp_path / "ours.h5")


def test_footprints_of_any_scale_keep_their_part_of_the_movie(cells, tmp_path):
    """CaImAn's footprints have a norm of 1, and the product A @ C is what counts."""
    columns = cells.footprints.toarray().reshape(COUNT, HEIGHT, WIDTH).transpose(2, 1, 0).reshape(-1, COUNT)
    norm = np.linalg.norm(columns, axis=0)
    sparse = csc_matrix(columns / norm)
    with h5py.File(tmp_path / "cnm.hdf5", "w") as file:
        for name in ("data", "indices", "indptr", "shape"):
            file[f"estimates/A/{name}"] = np.asarray(getattr(sparse, name))
        file["estimates/C"] = cells.denoised * norm[:, None]
        file["estimates/YrA"] = (cells.traces - cells.denoised) * norm[:, None]
        file["estimates/S"] = np.bytes_("NoneType")
        file["estimates/idx_components"] = np.array([0, 3])
        ratios = np.arange(COUNT, dtype=float)
        ratios[1] = np.inf  # over a noise of 0
        file["estimates/SNR_comp"] = ratios
        file["dims"] = [HEIGHT, WIDTH]
        file["params/data/fr"] = 15
    read = read_cells(tmp_path / "cnm.hdf5")
    same_cells(read, cells)
    np.testing.assert_allclose(read.denoised, cells.denoised, rtol=1e-4, atol=1e-4)
    assert np.flatnonzero(read.accepted).tolist() == [0, 3]
    assert not read.spikes.any()
    assert read.fps == 15
    np.testing.assert_array_equal(read.quality["snr"], np.where(ratios < np.inf, ratios, np.nan))


def test_suite2p_as_it_is_written(cells, tmp_path):
    """Neuropil to take off, a cropped picture of maxima, planes in folders."""
    folder = tmp_path / "suite2p" / "plane0"
    folder.mkdir(parents=True)
    stat = []
    for image in images(cells):
        y, x = np.nonzero(image)
        stat.append({"ypix": y, "xpix": x, "lam": 7 * image[y, x], "med": [0, 0]})
    np.save(folder / "stat.npy", np.array(stat, object))
    neuropil = np.tile(np.sin(np.arange(LENGTH) / 9), (COUNT, 1)).astype(np.float32)
    np.save(folder / "F.npy", cells.traces + 80 + 0.7 * neuropil)
    np.save(folder / "Fneu.npy", neuropil)
    np.save(folder / "iscell.npy", np.stack([np.arange(COUNT) % 2, np.linspace(0, 1, COUNT)], 1))
    ops = {"Ly": HEIGHT, "Lx": WIDTH, "fs": 12.5, "yrange": [2, 58], "xrange": [4, 80]}
    np.save(
        folder / "ops.npy", {**ops, "max_proj": np.ones((56, 76)), "date_proc": np.datetime64("2026-01-01")}
    )
    for path in (folder, folder / "stat.npy", tmp_path / "suite2p", tmp_path):
        read = read_cells(path)
        same_cells(read, cells)
    assert read.accepted.tolist() == [bool(k % 2) for k in range(COUNT)]
    assert read.fps == 12.5
    assert read.max_image.sum() == 56 * 76
    assert read.baseline.mean() == pytest.approx(80, rel=0.05)


def test_a_pickle_runs_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    folder = tmp_path / "plane0"
    folder.mkdir()
    np.save(folder / "stat.npy", np.array([{"ypix": Hostile()}], object))
    np.save(folder / "ops.npy", {"Ly": 4, "Lx": 5})
    with pytest.raises(InputError):
        read_cells(folder)
    assert not (tmp_path / "ran").exists()


def test_minian_as_it_is_written(cells, tmp_path):
    units, frames = np.arange(COUNT) * 3, np.arange(LENGTH)
    field = {"height": np.arange(HEIGHT), "width": np.arange(WIDTH)}
    whole = {
        "A": xr.DataArray(images(cells), {"unit_id": units, **field}, ("unit_id", "height", "width"), "A"),
        "C": xr.DataArray(cells.denoised, {"unit_id": units, "frame": frames}, ("unit_id", "frame"), "C"),
        "YrA": xr.DataArray(cells.traces.T, {"frame": frames, "unit_id": units}, ("frame", "unit_id"), "YrA"),
    }
    for name, array in whole.items():
        array.assign_coords(session="day 1").to_dataset().to_zarr(
            tmp_path / "minian" / f"{name}.zarr", zarr_format=2
        )
    xr.Dataset(whole).to_netcdf(tmp_path / "minian.nc", engine="h5netcdf")
    for path in (tmp_path, tmp_path / "minian", tmp_path / "minian.nc"):
        read = read_cells(path)
        same_cells(read, cells)
        np.testing.assert_array_equal(read.denoised, cells.denoised)


def test_an_inscopix_cell_set(cells, tmp_path):
    """The layout that Inscopix's own package (isx 2) writes: pixels and samples of each cell, then JSON."""
    parts = [
        np.concatenate([image.ravel(), trace])
        for image, trace in zip(images(cells), cells.traces, strict=True)
    ]
    footer = {
        "type": 1,
        "CellNames": [f"C{k}" for k in range(COUNT)],
        "CellStatuses": [k % 3 for k in range(COUNT)],
        "spacingInfo": {
            "numPixels": {"x": WIDTH, "y": HEIGHT},
            "pixelSize": {"x": {"num": 3, "den": 1}, "y": {"num": 3, "den": 1}},
        },
        "timingInfo": {"numTimes": LENGTH, "period": {"num": 50, "den": 1000}},
    }
    text = json.dumps(footer).encode()
    data = np.array(parts, "<f4").tobytes() + text + b"\0" + len(text).to_bytes(8, "little")
    (tmp_path / "a.isxd").write_bytes(data)
    read = read_cells(tmp_path / "a.isxd")
    same_cells(read, cells)
    assert read.accepted.tolist() == [k % 3 == 0 for k in range(COUNT)]
    assert (read.fps, read.pixel_size_um) == (20, 3)


def broken(cells, folder: Path) -> dict[str, Path]:
    (folder / "empty").mkdir()
    (folder / "text.mat").write_text("no")
    io.savemat(folder / "movie.mat", {"Y": np.ones((5, 6, 7))})
    io.savemat(folder / "other.mat", {"x": np.ones(3)})
    find_writer("suite2p").write(cells, folder / "half", Export())
    (folder / "half" / "F.npy").unlink()
    find_writer("suite2p").write(cells, folder / "uneven", Export())
    np.save(folder / "uneven" / "F.npy", np.ones((3, 300), np.float32))
    find_writer("minian").write(cells, folder / "units", Export())
    (folder / "units" / "C.zarr" / ".zmetadata").write_text("{")
    find_writer("caiman").write(cells, folder / "a.hdf5", Export())
    with h5py.File(folder / "a.hdf5", "a") as file:
        del file["estimates/A/indptr"]
    find_writer("caiman").write(cells, folder / "dims.hdf5", Export())
    with h5py.File(folder / "dims.hdf5", "a") as file:
        file["dims"][...] = (61, 84)
    names = (
        "empty",
        "text.mat",
        "movie.mat",
        "other.mat",
        "half",
        "uneven",
        "units",
        "a.hdf5",
        "dims.hdf5",
        "gone.h5",
    )
    return {name: folder / name for name in names}


def test_broken_results_are_one_clear_line(cells, tmp_path):
    for name, path in broken(cells, tmp_path).items():
        with pytest.raises(InputError) as told:
            pytest.fail(f"{name}: {read_cells(path)}")
        assert "\n" not in str(told.value)
        assert name in str(told.value)


@pytest.mark.parametrize("format", ["suite2p", "caiman", "minian"])
def test_commands_work_on_them(tmp_path, run_command, format):
    cells, truth = make_example(count=20)
    write_truth(tmp_path / "truth.h5", cells, truth)
    name = THERE_AND_BACK[format][0]
    find_writer(format).write(replace(cells, accepted=np.ones(20, bool)), tmp_path / name, Export())
    done = run_command("evaluate", f"cells={name}", "truth=truth.h5", "output=m.json")
    assert done.status == 0, done.stderr
    figures = json.loads((tmp_path / "m.json").read_text())["together"]
    assert figures["f1"] == 1
    assert figures["correlation"] > 0.98  # Suite2p's are not denoised
    done = run_command("report", f"cells={name}", "output=page.html")
    assert done.status == 0, done.stderr
    done = run_command("export", f"cells={name}", "output=tables")
    assert done.status == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "tables").iterdir())[0] == "cells.csv"


def test_footprints_alone_are_cells_without_a_report(cells, tmp_path, run_command):
    find_writer("cellreg").write(take(cells, np.arange(5)), tmp_path / "c.mat", Export())
    assert read_cells(tmp_path / "c.mat").traces.shape == (5, 0)
    done = run_command("report", "cells=c.mat", "output=page.html")
    assert (done.status, done.stderr) == (2, "error: c.mat: footprints without traces; a report needs both\n")
    assert run_command("export", "cells=c.mat", "output=c.zip").status == 0


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x04\x8e" + (2**60).to_bytes(8, "little") + b"abc.",  # text longer than any memory
        b"cnumpy._core/multiarray\n_reconstruct\n.",  # a module that nobody has
        b"\x80\x04h\x07.",  # what was never put down
    ],
)
def test_settings_that_are_no_whole_pickle_are_damaged(tmp_path: Path, pickled: bytes) -> None:
    whole = tmp_path / "ops.npy"
    np.save(whole, np.array({"Ly": 8, "Lx": 8}), allow_pickle=True)
    content = whole.read_bytes()
    whole.write_bytes(content[: content.index(b"\n") + 1] + pickled)
    with pytest.raises(InputError, match="damaged"):
        read_ops(whole)


def test_a_rate_that_is_not_said_can_be_given_and_one_that_is_stays(cells, tmp_path):
    find_writer("minian").write(cells, tmp_path / "minian", Export())
    untimed = read_cells(tmp_path / "minian")
    given = read_cells(tmp_path / "minian", fps=20, pixel_size_um=2.5)
    assert (untimed.fps, given.fps, given.pixel_size_um) == (1.0, 20.0, 2.5)
    assert any("no frame rate" in note for note in untimed.notes)
    assert not any("no frame rate" in note for note in given.notes)
    np.testing.assert_allclose(given.timestamps, np.arange(LENGTH) / 20)
    find_writer("caiman").write(cells, tmp_path / "a.hdf5", Export())
    with pytest.raises(InputError, match="says its frame rate, 20 Hz"):
        read_cells(tmp_path / "a.hdf5", fps=30)


def test_numbers_that_no_one_measured_are_one_line(cells, tmp_path) -> None:
    find_writer("suite2p").write(cells, tmp_path / "plane0", Export())
    path = tmp_path / "plane0" / "F.npy"
    traces = np.load(path)
    traces[1, 3] = 3e38  # twice as much is infinite
    np.save(path, traces)
    with pytest.raises(InputError, match=r"its traces reach 3e\+38"):
        read_cells(tmp_path / "plane0")


def test_a_plane_without_cells_is_read_and_one_that_lost_a_file_is_not(cells, tmp_path) -> None:
    find_writer("suite2p").write(cells, tmp_path / "plane0", Export())
    np.save(tmp_path / "plane0" / "iscell.npy", np.zeros(0, np.float32))
    with pytest.raises(InputError, match=f"says of 0 cells whether they count, and has {COUNT}"):
        read_cells(tmp_path / "plane0")
    np.save(tmp_path / "plane0" / "stat.npy", np.zeros(0, object), allow_pickle=True)
    for name in ("F", "Fneu", "spks"):
        np.save(tmp_path / "plane0" / f"{name}.npy", np.zeros((0, LENGTH), np.float32))
    assert len(read_cells(tmp_path / "plane0")) == 0


def test_text_in_the_place_of_numbers_is_one_line(cells, tmp_path) -> None:
    find_writer("nwb").write(cells, tmp_path / "a.nwb", Export())
    with h5py.File(tmp_path / "a.nwb", "a") as file:  # of no type that is known
        file.create_group("another").attrs["neurodata_type"] = np.zeros((), [("a", "V3")])[()]
    assert len(read_cells(tmp_path / "a.nwb")) == COUNT
    with h5py.File(tmp_path / "a.nwb", "a") as file:
        table = file["processing/ophys/ImageSegmentation/PlaneSegmentation"]
        del table["baseline"]
        table["baseline"] = np.full(COUNT, b"text")
    with pytest.raises(InputError, match=r"a\.nwb: its baseline are no numbers"):
        read_cells(tmp_path / "a.nwb")


def test_a_pipe_beside_the_file_that_is_named_is_refused(cells, tmp_path) -> None:
    find_writer("suite2p").write(cells, tmp_path / "plane0", Export())
    (tmp_path / "plane0/ops.npy").unlink()
    os.mkfifo(tmp_path / "plane0/ops.npy")
    with pytest.raises(InputError, match=r"ops\.npy: no regular file"):
        read_cells(tmp_path / "plane0/stat.npy")


def test_indices_beyond_a_sparse_matrix_are_refused_as_scipy_writes_where_they_point(cells, tmp_path):
    find_writer("caiman").write(cells, tmp_path / "a.hdf5", Export())
    for name, at, value in (
        ("indptr", 1, 10**6),
        ("indptr", 1, -4),
        ("indptr", -1, 0),
        ("indptr", -1, -(2**31)),
        ("indices", 1, 2**30),
    ):
        shutil.copy2(tmp_path / "a.hdf5", tmp_path / "b.hdf5")
        with h5py.File(tmp_path / "b.hdf5", "r+") as file:
            file[f"estimates/A/{name}"][at] = value
        with pytest.raises(InputError, match=r"b\.hdf5: a sparse matrix of parts that don't fit"):
            read_cells(tmp_path / "b.hdf5")
