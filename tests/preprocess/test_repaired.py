"""A session as it should have been recorded."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.preprocess.motion.estimate import estimate_motion
from calcium_lightning.preprocess.repaired import RepairedSession

from . import artefacts


def session(folder: Path, made: artefacts.Made, **known) -> Session:
    with SessionWriter(folder / "a.h5", *made.size, np.uint8, 20.0, overwrite=True) as writer:
        writer.append(made.stored())
        for name, values in known.items():
            getattr(writer, f"set_{name}")(values)
    return Session(folder / "a.h5")


def test_bad_frames_are_skipped_with_all_that_belongs_to_them(tmp_path):
    made = artefacts.make(31)
    bad = artefacts.torn(made, "noise")
    stamps = np.arange(len(bad)) / 20
    original = session(tmp_path, made, timestamps=stamps)
    repaired = RepairedSession.of(original)
    assert repaired.n_frames == (~bad).sum()
    np.testing.assert_array_equal(repaired.kept, np.flatnonzero(~bad))
    np.testing.assert_array_equal(repaired.frames(), made.stored()[~bad])
    np.testing.assert_array_equal(repaired.frames(3, 90), made.stored()[~bad][3:90])
    np.testing.assert_array_equal(repaired.timestamps, stamps[~bad])
    assert original.n_frames == len(bad)
    copy = pickle.loads(pickle.dumps(repaired))
    np.testing.assert_array_equal(copy.frames(10, 20), repaired.frames(10, 20))
    assert RepairedSession.of(repaired) is repaired


def test_dead_lines_are_filled_and_stay_out_of_the_field(tmp_path):
    made = artefacts.make(32)
    truth = made.frames.copy()
    hit = artefacts.dead_lines(made, "stuck")
    repaired = RepairedSession.of(session(tmp_path, made))
    assert not repaired.field[hit].any()
    assert repaired.usable.all()
    error = repaired.frames().astype(float) - truth
    assert np.sqrt((error[:, hit] ** 2).mean()) < 3.5  # noise of 2, and half of it from the neighbours


@pytest.mark.parametrize("seed", [36, 37])
def test_a_clock_stays_out_of_the_field_and_nothing_else(tmp_path, seed):
    made = artefacts.make(seed)
    hit = artefacts.clock(made)
    repaired = RepairedSession.of(session(tmp_path, made))
    assert repaired.field[hit].mean() < 0.05
    assert repaired.field[~hit].mean() > 0.98
    assert "changing marks" in str(repaired.view)


def test_around_a_black_frame_goes_on_what_is_inside(tmp_path):
    made = artefacts.make(33)
    hit = artefacts.frame(made)
    repaired = RepairedSession.of(session(tmp_path, made))
    frames = repaired.frames().astype(float)
    inside = frames[:, ~hit].mean()
    assert abs(frames[:, hit].mean() - inside) < 0.35 * inside
    np.testing.assert_array_equal(frames[:, ~hit], made.stored()[:, ~hit])


@pytest.mark.parametrize("soft", [2, 12])
def test_motion_follows_the_tissue_not_the_lens(tmp_path, soft):
    made = artefacts.make(34, motion=1.5)
    artefacts.lens(made, soft)
    found = estimate_motion(RepairedSession.of(session(tmp_path, made)), cell_diameter_px=8.0).shifts
    error = found - made.shifts
    assert np.sqrt(((error - np.median(error, 0)) ** 2).mean(0)).max() < 0.2


@pytest.mark.parametrize("factor", [0.6, 0.95, 1.05, 1.5])
def test_steps_are_levelled(tmp_path, factor):
    made = artefacts.make(35)
    truth = made.frames.copy()
    made.frames[120:] = made.frames[120:] * factor + 6
    repaired = RepairedSession.of(session(tmp_path, made))
    assert repaired.levels.steps.tolist() == [120]
    assert repaired.levels.factors == [pytest.approx(factor, rel=0.02)]
    level = repaired.frames()
    assert level.dtype == np.float32
    assert abs(level[120:].mean() - truth[120:].mean()) < 1.0
    np.testing.assert_allclose(level[:120], made.stored()[:120])


def test_a_recording_of_one_brightness_has_no_steps(tmp_path):
    repaired = RepairedSession.of(session(tmp_path, artefacts.make(36)))
    assert len(repaired.levels) == 0
    assert repaired.bands is None
    assert repaired.dtype == np.uint8


@pytest.mark.parametrize("axis", [0, 1])
def test_moving_bands_are_taken_off(tmp_path, axis):
    made = artefacts.make(37, cells=0)
    truth = made.frames.copy()
    length = made.size[axis]
    phase = made.random.random((len(truth), 1))
    wave = 8 * np.sin(2 * np.pi * (np.arange(length) / 12 + phase))
    made.frames += wave[:, :, None] if axis == 0 else wave[:, None, :]
    repaired = RepairedSession.of(session(tmp_path, made))
    assert repaired.bands is not None
    assert repaired.bands.axis == axis

    def left(frames: np.ndarray) -> float:
        profile = np.median(frames - truth, 2 - axis)
        return float((profile - profile.mean(1, keepdims=True)).std())

    before, rest = left(made.frames), left(repaired.frames())
    repaired = repaired.knowing_motion(made.shifts.astype(np.float32), 8.0)
    known = left(repaired.frames())
    assert known < rest < 0.2 * before
    assert known < 0.08 * before


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("share", "strength"), [(0.35, 1.5), (0.45, 2.0)])
def test_a_band_that_crosses_some_frames_is_taken_off_those(tmp_path, axis, share, strength):
    """As interference does: a dark stripe with a bright line behind it, now here, now there, often nowhere."""
    made = artefacts.make(38)
    truth, length = made.frames.copy(), made.size[axis]
    hit = np.flatnonzero(made.random.random(len(truth)) < share)
    stripe = np.zeros((len(truth), length), np.float32)
    for t, line in zip(hit, made.random.integers(0, length - 12, len(hit)), strict=True):
        stripe[t, line : line + 10], stripe[t, line + 10 : line + 12] = -4 * strength, 8 * strength
    made.frames += stripe[:, :, None] if axis == 0 else stripe[:, None, :]
    repaired = RepairedSession.of(session(tmp_path, made))
    assert repaired.bands is not None
    assert repaired.bands.axis == axis
    kept = repaired.kept
    cleared = repaired.knowing_motion(made.shifts[kept].astype(np.float32), 8.0).frames()
    rest = np.median(cleared - truth[kept], 2 - axis)
    crossed = np.isin(kept, hit)
    assert crossed.sum() > 0.8 * len(hit)  # some are taken for torn
    for part in (rest[crossed], rest[~crossed]):
        assert (part - part.mean(1, keepdims=True)).std() < 0.5  # of a noise of 2


def test_a_mask_of_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match="field= has 5 x 6 pixels, the frames 96 x 104"):
        RepairedSession.of(session(tmp_path, artefacts.make(31)), np.ones((5, 6), bool))


def test_a_session_without_any_picture_is_refused(tmp_path):
    made = artefacts.make(31)
    with pytest.raises(InputError, match="no frame holds a picture"):
        RepairedSession.of(session(tmp_path, made, bad_frames=np.ones(len(made.frames), bool)))
