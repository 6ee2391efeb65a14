"""Activity that frames show, and activity that only a regression gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.planted import stored

from calcium_lightning.localize.coincidence import coincidence, lit_seconds
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.nn.coordinates import LocalizationBatch

FPS, LENGTH = 7.5, 90
CENTERS = np.array([[5.0, 5.0], [5.0, 9.0], [20.0, 20.0]])


def seen_at(*places: tuple[int, float, float]) -> StoredLocalizations:
    """Localisations: frame, y, x."""
    frame, y, x = torch.tensor(places).T
    one = torch.ones(len(places))
    wide = one[:, None].expand(-1, 2)
    batch = LocalizationBatch(frame.long(), y, x, one, one, wide, one, one, one, one)
    return StoredLocalizations((30, 30)).extend([batch])


@pytest.mark.parametrize("block", [7, 32, 90])
def test_the_share_of_the_energy_in_seconds_with_a_localisation_of_its_own(block):
    found = seen_at((3, 5.5, 4.8), (40, 5.0, 8.0), (41, 12.0, 12.0), (89, 5.0, 11.5))
    traces = np.zeros((3, LENGTH))
    traces[0, [0, 7, 50]] = 1, 2, 2  # its first second is seen: frames 0 to 7
    traces[1, [38, 44, 60]] = 2, 1, 1  # its sixth is: frames 38 to 44
    lit = lit_seconds(found, CENTERS, 2.0, LENGTH, FPS)
    share = coincidence(lit, stored(traces, block), FPS)
    np.testing.assert_allclose(share, [5 / 9, 5 / 6, 1.0])
    np.testing.assert_array_equal(lit.sum(1), [1, 1, 0])  # the last lies out of every reach
