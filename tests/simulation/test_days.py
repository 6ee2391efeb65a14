"""Days of one animal: displacements that are known both ways, turnover as asked for, the same days every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation.days import DaysSettings, draw_animal, draw_days
from calcium_lightning.simulation.displacement import Displacement
from calcium_lightning.simulation.recorded_days import recorded_days
from calcium_lightning.simulation.settings import SceneSettings

SIZE = (120, 150)
SCENE = SceneSettings(height_px=SIZE[0], width_px=SIZE[1])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_a_displacement_goes_both_ways_and_bends_as_much_as_asked(seed) -> None:
    rng = np.random.default_rng(seed)
    days = DaysSettings(bending_px=4.0)
    drawn = Displacement.draw(days.drift_px, days.rotation_deg, days.scale, days.bending_px, SIZE, rng)
    points = rng.uniform(0, SIZE, (50, 2))
    np.testing.assert_allclose(drawn.invert(drawn.apply(points)), points, atol=0.01)
    grid = np.stack(np.meshgrid(*(np.arange(0, n, 3.0) for n in SIZE), indexing="ij"), -1).reshape(-1, 2)
    assert np.linalg.norm(drawn.bending(grid), axis=1).max() == pytest.approx(4.0, rel=0.05)
    assert np.linalg.norm(drawn.shift) <= days.drift_px
    assert abs(np.degrees(drawn.angle)) <= days.rotation_deg


@pytest.mark.parametrize("turnover", [0.0, 0.2, 0.4])
def test_turnover_is_what_was_asked_for(turnover: float) -> None:
    animal = draw_animal(4000, DaysSettings(turnover=turnover), SIZE, np.random.default_rng(0))
    stays = [(a & b).sum() / a.sum() for a, b in zip(animal.active, animal.active[1:], strict=False)]
    assert np.mean(stays) == pytest.approx((1 - turnover / 2) ** 2, abs=0.02)


def test_the_same_seed_gives_the_same_days() -> None:
    one, again = (draw_days(SCENE, DaysSettings(count=2), seed=3) for _ in range(2))
    for a, b in zip(one, again, strict=True):
        assert (a.footprints != b.footprints).nnz == 0
        np.testing.assert_array_equal(a.identity, b.identity)


def test_the_same_cell_lies_where_its_day_lies() -> None:
    first, second = draw_days(SCENE, DaysSettings(count=2, drift_px=8.0), seed=4, noise=0.0)
    common, a, b = np.intersect1d(first.identity, second.identity, return_indices=True)
    a, b = a[common >= 0], b[common >= 0]
    assert len(a) > 10
    before = footprint_centers(first.footprints, SIZE)[a]
    after = second.displacement.invert(footprint_centers(second.footprints, SIZE)[b])
    inner = ((before > 15) & (before < np.array(SIZE) - 15)).all(1)
    assert np.median(np.linalg.norm(before - after, axis=1)[inner]) < 0.5


@pytest.mark.parametrize("change", [{"count": 0}, {"turnover": 1.5}, {"drift_px": -1.0}, {"scale": 0.9}])
def test_values_out_of_range_are_refused(change) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        DaysSettings(**change)


def test_recordings_of_days_share_cells_that_lie_where_each_day_lies() -> None:
    quiet = {"motion_std_px": (0.1, 0.1), "motion_jumps_per_minute": 0.0, "truth_min_detectability": 2.0}
    scene = SceneSettings(height_px=110, width_px=130, seconds=8.0, bursts_per_second=(0.3, 0.6), **quiet)
    days = DaysSettings(count=2, drift_px=10.0, turnover=0.3)
    first, second = recorded_days(scene, days, seed=5)
    one, other = first.truth.identity, second.truth.identity
    common, a, b = np.intersect1d(one, other, return_indices=True)
    assert 0.4 < len(common) / min(len(one), len(other)) < 1
    assert len(np.setxor1d(one, other)) > 3
    size = (110, 130)
    before = footprint_centers(first.truth.footprints, size)[a]
    after = second.day.displacement.invert(footprint_centers(second.truth.footprints, size)[b])
    inner = ((before > 15) & (before < np.array(size) - 15)).all(1)
    assert np.median(np.linalg.norm(before - after, axis=1)[inner]) < 0.7
    # What isn't the animal's is drawn anew: activity, motion, noise.
    assert np.abs(first.truth.spikes[a] - second.truth.spikes[b]).max() > 0
    assert (first.frames(0, 1) != second.frames(0, 1)).mean() > 0.5
    again = recorded_days(scene, days, seed=5)[1]
    np.testing.assert_array_equal(again.frames(3, 5), second.frames(3, 5))
