"""Several programs' cells of one recording, side by side: who found what, and whose traces agree.

Knows :class:`~calcium_lightning.core.cells.Cells` and how cells are matched; nothing of how any were found,
or of how this is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.selection import select
from calcium_lightning.io.results.table import read_cells
from calcium_lightning.metrics.cell_match import RADIUS, match_cells
from calcium_lightning.metrics.evaluation import TruthLike, evaluate


@dataclass(frozen=True)
class Result:
    """The cells of one program.

    Attributes
    ----------
    name : str
        What to call it.
    program : str
        Which program, and its version where it is known.
    cells : Cells
        Those that count.
    rejected : int
        Cells of its that don't.
    figures : dict of str to float
        Against the truth, where there is one.
    others : ndarray, int (K,)
        In how many of the other results each cell is.
    """

    name: str
    program: str
    cells: Cells
    rejected: int
    figures: dict[str, float] = field(default_factory=dict)
    others: np.ndarray = field(default_factory=lambda: np.zeros(0, int))


@dataclass(frozen=True)
class Agreement:
    """What two results have in common.

    Attributes
    ----------
    first, second : int
        Which of the results.
    shared : int
        Cells that are in both: pairs of centres within the radius, one to one, after the best offset.
    distance : float
        Median distance of the pairs, pixels.
    correlation : float
        Median of Pearson's r of their traces; NaN where they aren't of the same frames.
    """

    first: int
    second: int
    shared: int
    distance: float
    correlation: float


@dataclass(frozen=True)
class ResultsComparison:
    """Results, and what each pair has in common.

    Attributes
    ----------
    results : tuple of Result
        In the order in which they were given.
    agreements : tuple of Agreement
        Of each pair, the first of which was given first.
    radius : float
        How far centres of one cell may lie apart, pixels.
    """

    results: tuple[Result, ...]
    agreements: tuple[Agreement, ...]
    radius: float

    def of(self, first: int, second: int) -> Agreement:
        """The agreement of two results, in either order."""
        wanted = (min(first, second), max(first, second))
        return next(item for item in self.agreements if (item.first, item.second) == wanted)


def compare_results(
    cells: Sequence[Path | str], truth: TruthLike | None = None, *, radius: float = RADIUS
) -> ResultsComparison:
    """Compare what several programs found in one recording.

    Parameters
    ----------
    cells : sequence of path-like
        Cells files, or other programs' results.
    truth : Truth, BaseSession or path-like, optional
        As :func:`~calcium_lightning.metrics.evaluation.evaluate` takes it.
    radius : float
        How far centres of one cell may lie apart, pixels.

    Raises
    ------
    InputError
        If there are fewer than two, one can't be read, or they are of different fields.
    """
    if len(cells) < 2:
        raise InputError("cells=: one result; two or more of one recording are compared, cells=[A.h5,B.hdf5]")
    if not radius > 0:
        raise InputError(f"radius={radius}: it must be above 0 pixels")
    whole = [read_cells(path) for path in cells]
    for path, one in zip(cells[1:], whole[1:], strict=True):
        if one.frame_shape != whole[0].frame_shape:
            raise InputError(
                f"{path}: a field of {_size(one)} pixels, and {cells[0]} is of {_size(whole[0])}; results of "
                "one recording at one scale are compared"
            )
    figures: list[dict[str, Any]] = [{} for _ in cells]
    if truth is not None:
        measured = evaluate(list(cells), truth, radius=radius)["recordings"]
        figures = [item["figures"] for item in measured]
    counted = [select(one, np.flatnonzero(one.accepted)) for one in whole]
    agreements, others = [], [np.zeros(len(one), int) for one in counted]
    for second in range(len(counted)):
        for first in range(second):
            a, b = counted[first], counted[second]
            same = a.n_frames == b.n_frames > 1
            match = match_cells(
                a.centers,
                b.centers,
                a.traces if same else None,
                b.traces if same else None,
                radius=radius,
            )
            others[first][match.found] += 1
            others[second][match.true] += 1
            agreements.append(
                Agreement(
                    first, second, len(match.found), _median(match.distance), _median(match.correlation)
                )
            )
    results = (
        Result(name, one.package_version, part, len(one) - len(part), found, seen)
        for name, one, part, found, seen in zip(_names(cells), whole, counted, figures, others, strict=True)
    )
    return ResultsComparison(tuple(results), tuple(agreements), radius)


def _names(paths: Sequence[Path | str]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [Path(path).parts for path in paths]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts) and depth < max(map(len, parts)):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]


def _size(cells: Cells) -> str:
    return " x ".join(map(str, cells.frame_shape))


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
