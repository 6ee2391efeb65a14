"""Exports read by the programs that they are for, where these are installed (they are too large to ask for)."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.example_cells import make_example

from calcium_lightning.io.writers.table import Export, find_writer


@pytest.fixture(scope="module")
def cells():
    return make_example()[0]


class Counting:
    """A movie that counts its pixels."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.shape, self.dtype, self.fps, self.field = (
            (5, *size),
            np.dtype("uint16"),
            20.0,
            np.ones(size, bool),
        )
        self.frames = np.arange(np.prod(self.shape), dtype=np.float32).reshape(self.shape)

    def blocks(self):
        yield self.frames

    def sample(self, count):
        return self.frames[:count]


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


def test_napari_opens_folder_and_movie(cells, tmp_path):
    plugins = pytest.importorskip("napari.plugins", reason="napari isn't installed")
    from napari.components import ViewerModel

    plugins._initialize_plugins()  # as its viewer does; there is no public name for it
    find_writer("napari").write(cells, tmp_path / "napari", Export())
    movie = Counting(cells.frame_shape)
    find_writer("zarr").write(cells, tmp_path / "movie.zarr", Export(movie=movie))
    viewer = ViewerModel()
    opened = {}
    for name in (
        "napari/mean.tif",
        "napari/labels.tif",
        "napari/outlines.csv",
        "napari/centers.csv",
        "movie.zarr",
    ):
        (opened[name],) = viewer.open(str(tmp_path / name), plugin="napari")
    kinds = [type(layer).__name__ for layer in opened.values()]
    assert kinds == ["Image", "Labels", "Shapes", "Points", "Image"]
    points = opened["napari/centers.csv"]
    np.testing.assert_allclose(points.data, cells.centers, atol=1e-3)
    assert points.features["accepted"].tolist() == cells.accepted.astype(int).tolist()
    lazily = opened["movie.zarr"].data
    assert not isinstance(lazily, np.ndarray)
    np.testing.assert_array_equal(np.asarray(lazily[3]), movie.frames[3])
