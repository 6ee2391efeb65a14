"""Events against bursts that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.core.events import find_events, rates_per_minute, residual_noise
from calcium_lightning.localize.activity import Kernel, deconvolve, shrinkage

FPS, LENGTH = 20.0, 2400
KERNEL = Kernel(0.08, 0.6)


def calcium(onsets: list[int], size: float, spikes: int = 3) -> np.ndarray:
    """Bursts of a few spikes in neighbouring frames, through the kernel; the peak of one is ``size``."""
    driven = np.zeros(LENGTH)
    for onset in onsets:
        driven[onset : onset + spikes] += 1
    time = np.arange(200) / FPS
    shape = np.exp(-time / KERNEL.decay_s) - np.exp(-time / KERNEL.rise_s)
    course = np.convolve(driven, shape)[:LENGTH]
    one = np.convolve(np.ones(spikes), shape).max()
    return course * size / one


def denoised(course: np.ndarray, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    traces = (course + rng.normal(0, noise, course.shape)).astype(np.float32)
    activity = deconvolve(traces, FPS, KERNEL)
    return activity.traces, activity.denoised * shrinkage(activity)[:, None]  # as a cells file has them


def test_bursts_are_found_where_and_as_high_as_they_are():
    onsets = [[100, 500, 1200, 2000], [300, 330, 900], []]
    truth = np.stack([calcium(starts, 10.0) for starts in onsets])
    events = find_events(*denoised(truth, 1.0))
    assert events.counts(3).tolist() == [4, 3, 0]
    expected = np.concatenate(onsets)
    assert np.abs(events.onset_frame - expected).max() <= 2
    assert np.abs(events.peak_frame - expected - 4).max() <= 3
    alone = np.delete(np.arange(7), 5)  # the sixth rides on the fifth
    np.testing.assert_allclose(events.amplitude[alone], 10.0, rtol=0.25)
    np.testing.assert_allclose(events.snr, events.amplitude, rtol=0.2)
    exact = find_events(truth + np.random.default_rng(0).normal(0, 1, truth.shape), truth)
    np.testing.assert_allclose(events.duration_frames, exact.duration_frames, rtol=0.25)
    np.testing.assert_allclose(rates_per_minute(events, 3, FPS, LENGTH), [2.0, 1.5, 0.0])


@pytest.mark.parametrize(("size", "found"), [(4.0, 0.85), (6.0, 0.97), (12.0, 0.99)])
def test_counts_over_many_cells(size, found):
    """Three bursts are three events, not the 37 frames that deconvolution has lit."""
    rng = np.random.default_rng(1)
    starts = [sorted(rng.choice(np.arange(50, 2300, 60), 8, replace=False).tolist()) for _ in range(25)]
    traces, fitted = denoised(np.stack([calcium(one, size) for one in starts]), 1.0)
    events = find_events(traces, fitted)
    distance = np.array(
        [
            np.abs(np.array(starts[cell]) - onset).min()
            for cell, onset in zip(events.cell, events.onset_frame, strict=True)
        ]
    )
    assert (distance > 4).mean() < 0.05
    assert 200 * found <= len(events) <= 210


def test_noise_alone_has_hardly_an_event():
    traces, fitted = denoised(np.zeros((40, LENGTH)), 1.0)
    minutes = 40 * LENGTH / FPS / 60
    assert len(find_events(traces, fitted)) / minutes < 0.2


@given(scale=st.floats(1e-3, 1e4), offset=st.floats(-100, 100))
def test_units_do_not_matter(scale, offset):
    course = calcium([100, 700], 8.0)[None]
    noise = np.random.default_rng(0).normal(0, 1, course.shape)
    one, other = (
        find_events(course + noise, course),
        find_events(scale * (course + noise) + offset, scale * course + offset),
    )
    assert one.peak_frame.tolist() == other.peak_frame.tolist()
    np.testing.assert_allclose(other.amplitude, scale * one.amplitude, rtol=1e-3)


def test_frames_that_were_not_measured_hold_no_event():
    course = calcium([100, 700, 1500], 8.0)[None]
    traces = course + np.random.default_rng(0).normal(0, 1, course.shape)
    bad = np.zeros(LENGTH, bool)
    bad[690:760] = True
    traces[:, bad] = course[:, bad] = np.nan
    events = find_events(traces, course)
    assert np.abs(events.onset_frame - [100, 1500]).max() <= 1
    assert residual_noise(traces, course) == pytest.approx(1.0, rel=0.1)


def test_nothing_has_none():
    assert len(find_events(np.zeros((0, 30)), np.zeros((0, 30)))) == 0
    assert len(find_events(np.full((2, 30), np.nan), np.full((2, 30), np.nan))) == 0
    assert len(find_events(np.zeros((2, 30)), np.zeros((2, 30)))) == 0
