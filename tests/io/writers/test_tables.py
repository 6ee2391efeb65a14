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

from calcium_lightning.core.events import find_events
from calcium_lightning.core.selection import select
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.writers.csv import to_csv
from calcium_lightning.io.writers.measures import footprint_shapes
from calcium_lightning.io.writers.tables import NAMES, cells_table


@pytest.fixture(scope="module")
def cells():
    return make_example()[0]


def test_the_table_of_cells(cells, tmp_path):
    to_csv(cells, tmp_path / "cells.csv", rejected=True)
    table = pd.read_csv(tmp_path / "cells.csv")
    np.testing.assert_allclose(table[["y_px", "x_px"]], cells.centers, rtol=1e-5)
    np.testing.assert_allclose(table[["y_um", "x_um"]], cells.centers * 1.6, rtol=1e-5)
    assert list(table["accepted"]) == list(cells.accepted)
    np.testing.assert_allclose(table["snr"], cells.quality["snr"], rtol=1e-5)
    np.testing.assert_allclose(table["area_um2"], table["area_px"] * 1.6**2, rtol=1e-5)


def test_a_folder_holds_the_time_courses(cells, tmp_path):
    to_csv(cells, tmp_path / "out", rejected=True)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "cells.csv", "denoised.csv", "dff.csv", "events.csv", "shifts.csv", "spikes.csv", "traces.csv",
    ]  # fmt: skip
    for name in ("traces", "denoised", "spikes"):
        table = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        np.testing.assert_allclose(table["time_s"], cells.timestamps, atol=1e-6)
        np.testing.assert_allclose(table.drop(columns="time_s").T, getattr(cells, name), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        pd.read_csv(tmp_path / "out" / "shifts.csv")[["dy_px", "dx_px"]], cells.shifts, rtol=1e-5
    )


def test_a_cell_keeps_its_number_in_every_table(cells, tmp_path):
    """Only accepted cells are written unless the others are asked for."""
    to_csv(cells, tmp_path / "some")
    to_csv(cells, tmp_path / "all", rejected=True)
    rows = np.flatnonzero(cells.accepted)
    assert 0 < len(rows) < len(cells)
    assert list(pd.read_csv(tmp_path / "some" / "cells.csv")["cell"]) == list(rows)
    names = [f"cell_{k}" for k in rows]
    for name in ("traces", "denoised", "spikes", "dff"):
        some, every = (pd.read_csv(tmp_path / kind / f"{name}.csv") for kind in ("some", "all"))
        assert list(some) == ["time_s", *names]
        pd.testing.assert_frame_equal(some[names], every[names])
    some, every = (pd.read_csv(tmp_path / kind / "events.csv") for kind in ("some", "all"))
    assert set(some["cell"]) <= set(rows)
    pd.testing.assert_frame_equal(some, every[every["cell"].isin(rows)].reset_index(drop=True))


def test_ratios_and_events(cells, tmp_path):
    odd = replace(cells, baseline=np.where(np.arange(len(cells)) == 3, 0, cells.baseline))
    to_csv(odd, tmp_path / "out", rejected=True)
    ratio = pd.read_csv(tmp_path / "out" / "dff.csv")
    assert ratio["cell_3"].isna().all()
    np.testing.assert_allclose(ratio["cell_2"], cells.traces[2] / 80, rtol=1e-4, atol=1e-6)
    events = pd.read_csv(tmp_path / "out" / "events.csv")
    expected = find_events(cells.traces, cells.denoised)
    assert list(events["cell"]) == list(expected.cell)
    np.testing.assert_allclose(events["onset_s"], expected.onset_frame / cells.fps, atol=1e-6)
    np.testing.assert_allclose(
        events["amplitude_dff"][events["cell"] == 2],
        events["amplitude_au"][events["cell"] == 2] / 80,
        rtol=1e-4,
    )
    table = pd.read_csv(tmp_path / "out" / "cells.csv")
    assert list(table["events"]) == list(expected.counts(len(cells)))
    np.testing.assert_allclose(table["events_per_min"], table["events"] / (300 / 20 / 60), rtol=1e-5)


def test_parquet_holds_the_same_tables(cells, tmp_path, run_command):
    write_cells(tmp_path / "cells.h5", cells)
    for name in ("csv", "parquet"):
        assert run_command("export", "cells=cells.h5", f"output={name}", f"format={name}").status == 0
    for name in NAMES:
        one = pd.read_parquet(tmp_path / "parquet" / f"{name}.parquet")
        other = pd.read_csv(tmp_path / "csv" / f"{name}.csv")
        pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=1e-4, atol=1e-4)
    assert run_command("export", "cells=cells.h5", "output=one.parquet").status == 0
    assert len(pd.read_parquet(tmp_path / "one.parquet")) == np.sum(cells.accepted)


def test_late_time_stamps_keep_their_digits(cells, tmp_path):
    late = replace(cells, timestamps=np.asarray(cells.timestamps) + 86_400.0)
    to_csv(late, tmp_path / "out")
    np.testing.assert_allclose(
        pd.read_csv(tmp_path / "out" / "spikes.csv")["time_s"], late.timestamps, rtol=0, atol=1e-6
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
    rows = np.flatnonzero(cells.accepted)
    kept = select(cells, rows)
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
