from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, shift

from calcium_lightning.preprocess.motion.prior import conjugate_gradients, predict_from_neighbours
from calcium_lightning.preprocess.motion.registration import (
    Correlator,
    cubic_weights,
    cut_by_copies,
    cut_by_gathering,
    shift_frames,
    smooth,
)


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_shifting_reproduces_quadratics(dy, dx):
    y, x = np.mgrid[:20, :17].astype(np.float64)

    def surface(y, x):
        return 1 + 0.5 * y - 0.2 * x + 0.03 * y * x + 0.02 * y**2 - 0.01 * x**2

    moved = shift_frames(torch.tensor(surface(y, x))[None].float(), torch.tensor([[dy, dx]]))[0].numpy()
    np.testing.assert_allclose(moved[5:-5, 5:-5], surface(y + dy, x + dx)[5:-5, 5:-5], atol=2e-4)


def test_cubic_weights_sum_to_one_and_whole_shifts_copy():
    weights = cubic_weights(torch.tensor([0.0, 0.3, 0.6, 0.99]))
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    torch.testing.assert_close(weights[0], torch.tensor([0.0, 1.0, 0.0, 0.0]))


def test_each_frame_has_its_own_shift_and_ends_repeat():
    frames = torch.rand(4, 9, 12, generator=torch.Generator().manual_seed(0))
    shifts = torch.tensor([[-20.0, 0.0], [2.0, -3.0], [0.0, 0.0], [7.7, 100.0]])
    moved = shift_frames(frames, shifts)
    torch.testing.assert_close(moved[0], frames[0, :1].expand(9, -1))
    torch.testing.assert_close(moved[1, :7, 3:], frames[1, 2:, :-3])
    torch.testing.assert_close(moved[1, 7:, 3:], frames[1, -1:, :-3].expand(2, -1))
    torch.testing.assert_close(moved[2], frames[2])
    torch.testing.assert_close(moved[3, 3:], frames[3, -1, -1].expand(6, 12))


def test_smoothing_agrees_with_scipy():
    image = np.random.default_rng(0).standard_normal((40, 30)).astype(np.float32)
    ours = smooth(torch.from_numpy(image), 1.7).numpy()
    theirs = gaussian_filter(image, 1.7, truncate=8)
    np.testing.assert_allclose(ours[10:-10, 10:-10], theirs[10:-10, 10:-10], atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(-6, 6), st.floats(-6, 6))
def test_correlation_finds_a_shift(dy, dx):
    image = gaussian_filter(np.random.default_rng(1).standard_normal((90, 84)), 2.5) * 100
    moved = shift(image, (dy, dx), order=5)[12:-12, 12:-12]
    correlate = Correlator(66, 60, 6.0, 0.2, torch.device("cpu"))
    spectra = correlate.transform(torch.from_numpy(moved)[None].float())
    found = correlate(spectra, torch.from_numpy(image[12:-12, 12:-12]).float())[0].numpy()
    np.testing.assert_allclose(found, (dy, dx), atol=0.6)


def test_conjugate_gradients_solve_each_row():
    random = torch.Generator().manual_seed(0)
    root = torch.randn(12, 30, generator=random)
    normal, extra = root @ root.T / 30, torch.rand(5, 12, generator=random)
    target = torch.randn(5, 12, generator=random)
    found = conjugate_gradients(normal, extra, target, torch.zeros(5, 12))
    exact = torch.stack(
        [torch.linalg.solve(normal + torch.diag(e), t) for e, t in zip(extra, target, strict=True)]
    )
    torch.testing.assert_close(found, exact, atol=1e-3, rtol=1e-3)


def test_prediction_leaves_the_value_itself_out():
    values = torch.zeros(50, 1)
    values[20] = 1
    mean, _ = predict_from_neighbours(values)
    assert mean[20] == 0
    assert mean[19] > 0


def test_prediction_chooses_the_time_constant_by_its_error():
    random = torch.Generator().manual_seed(0)
    slow = torch.sin(torch.arange(400) / 60)[:, None] + 0.3 * torch.randn(400, 1, generator=random)
    mean, spread = predict_from_neighbours(slow)
    assert spread.item() == pytest.approx(0.09, rel=0.2)
    assert (mean[20:-20, 0] - torch.sin(torch.arange(400) / 60)[20:-20]).std() < 0.1


@pytest.mark.parametrize("width", [40, 41])
def test_products_of_spectra_are_those_of_images(width):
    torch.manual_seed(0)
    correlate = Correlator(30, width, 6.0, 0.2, torch.device("cpu"))
    spectra = correlate.transform(torch.randn(5, 30, width))
    images = torch.fft.irfft2(spectra, s=correlate.padded).flatten(1)
    torch.testing.assert_close(correlate._products(spectra, spectra), images @ images.T)


def test_frames_are_cut_alike_in_both_ways():
    torch.manual_seed(0)
    frames, starts = torch.randn(6, 9, 11), torch.randint(-14, 14, (6, 2))
    torch.testing.assert_close(cut_by_gathering(frames, starts), cut_by_copies(frames, starts))


def test_frames_are_shifted_away_from_the_cpu_without_a_question():
    moved = shift_frames(torch.empty(3, 8, 9, device="meta"), torch.empty(3, 2, device="meta"))
    assert moved.shape == (3, 8, 9)
