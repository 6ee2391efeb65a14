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


def test_a_repeat_has_the_value_of_what_it_repeats():
    again = np.array([False, False, False, True, True, False, False, False])
    values, nan = np.float32([[4, 5, 8, 7]]), np.nan
    rows = GappedRows(values, KEPT, 8, repeated=again)
    np.testing.assert_array_equal(rows[slice(0, 1)], [[nan, 4, 5, 5, 5, 8, 7, nan]])
    lined = GappedRows(values, KEPT, 8, bridged=True, repeated=again)
    np.testing.assert_array_equal(lined[slice(0, 1)], [[4, 4, 5, 5, 5, 8, 7, 7]])
    spikes = GappedRows(values, KEPT, 8, repeated=again, once=True)
    np.testing.assert_array_equal(spikes[slice(0, 1)], [[nan, 4, 5, 0, 0, 8, 7, nan]])
    np.testing.assert_array_equal(values, [[4, 5, 8, 7]])


def test_a_repeat_of_nothing_is_nothing():
    again = np.array([True, False, False, False, True, False, False, True])
    rows = GappedRows(np.float32([[4, 5, 8, 7]]), KEPT, 8, repeated=again)
    np.testing.assert_array_equal(rows[slice(0, 1)], [[np.nan, 4, 5, np.nan, np.nan, 8, 7, 7]])


def test_motion_of_places_is_bridged_too():
    values = np.stack([KEPT, -KEPT], 1)[:, None].astype(np.float32)
    np.testing.assert_allclose(bridged(values, KEPT, 7)[1:, 0, 0], np.arange(1, 7))
