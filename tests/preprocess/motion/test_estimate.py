from __future__ import annotations

import numpy as np
import pytest
from helpers.moving import Recording, moving_tissue, rmse, wandering
from skimage.registration import phase_cross_correlation

from calcium_lightning.core.errors import InputError
from calcium_lightning.preprocess.motion.estimate import MotionSettings, estimate_motion

CELL = 8.0


@pytest.fixture(scope="module")
def shifts():
    return wandering(200)


@pytest.fixture(scope="module")
def movie(shifts):
    return moving_tissue(shifts)


def test_subpixel_motion_is_found_in_the_contracts_sign(movie, shifts):
    motion = estimate_motion(Recording(movie), cell_diameter_px=CELL)
    assert motion.shifts.dtype == np.float32
    assert (rmse(motion.shifts, shifts) < 0.1).all()
    assert np.abs(np.median(motion.shifts, axis=0)).max() < 1e-5
    assert not motion.lost.any()
    assert 0.9 < motion.residual.mean() < 1.1


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_frames_units_make_no_difference(movie, unit):
    motion = estimate_motion(Recording(movie.astype(np.float32)), cell_diameter_px=CELL)
    scaled = estimate_motion(Recording(movie * np.float32(unit)), cell_diameter_px=CELL)
    np.testing.assert_allclose(scaled.shifts, motion.shifts, atol=0.005)
    np.testing.assert_allclose(scaled.std, motion.std, rtol=0.01)


def test_it_beats_phase_correlation_of_scikit_image(movie, shifts):
    motion = estimate_motion(Recording(movie), cell_diameter_px=CELL)
    template = movie.mean(0)
    # Their shift brings the frame back to the template: the other sign.
    theirs = [
        -phase_cross_correlation(template, frame, upsample_factor=20, normalization=None)[0]
        for frame in movie[:60]
    ]
    reference = rmse(np.array(theirs), shifts[:60])
    assert (rmse(motion.shifts[:60], shifts[:60]) < 0.5 * reference).all()
    # And it is the same motion, not its mirror image.
    assert np.corrcoef(np.array(theirs)[:, 0], motion.shifts[:60, 0])[0, 1] > 0.5


def test_the_standard_error_is_that_of_the_error(movie, shifts):
    motion = estimate_motion(Recording(movie), cell_diameter_px=CELL)
    ratio = rmse(motion.shifts, shifts) / motion.std.mean(0)
    assert (ratio > 0.6).all()
    assert (ratio < 1.8).all()


def test_a_still_recording_stays_still(shifts):
    still = moving_tissue(np.zeros_like(shifts))
    assert (estimate_motion(Recording(still), cell_diameter_px=CELL).shifts.std(0) < 0.1).all()


def test_blocks_that_the_model_was_not_learned_on(movie, shifts):
    settings = MotionSettings(learn_frames=100, block_frames=50)
    recording = Recording(movie)
    motion = estimate_motion(recording, settings, CELL)
    assert (rmse(motion.shifts, shifts) < 0.13).all()
    assert recording.read <= 50


def test_large_motion(movie):
    shifts = wandering(120, spread=6.0, seed=3).clip(-15, 15)
    motion = estimate_motion(Recording(moving_tissue(shifts, seed=3)), cell_diameter_px=CELL)
    assert (rmse(motion.shifts, shifts) < 0.25).all()


def test_lost_frames_are_interpolated(movie, shifts):
    damaged = movie.copy()
    damaged[[0, 50, 51, 199]] = 0
    motion = estimate_motion(Recording(damaged), cell_diameter_px=CELL)
    assert np.flatnonzero(motion.lost).tolist() == [0, 50, 51, 199]
    assert np.isnan(motion.residual[motion.lost]).all()
    good = ~motion.lost
    assert (rmse(motion.shifts[good], shifts[good]) < 0.1).all()
    np.testing.assert_allclose(motion.shifts[50], (2 * motion.shifts[49] + motion.shifts[52]) / 3, atol=1e-5)
    np.testing.assert_array_equal(motion.shifts[0], motion.shifts[1])


def test_two_frames():
    shifts = np.array([[0.0, 0.0], [1.6, -2.3]], np.float32)
    motion = estimate_motion(Recording(moving_tissue(shifts, cells=0)), cell_diameter_px=CELL)
    np.testing.assert_allclose(np.diff(motion.shifts, axis=0)[0], shifts[1], atol=0.4)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("value", [0, 7])
def test_constant_frames_do_not_move(count, value):
    motion = estimate_motion(Recording(np.full((count, 40, 33), value, np.uint16)), cell_diameter_px=5)
    assert not motion.shifts.any()
    assert motion.lost.all()


def test_pure_noise_around_zero_gives_finite_shifts():
    noise = np.random.default_rng(0).standard_normal((40, 48, 40)).astype(np.float32)
    for kind in ("raw", "dff"):
        assert np.isfinite(estimate_motion(Recording(noise, kind), cell_diameter_px=6).shifts).all()


def test_brightness_does_not_matter(movie, shifts):
    brighter = (movie[:80].astype(np.float32) * 13.0 + 4.0).astype(np.float32)
    one = estimate_motion(Recording(movie[:80]), cell_diameter_px=CELL).shifts
    other = estimate_motion(Recording(brighter), cell_diameter_px=CELL).shifts
    assert (rmse(one, other) < 0.03).all()


@pytest.mark.parametrize("diameter", [0.0, -3.0, 90.0, float("nan")])
def test_an_impossible_cell_diameter_is_refused(movie, diameter):
    with pytest.raises(InputError, match="cell_diameter"):
        estimate_motion(Recording(movie[:2]), cell_diameter_px=diameter)


@pytest.mark.parametrize("how", ["fog", "glare", "gamma"])
def test_contrast_that_comes_and_goes_is_no_motion(how, movie, shifts):
    phase = np.linspace(0, 2 * np.pi, len(movie))[:, None, None]
    clear = movie.astype(np.float64)
    if how == "fog":
        veiled = 0.35 + 0.65 * np.cos(phase / 2) ** 2
        clear = clear * veiled + clear.mean((1, 2), keepdims=True) * (1 - veiled)
    elif how == "glare":
        clear = 0.7 * clear + 60 * np.sin(phase / 2) ** 2
    else:
        clear = 255 * (clear / 255) ** (1 + 0.4 * np.sin(phase))
    seen = Recording(clear.round().clip(0, 255).astype(np.uint8))
    assert (rmse(estimate_motion(seen, cell_diameter_px=CELL).shifts, shifts) < 0.13).all()
