"""Baselines, kernels and deconvolution against simulated calcium."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.planted import calcium
from scipy.ndimage import gaussian_filter1d

from calcium_lightning.localize.activity import (
    Activity,
    Kernel,
    autocovariance,
    deconvolve,
    fit_kernel,
    remove_baseline,
    shrinkage,
    trace_noise,
)


@pytest.mark.parametrize(
    ("fps", "rise", "decay"), [(20, 0.06, 0.5), (20, 0.1, 1.2), (10, 0.1, 0.7), (30, 0.05, 0.4)]
)
def test_the_kernel_of_simulated_calcium_is_recovered(fps, rise, decay):
    traces, _ = calcium(40, 60 * fps, fps, rate_hz=0.3, rise_s=rise, decay_s=decay)
    noisy = traces + np.random.default_rng(1).normal(0, 0.1, traces.shape)
    kernel = fit_kernel(autocovariance(noisy, fps), fps)
    assert kernel.decay_s == pytest.approx(decay, rel=0.2)
    # A rise about as long as a frame can't be measured well.
    assert kernel.rise_s == pytest.approx(rise, rel=0.2 if rise * fps > 1.7 else 0.5)


@pytest.mark.parametrize(("fps", "rise", "decay", "summed"), [(20, 0.1, 1.2, 3), (30, 0.1, 0.6, 4)])
def test_the_kernel_is_that_of_the_frames_where_traces_are_sums_of_them(fps, rise, decay, summed):
    traces, _ = calcium(40, 60 * fps, fps, rate_hz=0.3, rise_s=rise, decay_s=decay)
    noisy = traces + np.random.default_rng(1).normal(0, 0.1, traces.shape)
    sums = noisy.reshape(len(traces), -1, summed).sum(2)
    kernel = fit_kernel(autocovariance(sums, fps / summed), fps / summed, summed)
    assert kernel.decay_s == pytest.approx(decay, rel=0.2)
    assert kernel.rise_s == pytest.approx(rise, rel=0.5)


@pytest.mark.parametrize("seen", [1, 5])
def test_clocks_in_the_picture_do_not_rule_the_kernel(seen):
    traces, _ = calcium(40, 1200, 20, rate_hz=0.3, rise_s=0.1, decay_s=0.5)
    noisy = traces + np.random.default_rng(1).normal(0, 0.1, traces.shape)
    # A digit that has the same shape again every 37 frames, and is another one in between.
    for row in range(seen):
        noisy[row, row::37] += 20.0
    kernel = fit_kernel(autocovariance(noisy, 20), 20)
    assert kernel.decay_s == pytest.approx(0.5, rel=0.2)
    assert kernel.rise_s == pytest.approx(0.1, rel=0.5)


def test_a_kernel_is_given_for_whatever_comes():
    random = np.random.default_rng(0)
    for traces in (
        np.zeros((0, 100)),
        np.zeros((3, 100)),
        random.normal(size=(3, 5)),
        random.normal(size=(3, 900)),
        np.ones((1, 1)),
    ):
        kernel = fit_kernel(autocovariance(traces.astype(np.float32), 20.0), 20.0)
        assert 0 < kernel.rise_s < kernel.decay_s < 10


@pytest.mark.parametrize("fps", [5.0, 20.0])
def test_spikes_and_calcium_are_recovered(fps):
    traces, spikes = calcium(12, int(90 * fps), fps, rate_hz=0.25, rise_s=0.08, decay_s=0.8)
    scale = 30.0
    noisy = (scale * (traces + np.random.default_rng(2).normal(0, 0.08, traces.shape))).astype(np.float32)
    activity = deconvolve(noisy, fps, Kernel(0.08, 0.8))
    blur = 0.1 * fps
    fit = [np.corrcoef(a, b)[0, 1] for a, b in zip(activity.denoised, traces, strict=True)]
    raw = [np.corrcoef(a, b)[0, 1] for a, b in zip(noisy, traces, strict=True)]
    assert min(fit) > 0.95
    assert 1 - np.mean(fit) < 0.6 * (1 - np.mean(raw))  # denoised indeed
    for k in range(len(traces)):
        smooth = [gaussian_filter1d(train, blur) for train in (activity.spikes[k], spikes[k])]
        assert np.corrcoef(*smooth)[0, 1] > 0.8
    slope = (activity.denoised * traces).sum(1) / (traces**2).sum(1)
    np.testing.assert_allclose(slope, scale, rtol=0.2)  # the penalty shrinks a little
    np.testing.assert_allclose(
        activity.noise, scale * 0.08, rtol=0.3
    )  # a transient of few frames counts, too
    assert (activity.spikes >= 0).all()
    assert {part.dtype for part in (activity.traces, activity.denoised, activity.spikes)} == {
        np.dtype("float32")
    }


def test_units_and_cells_do_not_mix():
    traces, _ = calcium(3, 900, 20.0)
    noisy = (traces + np.random.default_rng(2).normal(0, 0.1, traces.shape)).astype(np.float32)
    one = deconvolve(noisy, 20.0, Kernel(0.06, 0.5))
    other = deconvolve(1000 * noisy[1:2], 20.0, Kernel(0.06, 0.5))
    np.testing.assert_allclose(other.denoised[0], 1000 * one.denoised[1], rtol=0.02, atol=5)


@pytest.mark.parametrize("shape", [(0, 50), (2, 1), (2, 3), (2, 50)])
def test_silence_and_short_traces_are_no_trouble(shape):
    activity = deconvolve(np.zeros(shape, np.float32), 20.0, Kernel(0.1, 0.6))
    for part in (activity.traces, activity.denoised, activity.spikes):
        assert part.shape == shape
        assert np.isfinite(part).all()
        assert np.abs(part).max(initial=0) < 1e-6
    assert remove_baseline(np.zeros(shape, np.float32), 20.0).shape == shape


@pytest.mark.parametrize("fps", [0.01, 0.2])
def test_where_a_frame_lasts_longer_than_a_response_it_shows_in_one(fps):
    random = np.random.default_rng(2)
    trace = random.normal(0, 1, 200)
    trace[[30, 90, 150]] += 20
    activity = deconvolve(trace[None].astype(np.float32), fps, Kernel(0.1, 0.6))
    assert sorted(np.argsort(activity.denoised[0])[-3:]) == [30, 90, 150]


def test_noise_is_measured_beside_activity():
    traces, _ = calcium(30, 1200, 20.0)
    noisy = 10 * traces + np.random.default_rng(0).normal(0, 2, traces.shape)
    np.testing.assert_allclose(trace_noise(noisy), 2, rtol=0.2)


@pytest.mark.parametrize("length", [900, 4000])
def test_the_baseline_of_a_drifting_trace_is_brought_to_zero(length):
    traces, _ = calcium(10, length, 20.0, rate_hz=0.15)
    time = np.linspace(0, 1, length)
    drift = 100 + (6 * np.sin(2 * time) if length > 1200 else 0)
    noisy = 8 * traces + drift + np.random.default_rng(0).normal(0, 1, traces.shape)
    level = remove_baseline(noisy.astype(np.float32), 20.0)
    quiet = traces < 0.02
    found = np.array([np.median(level[k][quiet[k]]) for k in range(10)])
    assert np.abs(found).max() < 0.6
    error = level - 8 * traces
    assert np.abs(np.median(error, 1)).max() < 0.8
    assert level.dtype == np.float32


def test_the_shrinkage_of_fitted_traces_is_found():
    rng = np.random.default_rng(3)
    spikes = (rng.random((6, 1200)) < 0.01) * rng.uniform(2, 6, (6, 1200))
    kernel = np.exp(-np.arange(100) / 12) - np.exp(-np.arange(100) / 2)
    calcium = np.stack([np.convolve(row, kernel)[:1200] for row in spikes])
    trace = (calcium + rng.normal(0, 1, calcium.shape)).astype(np.float32)
    fits = Activity(trace, (0.7 * calcium).astype(np.float32), spikes.astype(np.float32), np.ones(6))
    np.testing.assert_allclose(shrinkage(fits), 1 / 0.7, atol=0.07)
    silent = Activity(trace, np.zeros_like(trace), np.zeros_like(trace), np.ones(6))
    np.testing.assert_array_equal(shrinkage(silent), 1)


@pytest.mark.parametrize("lit", [(0, 150), (200, 500), (440, 600)])
def test_a_cell_that_is_lit_for_long_keeps_its_activity(lit):
    """From the first frame on, for a third of the recording, or to the end of it: that is no drift."""
    trace = np.random.default_rng(0).normal(0, 1, 600)
    trace[slice(*lit)] += 20
    found = deconvolve(remove_baseline(trace[None], 20.0), 20.0, Kernel(0.1, 0.6))
    inside = slice(lit[0] + 10, lit[1] - 10)
    assert np.median(found.traces[0, inside]) == pytest.approx(20, abs=1)
    assert np.median(found.denoised[0, inside]) == pytest.approx(20, abs=2)
