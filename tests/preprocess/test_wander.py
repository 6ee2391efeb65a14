"""Noise that is alike in neighbouring frames and pixels, against closed forms."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter

from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.wander import estimate_wander

FPS, LENGTH = 20.0, 400


def prepared(folder: Path, noise: np.ndarray, **settings: bool) -> Prepared:
    path = folder / "noise.h5"
    with SessionWriter(path, *noise.shape[1:], "float32", FPS, motion_corrected=True) as writer:
        writer.append((100 + noise).astype(np.float32))
    return prepare(Session(path), 8.0, PreprocessSettings(**settings))


@pytest.fixture(scope="module")
def white() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((LENGTH, 72, 88)).astype(np.float32)


def test_white_noise_does_not_wander(tmp_path, white):
    found = estimate_wander(prepared(tmp_path, white, correlated_noise=False))
    assert found.time == pytest.approx(1, abs=0.05)
    assert found.field == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("alike", [0.5, 0.8])
def test_what_is_alike_in_neighbouring_frames_hides_more(tmp_path, white, alike):
    """The mean of n frames of an autoregressive noise, less that of the next n, over what differences tell."""
    noise = lfilter([np.sqrt(1 - alike**2)], [1, -alike], white, axis=0)
    n = 10
    lag = np.abs(np.subtract.outer(np.arange(2 * n), np.arange(2 * n)))
    sign = np.repeat([-1, 1], n) / n
    expected = np.sqrt(sign @ alike**lag @ sign * n / 2 / (1 - alike))
    found = estimate_wander(prepared(tmp_path, noise, correlated_noise=False))
    assert found.time == pytest.approx(expected, rel=0.12)
    assert found.field == pytest.approx(1, abs=0.08)


def test_what_is_alike_in_neighbouring_pixels_hides_more(tmp_path, white):
    noise = gaussian_filter(white, (0, 1.5, 1.5))
    found = estimate_wander(prepared(tmp_path, noise, correlated_noise=False))
    assert found.time == pytest.approx(1, abs=0.08)
    assert found.field > 1.3


def test_a_few_bright_cells_are_no_noise(tmp_path, white):
    y, x = np.mgrid[:72, :88]
    for place in ((20, 20), (50, 60)):
        blob = np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * 3.4**2))
        white = white + 20 * blob * (np.arange(LENGTH) % 60 < 12)[:, None, None]
    found = estimate_wander(prepared(tmp_path, white, correlated_noise=False))
    assert found.both < 1.15


def slow_everywhere(white: np.ndarray, height: float) -> np.ndarray:
    """White noise, and cells of slow activity that leave no place quiet."""
    random = np.random.default_rng(1)
    starts = random.random((LENGTH, 9, 11)) < 0.08
    courses = lfilter([1], [1, -np.exp(-1 / (1.5 * FPS))], starts, axis=0)
    cells = np.zeros_like(white)
    cells[:, 4::8, 4::8] = courses
    return white + height * gaussian_filter(cells, (0, 3.4, 3.4))


def test_slow_cells_that_leave_no_place_quiet_are_no_noise(tmp_path, white):
    found = estimate_wander(prepared(tmp_path, slow_everywhere(white, 70), correlated_noise=False))
    assert (found.time, found.field) == (1, 1)


def test_among_slow_cells_noise_is_told_by_the_next_frames(tmp_path, white):
    """A running mean of two frames: it is alike over one frame, but not over two."""
    noise = slow_everywhere(white, 20)
    found = estimate_wander(prepared(tmp_path, noise[1:] + noise[:-1], correlated_noise=False))
    assert found.time > 1.8
    assert found.field == 1


def test_few_frames_in_a_second(tmp_path, white):
    session = prepared(tmp_path, white, correlated_noise=False)
    found = estimate_wander(replace(session, fps=1.5))
    assert (found.time, found.field) == (1, 1)


def test_memory_is_bounded_by_a_few_frames_and_a_few_times(tmp_path, white, monkeypatch):
    session = prepared(tmp_path, white, correlated_noise=False)
    expected = estimate_wander(session)
    monkeypatch.setattr("calcium_lightning.core.frames.PIXELS", 6 * 72 * 88)
    session.session.chunk_frames = 3
    read, lengths = BaseSession.frames, []

    def frames(self: BaseSession, start: int = 0, stop: int | None = None) -> np.ndarray:
        lengths.append(len(block := read(self, start, stop)))
        return block

    monkeypatch.setattr(BaseSession, "frames", frames)
    tracemalloc.start()
    found = estimate_wander(session)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(lengths) == 6
    assert (found.time, found.field) == pytest.approx((expected.time, expected.field), abs=1e-4)
    one_time = 4 * FPS * np.prod(session.scale.size)  # two halves of half a second each, float32
    assert peak < 12 * one_time


def test_the_noise_of_a_session_counts_it(tmp_path, white):
    noise = lfilter([0.6], [1, -0.8], white, axis=0)
    plain = prepared(tmp_path, noise, correlated_noise=False)
    (tmp_path / "noise.h5").unlink()
    counted = prepared(tmp_path, noise)
    assert plain.wander == 1
    assert counted.wander > 1.8
    ratio = (counted.noise / plain.noise).numpy()
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    assert ratio[0, 0] >= counted.wander


def test_a_recording_shorter_than_two_transients_says_nothing(tmp_path, white):
    found = estimate_wander(prepared(tmp_path, white[:15], correlated_noise=False))
    assert (found.time, found.field) == (1, 1)
