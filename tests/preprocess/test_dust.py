"""Dust stands still while the tissue moves: it is found, cleared, and nothing else is taken for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from calcium_lightning.io.array_session import ArraySession
from calcium_lightning.preprocess.dust import Dust, find_dust, means, standing_detail
from calcium_lightning.preprocess.fixed_pattern import DOUBT
from calcium_lightning.preprocess.motion.registration import shift_frames
from calcium_lightning.preprocess.repaired import RepairedSession

from . import artefacts


def dust_of(made: artefacts.Made) -> Dust:
    session = ArraySession(made.stored(), 20.0)
    everywhere = np.ones(made.size, bool)
    return find_dust(session, made.shifts.astype(np.float32), everywhere, 8.0)


@pytest.mark.parametrize("seed", [41, 42, 43])
def test_spots_that_stand_still_are_found_and_cleared(seed: int) -> None:
    made = artefacts.make(seed)
    clean = made.frames.copy()
    left = artefacts.dust(made)
    found = dust_of(made)
    dark = np.flatnonzero(left.ravel() < 0.85)
    assert len(found) == 4
    assert np.isin(dark, found.pixels).mean() > 0.9
    assert found.strongest == pytest.approx(0.35, abs=0.12)
    cleared = made.frames.copy()
    found.clear(cleared)
    before, after = (
        (part - clean).reshape(len(clean), -1)[:, dark].mean() for part in (made.frames, cleared)
    )
    assert abs(after) < 0.35 * abs(before)


@pytest.mark.parametrize("seed", [41, 42, 43])
def test_tissue_that_moves_is_no_dust(seed: int) -> None:
    assert not dust_of(artefacts.make(seed, motion=2.0))


@pytest.mark.parametrize("seed", [41, 42, 43])
def test_a_cell_that_is_lit_while_the_field_lies_elsewhere_is_no_dust(seed: int) -> None:
    made = artefacts.make(seed, count=800)
    away = np.hypot(*made.shifts.T)
    for start in (113, 339, 565, 678):  # each alone, wherever frames are looked at
        begin = start + int(np.argmax(away[start - 8 : start + 8])) - 8
        lit = slice(max(0, begin - 8), begin + 8)
        y, x = np.mgrid[: made.size[0], : made.size[1]]
        dy, dx = made.shifts[lit].T[:, :, None, None]
        glow = 90 * np.exp(-((y - 48 - dy) ** 2 + (x - 52 - dx) ** 2) / (2 * 3.4**2))
        frames = made.frames.copy()
        frames[lit] += glow
        assert not dust_of(replace(made, frames=frames)), start


@pytest.mark.parametrize("seed", [41, 42, 43])
def test_the_foot_of_a_rim_that_shines_is_no_dust(seed: int) -> None:
    made = artefacts.make(seed)
    artefacts.rim(made, 0.48)  # so large that the frames cut it
    assert not dust_of(made)


def test_what_does_not_move_cannot_be_told_from_dust() -> None:
    made = artefacts.make(41, motion=0.05)
    artefacts.dust(made)
    assert not dust_of(made)


def test_frames_of_whole_numbers_stay_so_and_within_their_range() -> None:
    frames = np.full((2, 3, 3), 200, np.uint8)
    Dust(np.array([4]), np.array([0.5], np.float32), 1).clear(frames)
    assert frames.dtype == np.uint8
    assert (frames[:, 1, 1] == 255).all()
    assert (frames.sum((1, 2)) == 8 * 200 + 255).all()


def test_a_recording_is_prepared_without_its_dust() -> None:
    made = artefacts.make(44)
    artefacts.dust(made)
    session = RepairedSession.of(ArraySession(made.stored(), 20.0))
    assert not session.dust
    cleared = session.knowing_motion(made.shifts.astype(np.float32), 8.0)
    assert len(cleared.dust) == 4
    assert "4 spots of dust" in " ".join(cleared.findings.warnings())
    assert cleared.frames(0, 40).mean() > session.frames(0, 40).mean()


@pytest.mark.parametrize("seed", range(3))
def test_what_motion_along_one_line_leaves_open_stays_with_the_tissue(seed: int) -> None:
    """Else streaks along the line stand still, and others come into the tissue, that cancel them."""
    random, count, size = np.random.default_rng(seed), 200, (96, 104)
    along = gaussian_filter(random.normal(size=count), 2)
    moved = np.outer(along / along.std(), (1, -0.6)).astype(np.float32)
    tissue = gaussian_filter(random.normal(size=size), 3)
    light = torch.from_numpy(80 * np.exp(tissue * 0.1 / tissue.std())).float().expand(count, *size)
    pattern = random.normal(size=size) * 0.1
    frames = shift_frames(light, torch.from_numpy(-moved)).numpy() * np.exp(pattern)
    frames += random.normal(size=frames.shape) * 2
    known = moved + random.normal(size=moved.shape).astype(np.float32) * 0.2
    pair = means(ArraySession(frames.astype(np.float32), 20.0), np.arange(count), known)
    inner = (slice(10, -10), slice(10, -10))

    def off(doubt: float) -> tuple[float, float]:
        wrong = standing_detail(*pair, known, 8.0, 0.004, 0.08, doubt) - pattern
        return float(wrong[inner].std()), float(gaussian_filter(wrong, 2)[inner].std())

    pixels, cells = off(DOUBT)
    assert pixels < 0.045
    assert cells < 0.03
    assert cells < off(0.0)[1] / 2


@pytest.mark.parametrize("seed", [1, 2, 4])
@pytest.mark.parametrize("off", [0.0, 0.3])
def test_bright_cells_that_move_along_one_line_are_no_dust(seed: int, off: float) -> None:
    """Though nearly all of what they show is there whether they move or stand still."""
    random, count, size = np.random.default_rng(seed), 200, (96, 104)
    along = gaussian_filter(random.normal(size=count), 2)
    moved = np.outer(along / along.std(), (1, -0.6)).astype(np.float32)
    y, x = np.mgrid[: size[0], : size[1]]
    tissue = np.zeros(size)
    for cy, cx in random.uniform(12, 84, (10, 2)):
        tissue += random.uniform(0.2, 0.6) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 3.0**2))
    light = torch.from_numpy(80 * np.exp(tissue)).float().expand(count, *size)
    frames = shift_frames(light, torch.from_numpy(-moved)).numpy()
    frames += random.normal(size=frames.shape) * 2
    known = moved * (1 - off / 2) + random.normal(size=moved.shape) * off / 2
    session = ArraySession(frames.astype(np.float32), 20.0)
    assert not find_dust(session, known.astype(np.float32), np.ones(size, bool), 8.0)
