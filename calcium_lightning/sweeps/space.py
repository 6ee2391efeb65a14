"""Hydra's sweep overrides as Optuna's search space. Knows nothing of studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    RangeSweep,
)

from calcium_lightning.core.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def split(overrides: Sequence[Override]) -> tuple[dict[str, BaseDistribution], list[str]]:
    """Tell what is searched from what is given.

    ``a=interval(0,1)`` is continuous, ``a=tag(log, interval(1e-4,1e-2))`` on a log scale,
    ``a=tag(int, interval(1,9))`` whole numbers; ``a=range(1,10)`` whole numbers below 10, ``range(1,10,3)``
    in steps; ``a=x,y`` and ``a=choice(x,y)`` one of these.

    Parameters
    ----------
    overrides : sequence of Override
        Parsed; of two with one key the later counts.

    Returns
    -------
    (dict of str to BaseDistribution, list of str)
        The search space by key (with its ``+``), and the overrides that all trials share.

    Raises
    ------
    InputError
        For a sweep that is no search space, such as ``glob``.
    """
    space: dict[str, BaseDistribution] = {}
    shared: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        space.pop(key, None)
        shared.pop(key, None)
        if override.is_sweep_override():
            space[key] = _distribution(key, override)
        else:
            shared[key] = f"{key}={override.get_value_element_as_str()}"
    return space, list(shared.values())


def _distribution(key: str, override: Override) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep = override.value()
    try:
        if isinstance(sweep, IntervalSweep):
            low, high = sweep.start, sweep.end
            if low is None or high is None:
                raise ValueError("an interval has two ends")
            log = "log" in sweep.tags
            if "int" in sweep.tags:
                return IntDistribution(int(low), int(high), log=log)
            return FloatDistribution(float(low), float(high), log=log)
        if isinstance(sweep, RangeSweep) and not sweep.shuffle:
            values = list(sweep.range())
            if all(float(value).is_integer() for value in (*values, sweep.step)) and sweep.step > 0:
                return IntDistribution(int(values[0]), int(values[-1]), step=int(sweep.step))
        if isinstance(sweep, ChoiceSweep | RangeSweep):
            return CategoricalDistribution(list(override.sweep_string_iterator()))
    except (ValueError, IndexError) as error:
        raise InputError(f"{key}: {error}") from error
    raise InputError(f"{key}: no search space; choice(), range() or interval() make one")


def assignments(parameters: dict[str, object]) -> list[str]:
    """A trial's parameters as overrides; choices keep the text they were given in."""
    return [f"{key}={value}" for key, value in parameters.items()]
