"""Figures of one's own, beside the package's in every table of ``evaluate`` and in the W&B table of cells.

Knows cells and truth; a figure is a plain number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.parts import describe, register, registered
from calcium_lightning.metrics.table import Direction, Figure

if TYPE_CHECKING:
    from calcium_lightning.core.cells import Cells
    from calcium_lightning.core.truth import Truth


@dataclass(frozen=True)
class OwnMetric:
    """A registered function, and what its figure is called."""

    function: Callable[[Cells, Truth], float]
    figure: Figure

    @property
    def title(self) -> str:
        """For messages."""
        return f"metric {self.figure.name}: {self.function.__module__}.{self.function.__qualname__}"


def metric(
    name: str, better: Direction | None = None, meaning: str = "", form: str = ".4g"
) -> Callable[[Any], Any]:
    """Register a function of cells and truth: ``measure(cells, truth) -> float``.

    Over several recordings it is the mean of theirs. One that can't be measured of a recording gives NaN.

    Parameters
    ----------
    name, better, meaning, form
        As of a :class:`~calcium_lightning.metrics.table.Figure`.
    """

    def add(measure: Any) -> Any:
        register("metric", name, OwnMetric(measure, Figure(name, better, meaning, form=form)))
        return measure

    return add


def own_figures() -> dict[str, Figure]:
    """What the registered metrics measure, by name."""
    return {name: made.figure for name, made in registered("metric").items()}


def measure_own(cells: Cells, truth: Truth) -> dict[str, float]:
    """What the registered metrics say of a recording.

    Raises
    ------
    InputError
        If one fails, or doesn't give a number.
    """
    values = {}
    for name, made in registered("metric").items():
        try:
            value: Any = made.function(cells, truth)
        except InputError:
            raise
        except Exception as error:  # whatever a stranger's code raises
            raise InputError(f"{made.title} fails ({describe(error)})") from error
        try:
            values[name] = float(value)
        except (TypeError, ValueError) as error:
            raise InputError(f"{made.title} gives a {type(value).__name__}; a number is wanted") from error
    return values
