"""The separable operators against closed forms and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from calcium_lightning.preprocess.resample import (
    apply_banded,
    apply_separable,
    band_strips,
    network_centers,
    sample,
    shift_matrices,
    smoothing_matrix,
)

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)


@PROPERTY
@given(
    length=st.integers(60, 150),
    factor=st.floats(0.3, 1.0),
    shift=st.floats(-6, 6),
    width=st.floats(2.5, 6),
    place=st.floats(0.35, 0.65),
)
def test_a_shifted_gaussian_is_sampled_as_its_closed_form(length, factor, shift, width, place):
    count = round(length * factor)
    sigma = 0.5 * length / count
    center = place * length
    line = torch.exp(-0.5 * ((torch.arange(length) - center - shift) / width) ** 2)  # tissue moved by +shift
    centers = network_centers(length, count)
    sampled = shift_matrices(length, centers, torch.tensor([shift]), sigma)[0] @ line
    blurred = width**2 + sigma**2
    expected = width / blurred**0.5 * torch.exp(-0.5 * (centers - center) ** 2 / blurred)
    torch.testing.assert_close(sampled, expected, rtol=0, atol=0.012 if sigma < 0.7 else 1e-3)


@PROPERTY
@given(
    length=st.integers(2, 80), count=st.integers(1, 80), shift=st.floats(-100, 100), sigma=st.floats(0.5, 4)
)
def test_rows_of_a_shift_matrix_sum_to_1_and_repeat_the_ends(length, count, shift, sigma):
    matrix = shift_matrices(length, network_centers(length, count), torch.tensor([shift, 0.0]), sigma)
    assert matrix.shape == (2, count, length)
    assert (matrix >= 0).all()
    torch.testing.assert_close(matrix.sum(-1), torch.ones(2, count))
    if shift > length + 5 * sigma:
        assert (matrix[0].argmax(-1) == length - 1).all()


@PROPERTY
@given(length=st.integers(1, 500), count=st.integers(1, 500))
def test_network_pixels_tile_the_line(length, count):
    centers = network_centers(length, count).double()
    size = length / count
    np.testing.assert_allclose(centers[0], -0.5 + size / 2, atol=1e-4)
    np.testing.assert_allclose(centers[-1], length - 0.5 - size / 2, atol=1e-3)


@PROPERTY
@given(length=st.integers(1, 90), sigma=st.floats(0.5, 9), level=st.floats(-1e3, 1e3))
def test_smoothing_keeps_constants_up_to_the_border(length, sigma, level):
    smooth = smoothing_matrix(length, sigma) @ torch.full((length,), level)
    torch.testing.assert_close(smooth, torch.full((length,), level), rtol=1e-4, atol=1e-3)


def test_smoothing_is_a_gaussian_blur_in_the_middle():
    random = np.random.default_rng(0)
    lines = random.normal(size=(3, 90)).astype(np.float32)
    ours = lines @ smoothing_matrix(90, 4.0).numpy().T
    theirs = gaussian_filter1d(lines, 4.0, axis=1, truncate=3)
    np.testing.assert_allclose(ours[:, 12:-12], theirs[:, 12:-12], atol=1e-5)


def test_a_slope_is_kept_in_the_middle_and_followed_half_way_at_the_border():
    sigma, length = 4.0, 80
    slope = torch.arange(length).float()
    missed = slope - smoothing_matrix(length, sigma) @ slope
    assert missed[12:-12].abs().max() < 1e-3
    grid = torch.arange(13.0)
    weight = torch.exp(-0.5 * (grid / sigma) ** 2)
    one_sided = float((weight * grid).sum() / weight.sum())  # by how much a mean misses the first pixel
    assert missed[0] == pytest.approx(-one_sided / 2, rel=1e-3)
    torch.testing.assert_close(missed, -missed.flip(0), rtol=1e-3, atol=1e-3)


@PROPERTY
@given(
    st.integers(1, 4),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(1, 5),
    st.booleans(),
)
def test_separable_products_are_the_sum_over_both_axes(n, height, width, h, w, each):
    torch.manual_seed(0)
    frames = torch.randn(n, height, width)
    rows, columns = (
        torch.randn(*((n,) if each else ()), out, size) for out, size in ((h, height), (w, width))
    )
    by_frame = [part if each else part.expand(n, -1, -1) for part in (rows, columns)]
    expected = torch.einsum("nhy,nyx,nwx->nhw", by_frame[0], frames, by_frame[1])
    torch.testing.assert_close(apply_separable(frames, rows, columns), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("crop", [slice(None), slice(11, 37)])
def test_sampling_strip_by_strip_is_the_product_of_whole_matrices(crop):
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 255, (5, 90, 120), generator=generator, dtype=torch.uint8)
    shifts = torch.rand(5, 2, generator=generator) * 9 - 4
    y, x = network_centers(90, 45)[crop], network_centers(120, 60)[crop]
    found = sample(frames, (y, x), shifts, (1.1, 0.9))
    expected = apply_separable(
        frames.float(),
        shift_matrices(90, y, shifts[:, 0], 1.1),
        shift_matrices(120, x, shifts[:, 1], 0.9),
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("first", "last"), [(0, 130), (40, 130), (3, 60)])
def test_band_matrices_multiplied_strip_by_strip_give_the_product_of_whole_ones(first, last):
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(3, 130, 70, generator=generator)
    rows, columns = smoothing_matrix(130, 4.0)[first:last], smoothing_matrix(70, 2.0)
    strips = band_strips(130, 12, frames.device, first, last), band_strips(70, 6, frames.device)
    assert len(strips[0]) > 1
    found = torch.full((3, last - first, 70), torch.nan)
    apply_banded(frames, rows, columns, strips, found)
    torch.testing.assert_close(found, apply_separable(frames, rows, columns))
