"""What came out of runs, and what to order them by.

Knows :class:`~calcium_lightning.comparison.runs.Run`; knows nothing of settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calcium_lightning.comparison.runs import Run
from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.metrics.table import ORDER, better_of, meaning_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Metric:
    """What runs are ordered by.

    Attributes
    ----------
    name : str
        As in ``metrics.csv``, or as ``evaluate`` calls it.
    mode : {"min", "max"}
        What is best.
    meaning : str
        For people; may be empty.
    """

    name: str
    mode: str
    meaning: str


def choose_metric(runs: Sequence[Run], name: str | None = None, mode: str | None = None) -> Metric | None:
    """The metric that is asked for; by default what chose the best checkpoints, if most runs have it.

    Returns
    -------
    Metric or None
        None if no run has a result.

    Raises
    ------
    InputError
        If no run has the metric, or it isn't known whether less or more of it is better.
    """
    monitors = Counter(run.monitor for run in runs if run.monitor is not None)
    had = Counter(metric for run in runs for metric in {*_courses(run), *run.figures})
    if name is None:
        wanted = [monitor for (monitor, _), _ in monitors.most_common()]
        common = [*wanted, "val/reconstruction", "both", "f1", "mask_kappa"]
        present = [metric for metric in common if had[metric]] or [m for m in ORDER if had[m]]
        if not present:
            return None
        name = max(present, key=lambda metric: had[metric])  # the first of those that most runs have
    elif not had[name]:
        raise InputError(
            f"metric={name}: no run has it{nearest(name, had)}; there are {', '.join(sorted(had))}"
        )
    if mode not in (None, "min", "max"):
        raise InputError(f"mode={mode}: min or max")
    best = mode or better_of(name) or next((mode for monitor, mode in monitors if monitor == name), None)
    if best is None:
        raise InputError(f"metric={name}: is less better, or more? mode=min or mode=max tells")
    return Metric(name, best, meaning_of(name))


def _courses(run: Run) -> list[str]:
    """Metrics with a course."""
    table = run.courses
    return [str(name) for name in table if name not in ("epoch", "step") and table[name].notna().any()]


def course(run: Run, name: str) -> pd.DataFrame:
    """One metric over the run: columns ``epoch`` (of the rows that tell it) and ``value``."""
    table = run.courses
    if name not in table or "epoch" not in table:
        return table.iloc[:0].reindex(columns=["epoch", "value"])
    return table[["epoch", name]].dropna().rename(columns={name: "value"})


def results_of(run: Run, metric: Metric | None) -> dict[str, float]:
    """Every metric in the epoch where the chosen one was best; results without a course as they are."""
    results = dict(run.figures)
    if metric is None:
        return results
    values = course(run, metric.name)
    if values.empty:
        return results
    row = values["value"].idxmin() if metric.mode == "min" else values["value"].idxmax()
    epoch = values["epoch"][row]
    for name in _courses(run):
        if name.startswith("val/") or name == metric.name:
            at = course(run, name)
            at = at[at["epoch"] == epoch]["value"]
            if len(at):
                results[name] = float(at.iloc[-1])
    results[metric.name] = float(values["value"][row])
    return results
