"""Recordings whose time stamps count from 1970: read as seconds, and shown as such where they are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.example_cells import make_example

from calcium_lightning.core.unix_time import to_show
from calcium_lightning.curation import views
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.cells_stream import open_cells
from calcium_lightning.io.readers.clock import since_beginning
from calcium_lightning.pages.report import render

STAMPS = 1_570_464_826.418463 + np.arange(300) / 20


@pytest.mark.parametrize("said", ["", "no date", "2019-10-07T16:13:46.418463+00:00"])
def test_without_another_beginning_the_first_frame_is_second_0(said: str) -> None:
    times, zero = since_beginning(STAMPS, said)
    assert zero == STAMPS[0]
    assert np.allclose(times, np.arange(300) / 20, atol=1e-6)


def test_a_beginning_before_the_first_frame_is_kept_and_one_of_another_day_is_not() -> None:
    times, zero = since_beginning(STAMPS, "2019-10-07T16:13:40")
    assert zero == 1_570_464_820
    assert np.allclose(times[:2], [6.418463, 6.468463], atol=1e-6)
    for other in ("1970-01-01T00:00:00", "2019-10-07T16:14:00"):
        assert since_beginning(STAMPS, other)[0][0] == 0


def test_times_that_are_seconds_are_shown_as_they_are() -> None:
    assert to_show(np.array([12.5, 12.6])).tolist() == [12.5, 12.6]
    assert len(to_show(np.zeros(0))) == 0


def test_pages_show_seconds(tmp_path) -> None:
    """Which float32 holds: of Unix times it would keep every second minute."""
    cells = replace(make_example()[0], timestamps=STAMPS)
    write_cells(tmp_path / "cells.h5", cells)
    with open_cells(tmp_path / "cells.h5") as stored:
        _, values = views.traces(stored, [0], 0, 300, 1000)
        facts = views.facts(stored)
        assert np.array_equal(stored.timestamps, STAMPS)  # nothing is lost of them
    assert np.allclose(values[0], np.arange(300) / 20, atol=1e-4)
    assert (facts["start"], facts["end"]) == pytest.approx((0, 299 / 20), abs=1e-5)
    assert "1570464826" not in render(cells)
