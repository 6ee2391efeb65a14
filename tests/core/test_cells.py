"""The cells file: round trips, the contract as plain h5py sees it, and what is refused."""

from __future__ import annotations

from dataclasses import fields, replace

import h5py
import numpy as np
import pytest
from helpers.example_cells import make_example, take
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from skimage.measure import regionprops

from calcium_lightning.core.cells import Cells, Localizations, footprint_centers
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.cells_file import read_cells, write_cells
from calcium_lightning.io.cells_stream import open_cells


def same(first: Cells, second: Cells) -> None:
    for part in fields(Cells):
        a, b = getattr(first, part.name), getattr(second, part.name)
        if part.name == "footprints":
            assert abs(a - b).nnz == 0
        elif part.name == "localizations":
            for column in fields(Localizations):
                np.testing.assert_array_equal(getattr(a, column.name), getattr(b, column.name))
        elif part.name == "quality":
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name])
        else:
            np.testing.assert_array_equal(a, b, err_msg=part.name)


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(0, 6),
    length=st.integers(1, 50),
    size=st.tuples(st.integers(28, 40), st.integers(60, 80)),
    pixel_size=st.none() | st.floats(0.1, 10),
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
)
def test_what_is_written_is_read(tmp_path, count, length, size, pixel_size, text):
    cells, _ = make_example(6, length, *size)
    cells = cells if count == 6 else take(cells, np.arange(count))
    cells = replace(cells, pixel_size_um=pixel_size, session=text, config=text)
    write_cells(tmp_path / "c.h5", cells, overwrite=True)
    same(read_cells(tmp_path / "c.h5"), cells)


def test_motion_that_differs_over_the_field_goes_along(tmp_path):
    cells, _ = make_example()
    shifts = np.random.default_rng(0).normal(size=(cells.n_frames, 2, 3, 2)).astype(np.float32)
    moved = replace(cells, nonrigid=0.7, patch_shifts=shifts, patch_std=np.abs(shifts[0]))
    write_cells(tmp_path / "c.h5", moved)
    same(read_cells(tmp_path / "c.h5"), moved)
    left = replace(cells, nonrigid=0.7)
    write_cells(tmp_path / "c.h5", left, overwrite=True)
    same(read_cells(tmp_path / "c.h5"), left)


@pytest.mark.parametrize("cleared", [True, False, None])
def test_whether_a_pattern_was_cleared_goes_along(tmp_path, cleared):
    cells, _ = make_example()
    write_cells(tmp_path / "c.h5", replace(cells, pattern_cleared=cleared))
    assert read_cells(tmp_path / "c.h5").pattern_cleared is cleared


def test_whether_a_pattern_was_cleared_is_yes_or_no(tmp_path):
    cells, _ = make_example()
    write_cells(tmp_path / "c.h5", cells)
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        file["shifts"].attrs["pattern_cleared"] = "perhaps"
    with pytest.raises(InputError, match="pattern_cleared is 'perhaps'; true or false is wanted"):
        read_cells(tmp_path / "c.h5")


def test_where_and_when_there_was_no_picture_goes_along(tmp_path):
    cells, _ = make_example()
    bad = np.arange(cells.n_frames) % 50 == 7
    field = np.ones(cells.frame_shape, bool)
    field[:9] = False
    told = replace(cells, field=field, bad_frames=bad, notes=("6 frames hold no picture", "ΔF/F × 2"))
    write_cells(tmp_path / "c.h5", told)
    same(read_cells(tmp_path / "c.h5"), told)


def test_plain_h5py_finds_what_the_contract_says(tmp_path):
    cells, _ = make_example()
    write_cells(tmp_path / "c.h5", cells)
    count, length, height, width, spots = 12, 300, 60, 84, len(cells.localizations)
    real, contract = np.dtype("float32"), {}
    contract |= {"centers": ((count, 2), real), "center_std": ((count, 2), real)}
    contract |= {name: ((count, length), real) for name in ("traces", "denoised", "spikes")}
    contract |= {"accepted": ((count,), np.dtype(bool)), "baseline": ((count,), real)}
    contract |= {"quality/snr": ((count,), real), "quality/score": ((count,), real)}
    contract |= {"shifts": ((length, 2), real), "timestamps": ((length,), np.dtype("float64"))}
    contract |= {"images/mean": ((height, width), real), "images/max": ((height, width), real)}
    contract |= {
        f"localizations/{name}": ((spots,), real) for name in ("y", "x", "amplitude", "y_std", "x_std")
    }
    contract |= {f"localizations/{name}": ((spots,), np.dtype("int32")) for name in ("frame", "cell")}
    with h5py.File(tmp_path / "c.h5") as file:
        assert {name: (file[name].shape, file[name].dtype) for name in contract} == contract
        group = file["footprints"]
        assert group.attrs["shape"].tolist() == [count, height, width]
        parts = (group["data"][...], group["indices"][...], group["indptr"][...])
        assert parts[0].dtype == real
        rebuilt = csr_matrix(parts, shape=(count, height * width))
        assert abs(rebuilt - cells.footprints).nnz == 0
        attributes = {
            "format",
            "version",
            "session",
            "session_sha256",
            "fps",
            "pixel_size_um",
            "kind",
            "config",
        }
        assert set(file.attrs) == attributes | {"package_version"}
        assert file.attrs["format"] == "calcium-lightning-cells"


def test_no_cells_at_all_are_a_valid_result(tmp_path):
    write_cells(tmp_path / "c.h5", take(make_example(2, 30)[0], np.arange(0)))
    read = read_cells(tmp_path / "c.h5")
    assert (len(read), read.n_frames, read.frame_shape) == (0, 30, (60, 84))


def test_centres_are_those_of_scikit_image():
    random = np.random.default_rng(0)
    images = random.random((5, 23, 31)) ** 3
    images[2] = 0
    images[3] *= 40
    found = footprint_centers(csr_matrix(images.reshape(5, -1)), (23, 31))
    for image, center in zip(images, found, strict=True):
        if not image.any():
            assert np.isnan(center).all()
            continue
        above = image > 0.3 * image.max()
        expected = regionprops(above.astype(int), image)[0].centroid_weighted
        np.testing.assert_allclose(center, expected, rtol=1e-5)


def test_writing_replaces_only_on_request_and_wholly(tmp_path):
    path = tmp_path / "c.h5"
    first, second = make_example(3, 20)[0], make_example(5, 20)[0]
    write_cells(path, first)
    with pytest.raises(InputError, match="exists; overwrite=true"):
        write_cells(path, second)
    with pytest.raises(InputError, match="/spikes has shape"):
        write_cells(path, replace(second, spikes=second.spikes[:, 1:]), overwrite=True)
    assert len(read_cells(path)) == 3
    write_cells(path, second, overwrite=True)
    assert len(read_cells(path)) == 5
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda f: f.attrs.update(version=2), "version 2, this package reads up to 1"),
        (
            lambda f: f.attrs.update(format="calcium-lightning-session"),
            "is a 'calcium-lightning-session' file",
        ),
        (lambda f: f.attrs.update(fps="fast"), "no attribute fps"),
        (lambda f: f.__delitem__("denoised"), "no dataset /denoised"),
        (lambda f: f.move("traces", "trace"), "no dataset /traces; nearest: trace"),
        (lambda f: f.__delitem__("footprints"), "no footprints at /footprints"),
        (lambda f: f["footprints/indices"].__setitem__(0, 60 * 84), "/footprints is not a valid CSR matrix"),
        (lambda f: f["footprints/indices"].__setitem__(0, f["footprints/indices"][1]), "a pixel twice"),
        (lambda f: f["footprints/data"].__setitem__(0, np.nan), "/footprints is not a valid CSR matrix"),
        (lambda f: f["footprints/indptr"].__setitem__(1, -1), "/footprints is not a valid CSR matrix"),
        (lambda f: f["footprints"].attrs.update(shape=(12, 60)), "shape attribute"),
        (lambda f: f["footprints"].attrs.update(shape=(11, 60, 84)), "/footprints/indptr has shape"),
        (lambda f: f["localizations/cell"].__setitem__(0, 12), "names cells beyond"),
        (
            lambda f: (f.__delitem__("quality/snr"), f.update({"quality/snr": np.zeros(3)})),
            "/quality/snr has shape",
        ),
        (
            lambda f: (f.__delitem__("images/max"), f.update({"images/max": np.zeros((84, 60))})),
            "/images/max has shape",
        ),
        (
            lambda f: (f.__delitem__("baseline"), f.update(baseline=np.array([b"x"] * 12))),
            "/baseline is of type",
        ),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused_by_name(tmp_path, change, line):
    path = tmp_path / "c.h5"
    write_cells(path, make_example()[0])
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=line) as caught:
        read_cells(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "c.h5"
    write_cells(path, make_example()[0])
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="truncated"):
        read_cells(path)
    with pytest.raises(InputError, match="no such file"):
        read_cells(tmp_path / "d.h5")


def test_localisations_of_different_lengths_are_refused_by_whoever_opens_the_file(tmp_path):
    path = tmp_path / "c.h5"
    write_cells(path, make_example()[0])
    with h5py.File(path, "r+") as file:
        del file["localizations/y"]
        file["localizations/y"] = np.zeros(1, np.float32)
    with pytest.raises(InputError, match="/localizations/y has shape"), open_cells(path):
        pass
