"""Activity of a session that waits on disk, and of some of its cells without the others."""

from __future__ import annotations

import numpy as np
from helpers.planted import calcium

from calcium_lightning.localize.deconvolution import Deconvolver
from calcium_lightning.localize.scratch import ScratchTraces


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
