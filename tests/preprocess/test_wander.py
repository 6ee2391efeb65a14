"""Noise that is alike in neighbouring frames and pixels, against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter

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
