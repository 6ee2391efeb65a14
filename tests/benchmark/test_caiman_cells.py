"""CaImAn's saved results as a cells file, from a file written by hand in its layout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.sparse import csc_matrix

from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session_writer import SessionWriter

SCRIPT = Path(__file__).resolve().parents[2] / "experiments/benchmark/peers/caiman_cells.py"
HEIGHT, WIDTH, LENGTH = 20, 31, 50  # not square: a mix-up of the order of pixels shows
CENTERS = np.array([[4.0, 25.0], [13.0, 6.0], [10.0, 15.0]])


@pytest.fixture
def images() -> np.ndarray:
    """Three localizations (3, H, W) of different peaks."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    squared = (y - CENTERS[:, 0, None, None]) ** 2 + (x - CENTERS[:, 1, None, None]) ** 2
    localizations = np.exp(-squared / 8)
    localizations[localizations < 0.05] = 0
    return localizations * np.array([0.2, 3.0, 1.0])[:, None, None]


@pytest.fixture
def session(tmp_path) -> Path:
    path = tmp_path / "session.h5"
    with SessionWriter(path, HEIGHT, WIDTH, "uint8", fps=10) as writer:
        writer.append(np.zeros((LENGTH, HEIGHT, WIDTH), np.uint8))
    return path


def save(path: Path, images: np.ndarray, **changes) -> dict[str, np.ndarray]:
    """As ``cnmf.save`` does: None is text, a sparse matrix a group, pixels in Fortran order."""
    rng = np.random.default_rng(0)
    count = len(images)
    matrix = csc_matrix(images.transpose(0, 2, 1).reshape(count, HEIGHT * WIDTH).T)
    estimates = {name: rng.random((count, LENGTH)) for name in ("C", "S", "YrA")}
    estimates |= {"idx_components": "NoneType", "F_dff": "NoneType", **changes}
    with h5py.File(path, "w") as file:
        file["dims"] = np.array(images.shape[1:])
        for name in ("data", "indices", "indptr", "shape"):
            file[f"estimates/A/{name}"] = getattr(matrix, name)
        for name, values in estimates.items():
            file[f"estimates/{name}"] = values
    return estimates


def convert(results: Path, session: Path, cells: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), str(results), str(session), str(cells)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_cells_are_where_they_were_and_as_bright(tmp_path, images, session):
    saved = save(tmp_path / "c.hdf5", images, idx_components=np.array([0, 2]))
    assert convert(tmp_path / "c.hdf5", session, tmp_path / "cells.h5").returncode == 0
    cells = read_cells(tmp_path / "cells.h5")
    np.testing.assert_allclose(cells.centers, CENTERS, atol=1e-4)
    peaks = images.max((1, 2))
    shown = cells.footprints.toarray().reshape(images.shape)
    np.testing.assert_allclose(shown, images / peaks[:, None, None], atol=1e-6)
    assert cells.accepted.tolist() == [True, False, True]
    scale = peaks[:, None]
    np.testing.assert_allclose(cells.denoised, scale * saved["C"], rtol=1e-5)
    np.testing.assert_allclose(cells.traces, scale * (saved["C"] + saved["YrA"]), rtol=1e-5)
    np.testing.assert_allclose(cells.spikes, scale * saved["S"], rtol=1e-5)
    assert cells.fps == 10
    assert cells.n_frames == LENGTH
    assert np.isnan(cells.shifts).all()  # it doesn't tell the motion
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.hdf5", "cells.h5", "session.h5"]


def test_what_caiman_left_out_is_left_out(part, tmp_path, images, session):
    save(tmp_path / "c.hdf5", images, S="NoneType", YrA="NoneType")
    found = part("caiman_cells").read(tmp_path / "c.hdf5", session)
    assert found.accepted.all()  # no tests were made
    np.testing.assert_array_equal(found.traces, found.denoised)
    assert not found.spikes.any()


def test_no_cells_are_no_error(part, tmp_path, images, session):
    save(tmp_path / "c.hdf5", images[:0])
    part("cells_file").write(
        tmp_path / "cells.h5", part("caiman_cells").read(tmp_path / "c.hdf5", session), session, "caiman"
    )
    assert len(read_cells(tmp_path / "cells.h5")) == 0


@pytest.mark.parametrize("change", ["transposed", "frames", "nothing"])
def test_results_of_something_else_are_refused(part, tmp_path, images, session, change):
    results = tmp_path / "c.hdf5"
    save(results, images.transpose(0, 2, 1) if change == "transposed" else images)
    with h5py.File(results, "a") as file:
        if change == "frames":
            del file["estimates/C"]
            file["estimates/C"] = np.zeros((3, LENGTH // 2))
        if change == "nothing":
            del file["estimates"]
    told = {"transposed": "31, 20", "frames": f"{LENGTH} frames", "nothing": "cnmf.save"}[change]
    with pytest.raises(SystemExit, match=told):
        part("caiman_cells").read(results, session)
