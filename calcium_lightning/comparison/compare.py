"""Runs side by side: which settings differ, what came out, which run is the best and how to repeat it.

Knows :class:`~calcium_lightning.comparison.runs.Run`; knows nothing of how a comparison is shown.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from calcium_lightning.comparison.ranking import Metric, choose_metric, results_of
from calcium_lightning.comparison.runs import Run
from calcium_lightning.metrics.table import ORDER

#: settings that say how a run was started, not what it is
INCIDENTAL = (
    "callbacks.prune",
    "ckpt_path",
    "fresh",
    "hydra",
    "launcher",
    "logger",
    "output",
    "overwrite",
    "sweep",
)


@dataclass(frozen=True)
class Parameter:
    """A setting that differs.

    Attributes
    ----------
    name : str
        Dotted key or config group.
    values : tuple
        One per run; None where a run doesn't have it.
    """

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs, the best first.

    Attributes
    ----------
    runs : list of Run
        Ordered by the metric; those without it last.
    names : list of str
        What to call each.
    metric : Metric or None
        None where no run has a result yet.
    results : list of dict of str to float
        Of each run: every metric, where ``metric`` was best.
    parameters : list of Parameter
        What was set differently on the command line.
    others : list of Parameter
        Settings that differ besides, most of them by way of a config file that ``parameters`` name.
    best : int or None
        The best of the finished runs (of all, where none is finished).
    """

    runs: list[Run]
    names: list[str]
    metric: Metric | None
    results: list[dict[str, float]]
    parameters: list[Parameter]
    others: list[Parameter]
    best: int | None

    @property
    def values(self) -> list[float]:
        """The metric of each run, NaN where it has none."""
        name = self.metric.name if self.metric else ""
        return [result.get(name, math.nan) for result in self.results]

    @property
    def metrics(self) -> list[str]:
        """Names of all results, the chosen metric first, then those whose meaning is known."""
        first = self.metric.name if self.metric else ""
        return sorted(
            {name for result in self.results for name in result},
            key=lambda name: (name != first, ORDER.index(name) if name in ORDER else len(ORDER), name),
        )


def compare_runs(runs: Sequence[Run], metric: str | None = None, mode: str | None = None) -> Comparison:
    """Put runs side by side.

    Parameters
    ----------
    runs : sequence of Run
        One or more.
    metric : str, optional
        What to order by; default: what chose the runs' best checkpoints, if all have it.
    mode : {"min", "max"}, optional
        What is best; default: by the metric's name.

    Raises
    ------
    InputError
        If no run has the metric, or it isn't known whether less or more of it is better.
    """
    chosen = choose_metric(runs, metric, mode)
    results = [results_of(run, chosen) for run in runs]
    sign = -1 if chosen is not None and chosen.mode == "max" else 1

    def key(index: int) -> tuple[bool, float]:
        value = results[index].get(chosen.name, math.nan) if chosen else math.nan
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value

    order = sorted(range(len(runs)), key=key)
    ordered = [runs[index] for index in order]
    measured = [place for place, index in enumerate(order) if not key(index)[0]]
    finished = [place for place in measured if ordered[place].status == "finished"]
    parameters, others = _differences(ordered)
    return Comparison(
        runs=ordered,
        names=_names(ordered),
        metric=chosen,
        results=[results[index] for index in order],
        parameters=parameters,
        others=others,
        best=next(iter(finished or measured), None),
    )


def command_of(run: Run) -> str:
    """The command that repeats a run, quoted for the shell; paths are relative to the run's own ``cwd``."""
    kept = [item for item in run.overrides if not _incidental(_split(item)[0])]
    fresh = ["fresh=true"] if run.command == "train" else []  # or the result that is there would be read
    return shlex.join(["python", "-m", f"calcium_lightning.{run.command}", *run.flags, *kept, *fresh])


def _differences(runs: Sequence[Run]) -> tuple[list[Parameter], list[Parameter]]:
    typed = [dict(map(_split, run.overrides)) for run in runs]
    keys = dict.fromkeys(key for overrides in typed for key in overrides)
    parameters = _differing(
        (key, [_value(run, overrides, key) for run, overrides in zip(runs, typed, strict=True)])
        for key in keys
    )
    names = {parameter.name for parameter in parameters}
    settings = dict.fromkeys(key for run in runs for key in run.settings)
    others = _differing(
        (key, [run.settings.get(key) for run in runs]) for key in settings if key not in names
    )
    # Nothing was typed differently: their config files have changed, or tell nothing of what was typed.
    return (parameters, others) if parameters else (others, [])


def _differing(columns: Iterable[tuple[str, Sequence[Any]]]) -> list[Parameter]:
    return [
        Parameter(name, tuple(values))
        for name, values in columns
        if not _incidental(name) and any(value != values[0] for value in values)
    ]


def _incidental(key: str) -> bool:
    return any(key == name or key.startswith((f"{name}.", f"{name}/")) for name in INCIDENTAL)


def _value(run: Run, typed: dict[str, Any], key: str) -> Any:
    """What a run has for a key: typed, or by default."""
    if key in typed:
        return typed[key]
    return run.choices.get(key, run.settings.get(key))


def _split(override: str) -> tuple[str, Any]:
    """Key (or config group) and value of an override."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:  # not of this Hydra's grammar
        key, _, value = override.lstrip("+~").partition("=")
        return key, value
    return parsed.key_or_group, None if parsed.is_delete() else parsed.value()


def _names(runs: Sequence[Run]) -> list[str]:
    """The shortest paths that tell the folders apart."""
    folders = [run.folder.resolve() for run in runs]
    if len(folders) == 1:
        return [folders[0].name]
    depth = 0
    while len({folder.parts[:depth] for folder in folders}) == 1:
        depth += 1
    return ["/".join(folder.parts[depth - 1 :]) for folder in folders]
