"""The false-discovery rate of a recording, from targets and decoys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.localize.discovery import (
    Candidates,
    compete,
    discover,
    expected_false,
    learn,
    local_rate,
    q_values,
)

REACH = 3.0


def candidates(random: np.random.Generator, cells: int, chance: int, features: int = 6) -> Candidates:
    """Cells whose properties are high among chance ones whose are not, far apart; cells come first."""
    count = cells + chance
    properties = random.standard_normal((count, features))
    properties[:cells, :3] += 2.5
    return Candidates(random.uniform(0, 2000, (count, 2)), properties, properties[:, 0].copy())


def test_the_told_rate_is_that_of_false_cells() -> None:
    told, true = [], []
    for seed in range(8):
        random = np.random.default_rng(seed)
        found = discover(candidates(random, 150, 200), candidates(random, 0, 200), REACH)
        accepted = found.rate <= 0.1
        assert found.learned
        assert accepted[:150].mean() > 0.8
        told.append(found.expected_false[accepted].max())
        true.append(accepted[150:].sum())
    assert 0.5 < np.sum(told) / np.sum(true) < 2


def test_learning_from_the_recording_finds_more_than_one_property_does() -> None:
    random = np.random.default_rng(0)
    targets, decoys = candidates(random, 150, 300), candidates(random, 0, 300)
    alone, _ = q_values(targets.score, decoys.score)
    found = discover(targets, decoys, REACH)
    assert (found.rate[:150] <= 0.05).sum() > 1.3 * (alone[:150] <= 0.05).sum()


def test_what_is_beyond_doubt_is_not_given_up_for_a_crowd_that_is_not() -> None:
    """What is false stands out of the twin by a property of which a few decoys have even more."""
    random = np.random.default_rng(2)
    targets, decoys = candidates(random, 30, 110), candidates(random, 0, 70)
    targets.score[:30] += 8
    targets.properties[30:, 3] += 3
    decoys.properties[:5, 3] += 6
    found = discover(targets, decoys, REACH)
    assert (found.rate[:30] <= 0.05).all()
    assert (found.rate[30:] <= 0.05).sum() <= 3


@pytest.mark.parametrize("count", [8, 40, 400])
def test_nothing_is_accepted_where_there_is_nothing(count: int) -> None:
    number = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        found = discover(candidates(random, 0, count), candidates(random, 0, count), REACH)
        number.append((found.rate <= 0.05).sum())
    assert np.mean(number) < 0.5
    assert np.mean(np.array(number) > 0) <= 0.1


def test_a_few_clear_cells_among_much_chance_are_found() -> None:
    """Counting decoys alone can't tell a rate of 5 % from so few; how far they stand out can."""
    random = np.random.default_rng(3)
    targets, decoys = candidates(random, 12, 100), candidates(random, 0, 100)
    targets.score[:12] += 10
    found = discover(targets, decoys, REACH)
    assert (found.rate[:12] <= 0.05).all()
    assert (found.rate[12:] <= 0.05).sum() <= 1


def test_no_candidate_is_judged_by_what_it_taught() -> None:
    """With as many properties as examples, a classifier knows all of them by heart, and learns nothing."""
    random = np.random.default_rng(0)
    targets, decoys = candidates(random, 0, 150, 60), candidates(random, 0, 150, 60)
    targets.score[:60] += 20  # examples that the properties say nothing of
    # Judged by a classifier that hasn't seen them, the examples are no better than the decoys.
    assert learn(targets, decoys, REACH) is None
    targets.properties[:60, 0] += 6
    taught = learn(targets, decoys, REACH)
    assert taught is not None
    assert (taught[0][:60, None] > taught[1][None]).mean() > 0.95


def test_near_each_other_only_the_better_counts() -> None:
    targets = np.array([[10.0, 10.0], [50.0, 50.0], [90.0, 90.0]])
    decoys = np.array([[11.0, 10.0], [50.0, 51.0], [200.0, 0.0]])
    target, decoy = compete(targets, decoys, np.array([2.0, 1.0, 1.0]), np.array([1.0, 2.0, 9.0]), REACH)
    np.testing.assert_array_equal(target, [True, False, True])
    np.testing.assert_array_equal(decoy, [False, True, True])


def test_the_order_of_candidates_does_not_matter() -> None:
    random = np.random.default_rng(1)
    targets, decoys = candidates(random, 80, 100), candidates(random, 0, 90)
    order = random.permutation(180)
    turned = Candidates(targets.centers[order], targets.properties[order], targets.score[order])
    first, second = discover(targets, decoys, REACH), discover(turned, decoys, REACH)
    np.testing.assert_allclose(first.rate[order], second.rate, atol=1e-4)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=40), st.lists(st.floats(-50, 50), max_size=40))
def test_the_better_the_score_the_less_is_expected_to_be_false(
    score: list[float], chance: list[float]
) -> None:
    score, chance = np.sort(score), np.array(chance)
    expected = expected_false(score, chance)
    rate, _ = q_values(score, chance)
    local = local_rate(score, chance)
    assert (np.diff(expected) <= 1e-9).all()
    assert (np.diff(rate) <= 1e-9).all()
    assert (np.diff(local) <= 1e-9).all()
    for part in (rate, local):
        assert ((part >= 0) & (part <= 1)).all()


def test_how_bad_the_worst_of_a_few_decoys_are_says_nothing_of_how_good_chance_gets() -> None:
    cells, best = np.linspace(4.1, 5.6, 21), np.array([1.4, 0.3, -0.7, -1.4])
    usual, worse = (np.append(best, worst) for worst in ([-2.0, -3.0], [-8.0, -12.0]))
    np.testing.assert_array_equal(expected_false(cells, worse), expected_false(cells, usual))
    assert (q_values(cells, worse)[0] < 0.01).all()


@pytest.mark.parametrize(("cells", "false"), [(11, 40), (60, 30), (5, 200)])
def test_a_few_cells_among_many_false_targets_are_each_as_sure_as_all_of_them(cells: int, false: int) -> None:
    """The mean of the local rates of the best is their rate: a few cells aren't doubted for the rest."""
    random = np.random.default_rng(cells)
    score = np.concatenate([random.normal(6, 1, cells), random.normal(-2, 1.5, false)])
    chance = random.normal(-2, 1.5, false)
    local = local_rate(score, chance)
    assert local[:cells].mean() < 0.05
    assert local[cells:].mean() > 0.9


def test_where_chance_is_not_alike_each_group_has_its_own_rate() -> None:
    """Candidates on vessels flicker as the twin's do there; that doesn't speak for them that others don't."""
    random = np.random.default_rng(0)

    def group(number: int, score: float, index: int) -> Candidates:
        centers = random.uniform(0, 2000, (number, 2))
        return Candidates(
            centers, np.zeros((number, 1)), random.normal(score, 1, number), np.full(number, index)
        )

    def both(first: Candidates, second: Candidates) -> Candidates:
        parts = [(a.centers, a.properties, a.score, a.groups) for a in (first, second)]
        return Candidates(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    targets = both(group(100, 5, 0), group(25, 3, 1))
    decoys = both(group(25, 0, 0), group(20, 3, 1))
    found = discover(targets, decoys, REACH)
    assert (found.rate[:100] <= 0.05).mean() > 0.9
    assert (found.rate[100:] <= 0.05).sum() <= 1
    alone = Candidates(targets.centers, targets.properties, targets.score)
    found = discover(alone, Candidates(decoys.centers, decoys.properties, decoys.score), REACH)
    assert (found.rate[100:] <= 0.05).sum() >= 5  # at one rate for all, the many others vouch for them


def test_no_targets() -> None:
    random = np.random.default_rng(0)
    found = discover(candidates(random, 0, 0), candidates(random, 0, 40), REACH)
    assert found.rate.shape == found.local_rate.shape == (0,)
