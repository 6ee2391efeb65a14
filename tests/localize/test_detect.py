"""From a movie to localisations in its frames."""

from __future__ import annotations

import numpy as np
import torch
from helpers.planted import SIGMA
from torch import Tensor

from calcium_lightning.localize.detect import detect
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.localizations import RECORD, StoredLocalizations
from calcium_lightning.localize.patches import gaussian_patches
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.nn.coordinates import Coordinates
from calcium_lightning.nn.windows import WindowSettings

WINDOW = WindowSettings(taps=5, seconds=0.3)


def kept(localizations: StoredLocalizations) -> np.ndarray:
    return np.concatenate([np.zeros(0, RECORD), *localizations.blocks()])


def test_the_band_pass_places_and_measures_gaussians():
    centers = np.array([[12.3, 14.6], [30.0, 41.7], [40.4, 12.0]])
    image = torch.from_numpy(gaussian_patches(centers, SIGMA, (52, 60)).to_csr().toarray().reshape(3, 52, 60))
    amplitude = torch.tensor([30.0, 45.0, 60.0])
    torch.manual_seed(0)
    noisy = (amplitude[:, None, None] * image).sum(0) + torch.randn(52, 60)
    localizations = BandpassDetector(threshold_sigmas=6).localize(noisy[None, None].expand(2, 3, 52, 60))
    assert localizations.valid.sum(1).tolist() == [3, 3]
    order = localizations.amplitude[0, :3].argsort()
    np.testing.assert_allclose(localizations.positions[0, :3][order], centers, atol=0.2)
    np.testing.assert_allclose(localizations.amplitude[0, :3][order], amplitude, rtol=0.06)
    assert (localizations.probability[localizations.valid] > 0.5).all()


def test_localisations_say_which_frame_they_are_of():
    class Brightest:
        """Reports the brightest pixel of the middle frame."""

        def localize(self, windows: Tensor, extent=None, threshold=0.3, count=512) -> Coordinates:
            middle = windows[:, windows.shape[1] // 2].flatten(1)
            index = middle.argmax(1)
            place = torch.stack([index // windows.shape[-1], index % windows.shape[-1]], 1)[:, None].float()
            one = torch.ones(len(windows), 1)
            lit = middle.amax(1, keepdim=True) > 0.5
            return Coordinates(place, one, torch.ones_like(place), one, one, one, torch.ones_like(place), lit)

    random = np.random.default_rng(0)
    pixel = random.integers(0, 20 * 30, 75)
    with ScratchMovie((20, 30)) as movie:
        frames = torch.zeros(75, 600)
        frames[torch.arange(0, 75, 2), torch.from_numpy(pixel[::2])] = 1  # every other frame is dark
        movie.append(frames.view(75, 20, 30))
        found = kept(
            StoredLocalizations((20, 30)).extend(
                detect(movie, Brightest(), WINDOW, 20.0, batch=8, half=False)
            )
        )
        some = kept(
            StoredLocalizations((20, 30)).extend(detect(movie, Brightest(), WINDOW, 20.0, batch=8, stride=4))
        )
    assert found["frame"].tolist() == list(range(0, 75, 2))
    np.testing.assert_array_equal(found["y"] * 30 + found["x"], pixel[::2])
    np.testing.assert_array_equal(some, found[::2])
