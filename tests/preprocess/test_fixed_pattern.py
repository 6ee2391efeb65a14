"""What stands still before moving tissue doesn't rule the motion: it is found, cleared, and said; else nothing is."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from calcium_lightning.io.array_session import ArraySession
from calcium_lightning.preprocess.fixed_pattern import LEFT, FixedPattern, PatternSearch
from calcium_lightning.preprocess.motion.estimate import MotionSettings, estimate_motion
from calcium_lightning.preprocess.prepare import Known, prepare
from calcium_lightning.preprocess.repaired import RepairedSession

from . import artefacts

DIAMETER = 8.0


def spots(made: artefacts.Made, share: float, count: int = 7) -> np.ndarray:
    """Dim or brighten spots of about a cell's size that stand still; what the light was multiplied by."""
    y, x = np.mgrid[: made.size[0], : made.size[1]]
    gain = np.ones(made.size)
    for cy, cx in made.random.uniform(12, np.array(made.size) - 12, (count, 2)):
        gain += share * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 3.0**2))
    made.frames *= gain.clip(0.25)
    return gain.clip(0.25)


def error(made: artefacts.Made, shifts: np.ndarray) -> float:
    apart = shifts - made.shifts
    return float(np.sqrt(np.square(apart - np.median(apart, 0)).sum(1).mean()))


def misled(made: artefacts.Made) -> np.ndarray:
    """The motion as registration sees it."""
    plain = MotionSettings(patches=None)
    return estimate_motion(ArraySession(made.stored(), 20.0), plain, DIAMETER).shifts


@pytest.mark.parametrize(("seed", "share"), [(51, 0.9), (56, 0.9), (52, -0.6), (57, -0.6)])
def test_motion_follows_the_tissue_behind_spots(seed: int, share: float) -> None:
    made = artefacts.make(seed, motion=2.5)
    spots(made, share)
    before = error(made, misled(made))
    prepared = prepare(ArraySession(made.stored(), 20.0), DIAMETER)
    assert before > 1.0
    assert error(made, prepared.shifts) < 0.5
    said = "\n".join(prepared.session.findings.lines())
    assert "a pattern stands still before the tissue" in said


def columns(made: artefacts.Made) -> np.ndarray:
    return np.exp(made.random.normal(0, 0.1, (1, made.size[1]))).repeat(made.size[0], 0)


def rows(made: artefacts.Made) -> np.ndarray:
    return np.exp(made.random.normal(0, 0.1, (made.size[0], 1))).repeat(made.size[1], 1)


def pixels(made: artefacts.Made) -> np.ndarray:
    return np.exp(made.random.normal(0, 0.12, made.size))


def scratch(made: artefacts.Made) -> np.ndarray:
    y, x = np.mgrid[: made.size[0], : made.size[1]]
    return 1 - 0.6 * np.exp(-(((y - 20 - 0.5 * x) / 1.12) ** 2) / (2 * 1.5**2))


def mesh(made: artefacts.Made) -> np.ndarray:
    y, x = np.mgrid[: made.size[0], : made.size[1]]
    return 1 - 0.15 * ((y % 13 < 2) | (x % 13 < 2))


def fibres(made: artefacts.Made) -> np.ndarray:
    """The honeycomb of a bundle."""
    y, x = np.mgrid[: made.size[0], : made.size[1]]
    angles = np.pi / 3 * np.arange(3) + 0.1
    waves = sum(np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / 6) for angle in angles)
    return 0.55 + 0.1 * (waves + 1.5)


@pytest.mark.parametrize("pattern", [columns, rows, pixels, scratch, mesh, fibres])
def test_motion_follows_the_tissue_behind_any_pattern(
    pattern: Callable[[artefacts.Made], np.ndarray],
) -> None:
    made = artefacts.make(53, motion=2.0)
    made.frames *= pattern(made).astype(np.float32)
    before = error(made, misled(made))
    prepared = prepare(ArraySession(made.stored(), 20.0), DIAMETER)
    assert before > 1.0
    assert error(made, prepared.shifts) < 0.5


@pytest.mark.parametrize("motion", [0.1, 0.5, 2.5])
@pytest.mark.parametrize("seed", [51, 52, 53])
def test_nothing_stands_still_before_tissue_alone(seed: int, motion: float) -> None:
    made = artefacts.make(seed, motion=motion)
    everywhere = np.ones(made.size, bool)
    session = ArraySession(made.stored(), 20.0)
    assert not PatternSearch(session, everywhere, DIAMETER).behind(misled(made))
    assert not prepare(session, DIAMETER).session.fixed_pattern


def test_a_pattern_is_cleared_within_the_range_of_whole_numbers() -> None:
    pattern = FixedPattern(np.array([[0.5, 1.0], [2.0, 1.0]], np.float32))
    frames = np.full((2, 2, 2), 200, np.uint8)
    pattern.clear(frames)
    np.testing.assert_array_equal(frames, np.resize(np.array([255, 200, 100, 200], np.uint8), (2, 2, 2)))
    light = np.full((1, 2, 2), 10.0, np.float32)
    pattern.clear(light)
    np.testing.assert_allclose(light[0], [[20, 10], [5, 10]])
    FixedPattern().clear(frames)  # nothing
    assert not FixedPattern()


def test_where_a_strong_spot_was_no_motion_is_told() -> None:
    made = artefacts.make(54, motion=2.5)
    gain = spots(made, 0.9)
    session = RepairedSession.of(ArraySession(made.stored(), 20.0))
    search = session.search_for_pattern(DIAMETER)
    assert search is not None
    cleared = session.without(search.at(made.shifts.astype(np.float32)))
    assert session.telling.all()  # the one that it was made of stays as it was
    inner = np.zeros(made.size, bool)
    inner[12:-12, 12:-12] = True
    assert (~cleared.telling[inner & (gain > 1.4)]).mean() > 0.8
    assert cleared.telling[inner & (gain < 1.02)].mean() > 0.9
    middle = torch.from_numpy(cleared.frames(0, 200).astype(np.float32)).mean(0).numpy()
    known = inner & (gain > 1.4)
    apart = np.abs(middle[known] / np.median(middle) - 1).mean()
    assert apart < 0.5 * np.abs(made.frames.mean(0)[known] / np.median(made.frames) - 1).mean()


def test_motion_that_is_known_is_taken_as_it_is() -> None:
    """Who regresses cells again gets the frames that they were found in."""
    made = artefacts.make(56, motion=2.5)
    spots(made, 0.9)
    session = ArraySession(made.stored(), 20.0)
    first = prepare(session, DIAMETER)
    assert first.session.fixed_pattern
    for said in (True, None):  # None: as files of before say it
        again = prepare(session, DIAMETER, known=Known(first.shifts, pattern=said))
        assert again.session.fixed_pattern
        apart = again.session.fixed_pattern.gain / first.session.fixed_pattern.gain
        assert np.abs(np.log(apart)).mean() < 0.01
    assert not prepare(session, DIAMETER, known=Known(first.shifts, pattern=False)).session.fixed_pattern


def test_a_codecs_blocks_are_no_pattern() -> None:
    """They stand still and hold what moves: motion seems smaller, but no gain undoes them."""
    made = artefacts.make(55, motion=1.0)

    def coded(frame: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=25)
        return np.asarray(Image.open(file))

    session = RepairedSession.of(ArraySession(np.stack([coded(frame) for frame in made.stored()]), 20.0))
    assert session.survey.coded_in_blocks
    everywhere = np.ones(made.size, bool)
    search = PatternSearch(session, everywhere, DIAMETER)
    assert search.left(made.shifts.astype(np.float32), made.shifts.astype(np.float32)) < LEFT
    assert session.search_for_pattern(DIAMETER) is None


@pytest.mark.parametrize("softness", [2, 3, 6])
def test_a_lenss_soft_edge_is_no_pattern(softness: float) -> None:
    made = artefacts.make(53, motion=1.2)
    y, x = np.mgrid[: made.size[0], : made.size[1]]
    radius = np.hypot(y - made.size[0] / 2, x - made.size[1] / 2)
    made.frames *= 1 / (1 + np.exp((radius - 42) / softness))
    prepared = prepare(ArraySession(made.stored(), 20.0), DIAMETER)
    assert not prepared.session.fixed_pattern


def test_a_faint_pattern_that_hides_nothing_is_left_alone() -> None:
    made = artefacts.make(53, motion=2.0)
    made.frames *= np.exp(made.random.normal(0, 0.025, made.size)).astype(np.float32)
    prepared = prepare(ArraySession(made.stored(), 20.0), DIAMETER)
    assert not prepared.session.fixed_pattern
    assert error(made, prepared.shifts) < 0.1


@pytest.mark.parametrize("seed", [51, 54])
def test_motion_follows_faint_tissue_behind_dust_in_a_lens(seed: int) -> None:
    """A lens's soft edge stands still, too."""
    made = artefacts.make(seed, size=(128, 136), motion=2.5)
    made.frames[:] = 80 + 0.3 * (made.frames - 80)
    spots(made, -0.3, 8)
    artefacts.lens(made, 6)
    prepared = prepare(ArraySession(made.stored(), 20.0), DIAMETER)
    assert error(made, prepared.shifts) < 0.5
    assert prepared.session.fixed_pattern


@pytest.mark.parametrize("seed", [44, 52, 63])
def test_a_lenss_edge_holds_no_frame_back(seed: int) -> None:
    """Faint tissue has less contrast than the shade beside the edge, and goes far in a few frames."""
    made = artefacts.make(seed, size=(128, 136), motion=2.5)
    made.frames[:] = 80 + 0.3 * (made.frames - 80)
    artefacts.lens(made, 6)
    prepared = prepare(ArraySession(made.stored(), 20.0), DIAMETER)
    assert error(made, prepared.shifts) < 0.3
