"""Results in MATLAB's files, of every version, as those programs write them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.example_cells import make_example, take
from helpers.mat_objects import HEADER, opaque
from helpers.same_cells import COUNT, HEIGHT, LENGTH, WIDTH, images, same_cells
from scipy import io
from scipy.sparse import csc_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.results.mat_file import read_mat
from calcium_lightning.io.results.table import read_cells


@pytest.fixture(scope="module")
def cells():
    return make_example()[0]


@pytest.mark.parametrize("layout", ["cnmfe", "extract", "neuron", "plain"])
def test_matlab_layouts(cells, tmp_path, layout):
    shown = images(cells).transpose(1, 2, 0)
    if layout == "cnmfe":
        content = {
            "cnmfeAnalysisOutput": {
                "extractedImages": shown,
                "extractedSignals": cells.denoised,
                "extractedSignalsEst": cells.traces,
                "extractedPeaks": cells.spikes,
            },
            "validCNMFE": (np.arange(COUNT) % 2)[None],
        }
    elif layout == "extract":
        content = {"output": {"spatial_weights": shown, "temporal_weights": cells.traces.T}}
    elif layout == "neuron":
        flat = csc_matrix(shown.reshape(-1, COUNT, order="F"))
        content = {
            "neuron": {"A": flat, "C": cells.denoised, "C_raw": cells.traces, "Cn": np.ones((HEIGHT, WIDTH))}
        }
    else:
        content = {"A": shown, "C": cells.traces}
    io.savemat(tmp_path / "a.mat", content)
    read = read_cells(tmp_path / "a.mat")
    same_cells(read, cells)
    if layout == "cnmfe":
        assert read.accepted.tolist() == [bool(k % 2) for k in range(COUNT)]
        np.testing.assert_allclose(read.denoised, cells.denoised, rtol=1e-5)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_min1pipe_as_it_is_written(cells, tmp_path, version):
    """Pixels down the columns, the size beside them, and the rate that it brought the recording to."""
    flat = images(cells).transpose(1, 2, 0).reshape(-1, COUNT, order="F")
    content = {
        "roifn": flat,
        "sigfn": cells.traces,
        "dff": cells.traces / 2,
        "spkfn": cells.spikes,
        "pixh": float(HEIGHT),
        "pixw": float(WIDTH),
        "imaxy": np.full((HEIGHT, WIDTH), 3.0),
        "Params": {"Fsi": 20.0, "Fsi_new": 10.0},
    }
    save_mat(tmp_path / "a_data_processed.mat", content, version)
    read = read_cells(tmp_path / "a_data_processed.mat")
    same_cells(read, cells)
    np.testing.assert_allclose(read.spikes, cells.spikes, atol=1e-4)
    assert (read.fps, read.max_image.max()) == (10, 3)


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize("count", [1, COUNT])
def test_miniscope_analysis_as_it_is_written(cells, tmp_path, version, count):
    """Time stamps are in milliseconds, as the camera's; MATLAB drops the axis of a single cell."""
    some = take(cells, np.arange(count))
    shown = images(some).transpose(1, 2, 0)
    content = {
        "SFPs": shown[..., 0] if count == 1 else shown,
        "RawTraces": some.traces.T,
        "FiltTraces": some.denoised.T,
        "time": np.arange(float(LENGTH))[:, None] * 50,
        "numNeurons": float(count),
    }
    save_mat(tmp_path / "ms.mat", {"ms": content}, version)
    read = read_cells(tmp_path / "ms.mat")
    same_cells(read, some)
    np.testing.assert_allclose(read.denoised, some.denoised, rtol=1e-4, atol=1e-5)
    assert read.fps == pytest.approx(20)
    assert read.timestamps[-1] == pytest.approx((LENGTH - 1) / 20)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_an_object_says_how_matlab_gives_out_what_it_holds(tmp_path, version):
    """CNMF-E's save_workspace writes its object, not its fields."""
    path = tmp_path / "a.mat"
    if version == "7.3":
        with h5py.File(path, "w") as file:
            file["neuron"] = np.zeros((1, 6), np.uint32)
            file["neuron"].attrs.update(MATLAB_class=np.bytes_("Sources2D"), MATLAB_object_decode=3)
    else:
        path.write_bytes(HEADER + opaque("neuron", "Sources2D"))
    with pytest.raises(
        InputError, match=r"neuron is an object of class Sources2D.*neuron\.obj2struct\(\); save"
    ):
        read_cells(path)


def save_mat(path, content, version):
    """As MATLAB saves it: 7.3 is HDF5 with the axes reversed."""
    if version == "5":
        io.savemat(path, content)
        return
    with h5py.File(path, "w") as file:
        fill(file, content)


def fill(group, content):
    for name, value in content.items():
        if isinstance(value, dict):
            fill(group.create_group(name), value)
        else:
            group[name] = np.atleast_2d(value).T


def test_footprints_of_a_binned_field(cells, tmp_path):
    """CNMF-E bins before it looks for cells, and keeps a picture of the whole field."""
    flat = csc_matrix(images(cells).transpose(1, 2, 0).reshape(-1, COUNT, order="F"))
    whole = np.arange(4.0 * HEIGHT * WIDTH).reshape(2 * HEIGHT, 2 * WIDTH)[:-1]
    io.savemat(tmp_path / "a.mat", {"A": flat, "C_raw": cells.traces, "C": cells.denoised, "Cn": whole})
    read = read_cells(tmp_path / "a.mat")
    same_cells(read, cells)
    np.testing.assert_array_equal(read.max_image, whole[::2, ::2])


def test_a_matlab_file_with_a_link_to_nowhere_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "cells.mat", "w") as file:
        file["C"] = np.zeros((3, 2))
        file["A"] = h5py.ExternalLink("gone.mat", "A")
    with pytest.raises(InputError, match="a link in it leads nowhere"):
        read_mat(tmp_path / "cells.mat")


def test_what_promises_more_than_any_memory_is_one_line(tmp_path: Path) -> None:
    """A virtual dataset takes no space in its file."""
    with h5py.File(tmp_path / "cells.mat", "w") as file:
        file["part"] = np.zeros((4, 60, 23))
        layout = h5py.VirtualLayout((1_000_000, 60, 23), "f8")
        layout[:4] = h5py.VirtualSource(file["part"])
        file.create_virtual_dataset("footprints", layout)
    with pytest.raises(InputError, match=r"footprints promises \(1000000, 60, 23\)"):
        read_cells(tmp_path / "cells.mat")
