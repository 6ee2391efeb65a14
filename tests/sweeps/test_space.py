"""Hydra's overrides as a search space."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.space import assignments, split


def space_of(*overrides: str):
    return split(OverridesParser.create().parse_overrides(list(overrides)))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a=interval(0,1)", FloatDistribution(0.0, 1.0)),
        ("a=tag(log, interval(1e-4, 1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("a=tag(int, interval(1, 9))", IntDistribution(1, 9)),
        ("a=tag(int, log, interval(1, 64))", IntDistribution(1, 64, log=True)),
        ("a=range(1,10)", IntDistribution(1, 9)),
        ("a=range(1,10,4)", IntDistribution(1, 9, step=4)),
        ("a=range(0,1,0.25)", CategoricalDistribution(["0.0", "0.25", "0.5", "0.75"])),
        ("a=x,y", CategoricalDistribution(["x", "y"])),
        ("a=choice([8,12],[16,24])", CategoricalDistribution(["[8,12]", "[16,24]"])),
        ("a=true,null,1.5", CategoricalDistribution(["True", "null", "1.5"])),
    ],
)
def test_a_sweep_is_a_distribution(override, expected):
    space, shared = space_of(override, "b=3")
    assert space == {"a": expected}
    assert shared == ["b=3"]


def test_groups_additions_and_the_last_word():
    space, shared = space_of("+experiment=one,two", "a=1", "a=2,3", "b=4,5", "b=6", "~c", "d='x y'")
    assert list(space) == ["+experiment", "a"]
    assert shared == ["b=6", "~c=null", "d='x y'"]


def test_choices_come_back_as_they_were_typed():
    """Whatever a choice is, the grammar reads it again as the same."""
    space, _ = space_of("""a='with space','comma, and \\'quote\\'',[1,"two"],{k: 1.5},1e-4""")
    typed = space["a"].choices
    parser = OverridesParser.create()
    for text in typed:
        (again,) = parser.parse_overrides(assignments({"a": text}))
        assert again.get_value_element_as_str() == text
    assert len(typed) == 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("a=glob(*)", "a: no search space"),
        ("a=tag(log, interval(0, 1))", "a: "),
        ("a=interval(2, 1)", "a: "),
        ("a=range(3,3)", "a: "),
    ],
)
def test_what_cannot_be_searched_is_refused(override, message):
    with pytest.raises(InputError, match=message):
        space_of(override)
