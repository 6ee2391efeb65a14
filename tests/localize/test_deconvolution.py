"""Activity of a session's cells: what hardly changed isn't fitted again, and some cells' without the others."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.planted import calcium

from calcium_lightning.localize import deconvolution
from calcium_lightning.localize.activity import Kernel
from calcium_lightning.localize.deconvolution import Deconvolver
from calcium_lightning.localize.scratch import ScratchTraces


def traces(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    decay = np.exp(-np.arange(40) / 12)
    events = (random.random((3, 300)) < 0.02) * 8.0
    calcium = np.stack([np.convolve(row, decay)[:300] for row in events])
    return (calcium + random.normal(size=calcium.shape)).astype(np.float32)


def test_only_what_changed_or_is_new_is_fitted_again(monkeypatch):
    values, fitted = traces(), []
    solve = deconvolution.deconvolve

    def counted(some, *settings):
        fitted.append(len(some))
        return solve(some, *settings)

    monkeypatch.setattr(deconvolution, "deconvolve", counted)
    deconvolver = Deconvolver(20.0, rise_s=0.05, decay_s=0.6)
    before = deconvolver.draft(ScratchTraces.of(values))
    # The first cell is gone, the third has changed, one is new.
    later = np.stack([values[1], values[2] + 5 * traces(1)[0], traces(2)[0]])
    after = deconvolver.draft(ScratchTraces.of(later), before, np.array([1, 2, -1]))
    assert fitted == [3, 2]
    np.testing.assert_array_equal(after.denoised.rows(slice(0, 1)), before.denoised.rows(slice(1, 2)))
    assert after.noise[0] == before.noise[1]
    alone = deconvolver.draft(ScratchTraces.of(later))
    np.testing.assert_allclose(after.denoised.rows(slice(1, 3)), alone.denoised.rows(slice(1, 3)), atol=1e-4)


def test_traces_of_sums_have_their_kernel_and_are_no_activity_of_the_frames():
    values = traces()
    deconvolver = Deconvolver(20.0, rise_s=0.05, decay_s=0.6)
    of_sums = deconvolver.of_sums(3)
    assert of_sums.fps == pytest.approx(20 / 3)
    assert (of_sums.rise_s, of_sums.decay_s) == (0.05, 0.6)
    length = values.shape[1] // 3 * 3
    sums = values[:, :length].reshape(len(values), -1, 3).sum(2) / 3**0.5
    before = of_sums.draft(ScratchTraces.of(sums))
    after = deconvolver.draft(ScratchTraces.of(values.copy()), before, np.arange(len(values)))
    alone = deconvolver.draft(ScratchTraces.of(values.copy()))
    np.testing.assert_array_equal(after.denoised.rows(slice(None)), alone.denoised.rows(slice(None)))
    # What is in the frames is in their sums, but that quick changes between sums count as noise.
    assert (before.evidence > 0.5 * alone.evidence).all()


def test_another_kernel_fits_all_anew():
    assert Kernel(0.1, 0.6).resembles(Kernel(0.102, 0.59))
    assert not Kernel(0.1, 0.6).resembles(Kernel(0.1, 0.7))
    assert not Kernel(0.1, 0.6).resembles(Kernel(0.2, 0.6))


def test_without_some_cells_the_others_get_their_own_activity_and_what_is_the_same_stays() -> None:
    fps, random = 20.0, np.random.default_rng(0)
    true, _ = calcium(4, 600, fps, rate_hz=0.3)
    noisy = true + random.normal(0, 0.1, true.shape)
    # The third takes light of the second while it exists; the fourth is to go.
    shared = noisy.copy()
    shared[1] -= 0.6 * noisy[2]
    deconvolver = Deconvolver(fps, rise_s=0.1, decay_s=0.6)
    everything = deconvolver.finish(ScratchTraces.of(shared))
    before = everything.traces.rows(slice(None)).copy()
    kept = np.array([0, 1, 2])

    activity = deconvolver.refinish(ScratchTraces.of(noisy[kept]), everything, kept)

    alone = deconvolver.finish(ScratchTraces.of(noisy))
    after = activity.traces.rows(slice(None))
    np.testing.assert_array_equal(after[[0, 2, 3]], before[[0, 2, 3]])
    for name in ("traces", "denoised", "spikes"):
        np.testing.assert_allclose(
            getattr(activity, name).rows(slice(1, 2)), getattr(alone, name).rows(slice(1, 2)), atol=1e-5
        )
    np.testing.assert_allclose(activity.statistics.mean[1], alone.statistics.mean[1], rtol=1e-5)
    np.testing.assert_allclose(activity.noise[1], alone.noise[1], rtol=1e-5)
    np.testing.assert_array_equal(activity.noise[[0, 3]], everything.noise[[0, 3]])
