"""The frames' border, as it passes over the tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calcium_lightning.io.array_session import ArraySession
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.shown import PassingBorder, from_edge

COUNT, SIDE, DIAMETER = 160, 64, 8.0


@pytest.fixture
def moved(tmp_path: Path):
    """A session whose field lies elsewhere in its second half, or in some frames, by so many rows."""

    def make(
        rows: float, outside: np.ndarray | None = None, when: slice = slice(COUNT // 2, None)
    ) -> Prepared:
        shifts = np.zeros((COUNT, 2), np.float32)
        shifts[when, 0] = rows
        frames = np.random.default_rng(0).normal(100, 2, (COUNT, SIDE, SIDE)).astype(np.float32)
        if outside is not None:
            frames[:, outside] = 0
        with SessionWriter(tmp_path / "a.h5", SIDE, SIDE, "float32", 10.0) as writer:
            writer.append(frames)
            writer.set_shifts(shifts)
            if outside is not None:
                writer.set_field(~outside)
        settings = PreprocessSettings(repair_stretch=False, correlated_noise=False)
        return prepare(Session(tmp_path / "a.h5"), DIAMETER, settings)

    return make


def cut_by(border: PassingBorder | None, y: float, x: float) -> list[bool]:
    """Whether it cuts a cell in the first half, and in the second."""
    assert border is not None
    point = np.array([y, x])
    whole = border.cuts(np.arange(COUNT), point)
    assert len(set(whole[: COUNT // 2])) == len(set(whole[COUNT // 2 :])) == 1
    assert [row for row, _ in border.cut_frames(point[None])] == [0] * bool(whole.any())
    return [bool(whole[0]), bool(whole[-1])]


def test_a_border_that_hardly_moves_passes_over_nothing(moved):
    assert PassingBorder.of(moved(0.4 * DIAMETER)) is None


def test_one_that_passes_for_moments_hides_nothing(moved):
    assert PassingBorder.of(moved(-12.0, when=slice(0, None, 7))) is None


def test_it_cuts_what_lies_further_in_at_another_time(moved):
    border = PassingBorder.of(moved(-12.0))
    assert cut_by(border, 13, 30) == [False, True]  # a pixel from the border, and beyond it
    assert cut_by(border, 8, 30) == [False, True]
    assert cut_by(border, 30, 30) == [False, False]
    assert cut_by(border, 61, 30) == [True, False]  # comes further in in the second half
    # What is never further in is told by what is seen of it.
    assert cut_by(border, 2, 30) == [False, False]
    assert cut_by(border, 30, 1) == [False, False]


def test_a_lens_is_such_a_border(moved):
    rows = np.arange(SIDE)[:, None] * np.ones(SIDE)
    border = PassingBorder.of(moved(-12.0, outside=rows < 16))
    assert cut_by(border, 29, 30) == [False, True]
    assert cut_by(border, 45, 30) == [False, False]


def test_a_lens_whose_edge_leaves_the_frames_goes_on_close_beyond_them():
    y, x = np.mgrid[:SIDE, :SIDE]
    random = np.random.default_rng(0)

    def made(column: float) -> Prepared:
        inside = 1 / (1 + np.exp(np.hypot(y - SIDE / 2, x - column) - 0.45 * SIDE))
        frames = 10 + 90 * inside + random.normal(0, 1, (40, SIDE, SIDE))
        return prepare(
            ArraySession(frames.astype(np.float32), 10.0), DIAMETER, PreprocessSettings(motion=None)
        )

    points = np.array([[SIDE / 2, 2], [SIDE / 2, SIDE / 2]])
    touched, middle = from_edge(made(0.45 * SIDE), points)
    assert touched < 0.5 < 2 < middle
    cut, _ = from_edge(made(0.1 * SIDE), points)  # whose edge is far beyond
    assert cut > 2
