"""Traces from footprints and footprints from traces, with known truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.planted import SIGMA, plant, stored

from calcium_lightning.core.pieces import on_all_cores
from calcium_lightning.localize.demix import LOOSE_RIDGE, Demixer, Model, Residual
from calcium_lightning.localize.footprints import fit_splats, footprints_from_filtered
from calcium_lightning.localize.forms import regressed
from calcium_lightning.localize.patches import Patches, gaussian_patches
from calcium_lightning.localize.scratch import ScratchMovie


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def unmixed(demixer: Demixer, model: Model) -> np.ndarray:
    return demixer.unmix(model, demixer.project(model)).rows(slice(None))


def test_overlapping_cells_do_not_leak_into_each_other():
    planted = plant([[30, 30], [31, 34.5], [34, 31.5], [12, 60]], brightness=15, noise_std=1.0)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    traces = unmixed(demixer, demixer.model(planted.truth))
    own = np.array([[correlation(a, b) for b in planted.traces] for a in traces])
    true = np.corrcoef(planted.traces)
    assert (np.diag(own) > 0.98).all()
    np.testing.assert_allclose(own, true, atol=0.04)
    # Brightness is in the frames' units, not only in shape.
    slope = (traces * planted.traces).sum(1) / (planted.traces**2).sum(1)
    np.testing.assert_allclose(slope, 1, atol=0.03)


def test_all_cores_give_what_one_gives_to_the_last_bit():
    planted = plant([[20, 30], [31, 34.5], [54, 31.5], [12, 60]], brightness=15, noise_std=1.0)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    model, activity = demixer.model(planted.truth), stored(planted.traces, planted.movie.block_frames)
    alone = unmixed(demixer, model), *demixer.footprints(model, activity)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with on_all_cores():
            together = unmixed(demixer, model), *demixer.footprints(model, activity)
    finally:
        torch.set_num_threads(before)
    for one, all_ in zip(alone, together, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(all_))


def test_a_larger_ridge_keeps_what_is_lit_together_from_cancelling():
    """Two traces that are hardly told apart share one picture, which neither takes from the other."""
    planted = plant([[30, 36]], brightness=15, noise_std=1.0)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    pieces = gaussian_patches(np.array([[30, 36], [30, 36]], float), SIGMA, planted.movie.size)
    noise = np.random.default_rng(1).normal(size=(2, planted.traces.shape[1]))
    model = demixer.model(pieces)
    activity = stored(planted.traces + 0.3 * noise, planted.movie.block_frames)

    def apart() -> float:
        first, second = demixer.footprints(model, activity)[0]
        return float((first - second).norm() / (first + second).norm())

    usual = apart()
    demixer.ridge = LOOSE_RIDGE
    assert 0 < apart() < 0.7 * usual


@pytest.mark.parametrize("which", [[3], [2, 0], []])
def test_the_footprints_of_some_are_those_rows_of_all(which):
    planted = plant([[20, 30], [31, 34.5], [54, 31.5], [12, 60]], brightness=15, noise_std=1.0)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    model, activity = demixer.model(planted.truth), stored(planted.traces, planted.movie.block_frames)
    of_all = demixer.footprints(model, activity)
    of_some = demixer.footprints(model, activity, np.array(which, int))
    for some, everything in zip(of_some, of_all, strict=True):
        torch.testing.assert_close(some, everything[which], rtol=0, atol=0)
    forms, rows = regressed(demixer, model, activity, np.array(which, int))
    everyone, _ = regressed(demixer, model, activity)
    np.testing.assert_array_equal(rows, which)
    torch.testing.assert_close(forms.footprints.values, everyone[rows].footprints.values)
    put_back = everyone.replaced(rows, forms)
    torch.testing.assert_close(put_back.footprints.values, everyone.footprints.values)
    np.testing.assert_array_equal(put_back.consistency, everyone.consistency)


def test_a_cell_at_the_border_counts_in_full():
    planted = plant([[0, 0], [63, 40], [32, 79], [5, 50]], brightness=15, noise_std=1.0)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    traces = unmixed(demixer, demixer.model(planted.truth))
    slope = (traces * planted.traces).sum(1) / (planted.traces**2).sum(1)
    np.testing.assert_allclose(slope, 1, atol=0.05)
    assert min(correlation(a, b) for a, b in zip(traces, planted.traces, strict=True)) > 0.95


def test_uneven_noise_changes_weights_and_not_brightness():
    planted = plant([[20, 20], [40, 60]], noise_std=1.0)
    noise = torch.linspace(0.5, 3, 64)[:, None].expand(64, 80).contiguous()
    with ScratchMovie((64, 80)) as movie:
        for _, frames in planted.movie.blocks():
            movie.append(frames / noise)
        demixer = Demixer(movie, noise, planted.surround)
        traces = unmixed(demixer, demixer.model(planted.truth))
    slope = (traces * planted.traces).sum(1) / (planted.traces**2).sum(1)
    np.testing.assert_allclose(slope, 1, atol=0.04)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_frames_units_make_no_difference(unit):
    """A camera of 16 bits shows the same cells as one of 8; the movie is in units of the noise."""
    planted = plant([[30, 30], [31, 34.5], [12, 60]], brightness=15, noise_std=1.0)
    plain, scaled = (
        Demixer(planted.movie, planted.noise * factor, planted.surround) for factor in (1.0, unit)
    )
    traces = unmixed(plain, plain.model(planted.truth))
    np.testing.assert_allclose(unmixed(scaled, scaled.model(planted.truth)) / unit, traces, atol=1e-3)
    forms, _ = regressed(plain, plain.model(planted.truth), stored(planted.traces, 128))
    others, _ = regressed(scaled, scaled.model(planted.truth), stored(planted.traces * unit, 128))
    np.testing.assert_allclose(others.footprints.values, forms.footprints.values, atol=1e-3)
    np.testing.assert_allclose(others.focus, forms.focus, rtol=1e-3)


def test_the_residual_of_the_truth_is_the_noise():
    planted = plant([[30, 30], [31, 34.5]], noise_std=1.0)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    rest = Residual(planted.movie, demixer.model(planted.truth), stored(planted.traces, 128))
    assert (rest.n_frames, rest.size) == (600, (64, 80))
    quiet = plant(np.zeros((0, 2)), noise_std=1.0).movie
    for start, stop in ((0, 600), (100, 300), (127, 129)):  # blocks have 128 frames
        torch.testing.assert_close(rest.read(start, stop), quiet.read(start, stop), rtol=0, atol=0.03)
        rows = rest.read_rows(start, stop, 20, 45)
        torch.testing.assert_close(rows, rest.read(start, stop)[:, 20:45])
    torch.testing.assert_close(torch.cat([frames for _, frames in rest.blocks()]), rest.read(0, 600))
    pairs = rest.read(0, 600).unflatten(0, (-1, 2)).sum(1) / 2**0.5
    torch.testing.assert_close(rest.summed(2).read(0, 300), pairs, rtol=3e-3, atol=3e-3)


def test_a_dim_cell_s_trace_has_less_noise_and_the_same_size():
    planted = plant([[20, 20], [44, 60]], brightness=4, noise_std=1.0)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    bright = unmixed(demixer, demixer.model(planted.truth, np.zeros(2, bool)))
    dim = unmixed(demixer, demixer.model(planted.truth, np.array([True, False])))
    slope = (dim * planted.traces).sum(1) / (planted.traces**2).sum(1)
    np.testing.assert_allclose(slope, 1, atol=0.05)
    noise = [(traces - planted.traces).std(1) for traces in (bright, dim)]
    assert noise[1][0] < 0.97 * noise[0][0]
    np.testing.assert_allclose(noise[1][1], noise[0][1], rtol=1e-3)


def test_dropping_cells_is_as_if_they_had_never_been():
    planted = plant([[30, 30], [31, 34.5], [34, 31.5], [12, 60]], noise_std=1.0)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    model, kept = demixer.model(planted.truth), np.array([0, 3])
    without = demixer.unmix(model, demixer.project(model), kept).rows(slice(None))
    alone = unmixed(demixer, demixer.model(planted.truth[kept]))
    np.testing.assert_allclose(without, alone, atol=1e-3)
    assert np.abs(without - unmixed(demixer, model)[kept]).max() > 1


def test_footprints_are_regressed_to_the_truth():
    """Odd shapes, overlapping, over the edges of tiles (48 px) and of the field."""
    centers = np.array([[30, 46], [32, 50], [47, 20], [2, 70], [60, 3]])
    planted = plant(centers, brightness=8, noise_std=1.0, length=900)
    # An odd shape in place of a Gaussian: added to the movie, too.
    y, x = planted.truth.grid()
    ear = torch.exp(
        -0.5
        * ((y[:, :, None] - centers[:, :1, None] - 2) ** 2 + (x[:, None, :] - centers[:, 1:, None] + 2) ** 2)
        / 2.0
    )
    extra = Patches(0.4 * ear.float() * planted.truth.inside(), planted.truth.corner, planted.truth.size)
    true = Patches(planted.truth.values + extra.values, planted.truth.corner, planted.truth.size)
    surround, shown = planted.surround, planted.surround.high_pass(extra).to_csr(1e-4)
    with ScratchMovie((64, 80), block_frames=100) as movie:
        for start, frames in planted.movie.blocks():
            more = torch.from_numpy((shown.T @ planted.traces[:, start : start + len(frames)]).T.copy())
            movie.append(frames + more.view_as(frames))
        demixer = Demixer(movie, planted.noise, surround)
        filtered, error = demixer.footprints(demixer.model(planted.truth), stored(planted.traces, 100))
    wide = surround.high_pass(true)
    core = slice(surround.reach, surround.reach + 19)
    inside = true.inside()
    deviation = ((filtered - wide.values[:, core, core]) / error)[inside]
    assert float(deviation.std()) == pytest.approx(1, abs=0.15)  # the standard error is what it says
    assert torch.isinf(error[~inside]).all()
    found, moments, center_std = footprints_from_filtered(planted.truth, filtered, error, surround, SIGMA)
    peaks = true.values.flatten(1).amax(1)[:, None, None]
    for k in range(len(centers)):
        mask = true.inside()[k]
        expected = (true.values / peaks)[k][mask].numpy()
        assert correlation(found.values[k][mask].numpy(), expected) > 0.98
    assert found.values.flatten(1).amax(1).numpy() == pytest.approx(1)
    assert (found.values[~found.inside()] == 0).all()
    assert (center_std < 0.2).all()
    assert moments.shape == (5, 5)


def test_weak_footprints_become_splats_and_say_how_uncertain_they_are():
    centers = np.array([[20, 20], [44, 60]])
    stds = []
    for noise in (1.0, 8.0):
        planted = plant(centers, brightness=15, noise_std=noise)
        demixer = Demixer(planted.movie, planted.noise, planted.surround)
        filtered, error = demixer.footprints(demixer.model(planted.truth), stored(planted.traces, 128))
        found, moments, center_std = footprints_from_filtered(
            planted.truth, filtered, error, planted.surround, SIGMA
        )
        assert (np.abs(moments[:, :2].numpy() - centers) < 4 * center_std.numpy() + 0.05).all()
        assert (
            min(
                correlation(a, b)
                for a, b in zip(
                    found.values.flatten(1).numpy(), planted.truth.values.flatten(1).numpy(), strict=True
                )
            )
            > 0.93
        )
        stds.append(center_std.mean())
    assert 4 < float(stds[1] / stds[0]) < 14


def test_adaptive_moments_find_an_ellipse():
    step = torch.arange(19)
    y, x = (step + 7).expand(2, 19), (step + 11).expand(2, 19)
    covariance = torch.tensor([[[9.0, 2.5], [2.5, 5.0]], [[4.0, 0.0], [0.0, 12.0]]])
    center = torch.tensor([[16.3, 19.8], [15.5, 20.4]])
    delta = torch.stack(
        torch.broadcast_tensors(y[:, :, None] - center[:, :1, None], x[:, None, :] - center[:, 1:, None]), -1
    )
    values = torch.exp(-0.5 * torch.einsum("kyxi,kij,kyxj->kyx", delta, torch.linalg.inv(covariance), delta))
    found, spread = fit_splats(values, y, x, torch.ones_like(values, dtype=torch.bool), SIGMA, rounds=40)
    torch.testing.assert_close(found, center, rtol=0, atol=0.05)
    torch.testing.assert_close(spread, covariance, rtol=0.1, atol=0.3)


@pytest.mark.parametrize("beyond", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("noise_std", [1.0, 3.0])
def test_a_cell_whose_middle_is_out_of_sight_keeps_its_footprint(beyond, noise_std):
    """Its flank says little of where its middle is: the fitted splat must not run off with it."""
    places = [
        [-beyond, 16],
        [-beyond, 40],
        [63 + beyond, 24],
        [63 + beyond, 60],
        [30, -beyond],
        [40, 79 + beyond],
    ]
    planted = plant(places, brightness=15, noise_std=noise_std)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    traces = stored(planted.traces, 128)
    footprints = planted.truth
    for _ in range(6):
        filtered, error = demixer.footprints(demixer.model(footprints), traces)
        footprints, moments, _ = footprints_from_filtered(
            footprints, filtered, error, planted.surround, SIGMA
        )
        assert footprints.values.flatten(1).amax(1).numpy() == pytest.approx(1)
        footprints = footprints.recentred(moments[:, :2])
        limit = torch.tensor([63.0, 79.0])
        assert (moments[:, :2] >= -SIGMA - 1e-3).all()
        assert (moments[:, :2] <= limit + SIGMA + 1e-3).all()
    true = planted.truth.to_csr().toarray()
    for found, expected in zip(footprints.to_csr().toarray(), true, strict=True):
        assert correlation(found, expected) > 0.9


def test_no_cells_are_no_trouble():
    planted = plant(np.zeros((0, 2)), length=40)
    demixer = Demixer(planted.movie, planted.noise, planted.surround)
    model = demixer.model(planted.truth)
    assert unmixed(demixer, model).shape == (0, 40)
    filtered, error = demixer.footprints(model, stored(np.zeros((0, 40), np.float32), 128))
    shaped, moments, std = footprints_from_filtered(planted.truth, filtered, error, planted.surround, SIGMA)
    assert (len(shaped), moments.shape, std.shape) == (0, (0, 5), (0, 2))
