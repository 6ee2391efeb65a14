"""CSV exports read back as they were written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.example_cells import make_example, take
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from calcium_lightning.export import accepted_cells
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.writers.csv import cells_table, export_csv, footprint_shapes


@pytest.fixture(scope="module")
def cells():
    return make_example()[0]


def test_the_table_of_cells(cells, tmp_path):
    export_csv(cells, tmp_path / "cells.csv")
    table = pd.read_csv(tmp_path / "cells.csv")
    np.testing.assert_allclose(table[["y", "x"]], cells.centers, rtol=1e-5)
    assert list(table["accepted"]) == list(cells.accepted)
    np.testing.assert_allclose(table["snr"], cells.quality["snr"], rtol=1e-5)
    np.testing.assert_allclose(table["area_um2"], table["area_px"] * 1.6**2, rtol=1e-5)


def test_a_folder_holds_the_time_courses(cells, tmp_path):
    export_csv(cells, tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "cells.csv", "denoised.csv", "shifts.csv", "spikes.csv", "traces.csv",
    ]  # fmt: skip
    for name in ("traces", "denoised", "spikes"):
        table = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        np.testing.assert_allclose(table["time"], cells.timestamps, atol=1e-6)
        np.testing.assert_allclose(table.drop(columns="time").T, getattr(cells, name), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        pd.read_csv(tmp_path / "out" / "shifts.csv")[["dy", "dx"]], cells.shifts, rtol=1e-5
    )


def test_late_time_stamps_keep_their_digits(cells, tmp_path):
    late = replace(cells, timestamps=np.asarray(cells.timestamps) + 86_400.0)
    export_csv(late, tmp_path / "out")
    np.testing.assert_allclose(
        pd.read_csv(tmp_path / "out" / "spikes.csv")["time"], late.timestamps, rtol=0, atol=1e-6
    )


def test_shape_of_a_known_ellipse(cells):
    y, x = np.mgrid[:60, :84]
    ellipse = np.maximum(0, 1 - ((y - 30) / 8) ** 2 - ((x - 40) / 16) ** 2)
    one = replace(take(cells, np.arange(1)), footprints=csr_matrix(ellipse.reshape(1, -1)))
    shape = {name: values[0] for name, values in footprint_shapes(one, level=0.0).items()}
    assert shape["area_px"] == pytest.approx(np.pi * 8 * 16, rel=0.05)
    assert shape["major_axis_px"] == pytest.approx(32, rel=0.05)
    assert shape["minor_axis_px"] == pytest.approx(16, rel=0.05)
    assert shape["eccentricity"] == pytest.approx(np.sqrt(3) / 2, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 59), st.integers(0, 83)), max_size=6))
def test_footprints_of_any_shape(pixels):
    image = np.zeros((60, 84))
    for y, x in pixels:
        image[y, x] = 1
    one = replace(
        take(make_example(count=1, length=3)[0], np.arange(1)), footprints=csr_matrix(image.reshape(1, -1))
    )
    shape = footprint_shapes(one)
    assert shape["area_px"][0] == len(pixels) if pixels else np.isnan(shape["area_px"][0])


def test_accepted_cells_keep_their_localizations(cells):
    kept = accepted_cells(cells)
    rows = np.flatnonzero(cells.accepted)
    assert len(kept) == len(rows)
    for new, old in enumerate(rows):
        assert (kept.localizations.cell == new).sum() == (cells.localizations.cell == old).sum()
    np.testing.assert_allclose(cells_table(kept)["snr"], cells.quality["snr"][rows])


def test_several_cells_files(cells, tmp_path, run_command):
    for name in "ab":
        write_cells(tmp_path / f"{name}.h5", cells)
    result = run_command("export", "cells=[a.h5,b.h5]", "output=out", "format=csv")
    assert result.status == 0, result.stderr
    assert sorted(folder.name for folder in (tmp_path / "out").iterdir()) == ["a_csv", "b_csv"]


def test_a_format_for_any_name(cells, tmp_path, run_command):
    write_cells(tmp_path / "cells.h5", cells)
    assert run_command("export", "cells=cells.h5", "output=my.session", "format=csv").status == 0
    assert (tmp_path / "my.session" / "traces.csv").is_file()


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["output=out.xlsx"], "no export ends in .xlsx"),
        (["output=out", "format=nbw"], "nearest: nwb"),
        (["output=precious"], "overwrite=true"),
        (["output=precious", "overwrite=true"], "other files (thesis.txt)"),
        (["output=cells.h5", "format=csv", "overwrite=true"], "is an input of this command"),
        (["cells=gone.h5", "output=out"], "no such file"),
        (["output=out", "nwb.indicater=x"], "indicator"),
    ],
)
def test_bad_input_is_one_clear_line(cells, tmp_path, run_command, overrides, complaint):
    write_cells(tmp_path / "cells.h5", cells)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years")
    if not any(item.startswith("cells=") for item in overrides):
        overrides = ["cells=cells.h5", *overrides]
    result = run_command("export", *overrides)
    assert result.status == 2, result.stderr
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years"
