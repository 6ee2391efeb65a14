"""Figures of one's own, beside the package's in every table of ``evaluate`` and in the W&B table of cells.

Knows cells and truth; a figure is a plain number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.parts import describe, register, registered

if TYPE_CHECKING:
    from calcium_lightning.core.cells import Cells
    from calcium_lightning.io.session import Truth


def metric(name: str) -> Callable[[Any], Any]:
    """Register a function of cells and truth: ``measure(cells, truth) -> float``.

    Over several recordings it is the mean of theirs. One that can't be measured of a recording gives NaN.

    Parameters
    ----------
    name : str
        Of the figure.
    """

    def add(measure: Any) -> Any:
        return register("metric", name, measure)

    return add


def own_metrics() -> dict[str, Callable[[Cells, Truth], float]]:
    """The registered ones by name."""
    return dict(registered("metric"))


def own_figures(cells: Cells, truth: Truth) -> dict[str, float]:
    """What the registered metrics say of a recording.

    Raises
    ------
    InputError
        If one fails, or doesn't give a number.
    """
    figures = {}
    for name, measure in own_metrics().items():
        called = f"metric {name}: {measure.__module__}.{measure.__qualname__}"
        try:
            value: Any = measure(cells, truth)
        except InputError:
            raise
        except Exception as error:  # whatever a stranger's code raises
            raise InputError(f"{called} fails ({describe(error)})") from error
        try:
            figures[name] = float(value)
        except (TypeError, ValueError) as error:
            raise InputError(f"{called} gives a {type(value).__name__}; a number is wanted") from error
    return figures
