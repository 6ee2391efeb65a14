"""Exports read by the programs that they are for, where these are installed (they are too large to ask for)."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.example_cells import make_example

from calcium_lightning.io.writers.table import Export, find_writer


@pytest.fixture(scope="module")
def cells():
    return make_example()[0]


def test_caiman_loads_its_results(cells, tmp_path):
    cnmf = pytest.importorskip("caiman.source_extraction.cnmf.cnmf", reason="CaImAn isn't installed")
    find_writer("caiman").write(cells, tmp_path / "a.hdf5", Export())
    estimates = cnmf.load_CNMF(str(tmp_path / "a.hdf5")).estimates
    images = estimates.A.toarray().reshape(*cells.frame_shape, -1, order="F").transpose(2, 0, 1)
    np.testing.assert_allclose(images, cells.footprints.toarray().reshape(images.shape), atol=1e-6)
    np.testing.assert_allclose(estimates.C + estimates.YrA, cells.traces, atol=1e-4)
    assert sorted(estimates.idx_components) == np.flatnonzero(cells.accepted).tolist()


def test_suite2ps_window_loads_a_folder(cells, tmp_path):
    gui = pytest.importorskip("suite2p.gui.io", reason="Suite2p and its window aren't installed")
    find_writer("suite2p").write(cells, tmp_path / "plane0", Export())
    stat, ops, traces, _, spikes, iscell, *_ = gui.load_files(str(tmp_path / "plane0" / "stat.npy"))
    assert len(stat) == len(cells)
    assert (ops["Ly"], ops["Lx"]) == cells.frame_shape
    np.testing.assert_allclose(traces - 80, cells.traces, atol=1e-3)
    np.testing.assert_array_equal(spikes, cells.spikes)
    assert np.asarray(iscell, bool).tolist() == cells.accepted.tolist()


def test_minian_opens_a_folder(cells, tmp_path):
    utilities = pytest.importorskip("minian.utilities", reason="Minian isn't installed")
    find_writer("minian").write(cells, tmp_path / "minian", Export())
    opened = utilities.open_minian(str(tmp_path / "minian"))
    np.testing.assert_allclose(opened["YrA"].transpose("unit_id", "frame"), cells.traces)
