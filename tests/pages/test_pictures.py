"""Arrays become pictures without losing their place or their scale."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from scipy.sparse import csr_matrix

from calcium_lightning.pages import pictures


def test_png_holds_the_image():
    image = np.arange(12.0).reshape(3, 4)
    data = base64.b64decode(pictures.png(image, "gray", 0, 11).split(",")[1])
    shown = imread(io.BytesIO(data))
    assert shown.shape[:2] == (3, 4)
    np.testing.assert_allclose(shown[..., 0], image / 11, atol=1 / 200)


def test_thumbnail_is_centred_and_cut_at_the_edge():
    image = np.zeros((30, 40))
    image[0:3, 36:40] = 1
    image[1, 38] = 2
    patch = pictures.patch(csr_matrix(image.reshape(1, -1)), 0, 40)
    shown = pictures.thumbnail(patch, np.array([1.0, 38.0]), 9)
    expected = np.pad(image, 9)[1 + 9 - 4 : 1 + 9 + 5, 38 + 9 - 4 : 38 + 9 + 5]
    np.testing.assert_array_equal(shown, expected)
    assert not pictures.thumbnail(patch, np.array([25.0, 5.0]), 9).any()
    assert not pictures.thumbnail(patch, np.array([np.nan, 5.0]), 9).any()


def test_density_counts_every_point_once():
    rng = np.random.default_rng(0)
    y, x = rng.uniform(-0.5, 19.5, 500), rng.uniform(-0.5, 29.5, 500)
    count = pictures.density(y, x, (20, 30))
    assert count.shape == (40, 60)
    assert count.sum() == 500
    one = pictures.density(np.array([3.0]), np.array([7.2]), (20, 30))
    assert np.argwhere(one).tolist() == [[7, 15]]  # (3 + 0.5) * 2, (7.2 + 0.5) * 2


@given(st.integers(1, 500), st.integers(1, 300))
def test_bins_cover_every_frame(length, most):
    starts = pictures.bins(length, most)
    assert starts[0] == 0
    assert len(starts) <= most
    assert (np.diff(starts) >= 1).all()
    assert starts[-1] < length


@pytest.mark.parametrize("length", [1, 50, 1000])
def test_courses_keep_extremes(length):
    rng = np.random.default_rng(length)
    traces, spikes = rng.normal(size=(4, length)), np.maximum(rng.normal(size=(4, length)), 0)
    spikes[2] = 0
    values, low, high = pictures.courses(traces, traces, spikes, 60)
    restored = low[:, None, None] + values[:, :3] / 255 * (high - low)[:, None, None]
    step = (high - low).max() / 255
    np.testing.assert_allclose(restored[:, 1].max(1), traces.max(1), atol=step)
    np.testing.assert_allclose(restored[:, 0].min(1), traces.min(1), atol=step)
    assert not values[2, 3].any()
    assert values.shape == (4, 4, min(length, 60))
