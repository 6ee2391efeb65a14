"""Bad frames put back into the time of the recording."""

from __future__ import annotations

import numpy as np

from calcium_lightning.core.gaps import GappedRows, bridged

KEPT = np.array([1, 2, 5, 6])


def test_what_was_not_measured_is_nan():
    rows = GappedRows(np.arange(8, dtype=np.float32).reshape(2, 4), KEPT, 8)
    assert rows.shape == (2, 8)
    nan = np.nan
    np.testing.assert_array_equal(rows[slice(1, 2)], [[nan, 4, 5, nan, nan, 6, 7, nan]])


def test_or_bridged_by_a_line():
    rows = GappedRows(np.float32([[4, 5, 8, 7]]), KEPT, 8, bridged=True)
    np.testing.assert_allclose(rows[slice(0, 1)], [[4, 4, 5, 6, 7, 8, 7, 7]])


def test_motion_of_places_is_bridged_too():
    values = np.stack([KEPT, -KEPT], 1)[:, None].astype(np.float32)
    np.testing.assert_allclose(bridged(values, KEPT, 7)[1:, 0, 0], np.arange(1, 7))
