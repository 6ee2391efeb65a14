"""What other rooms do for the data types of this one: a table that the package fills.

Who has cells in a notebook looks for what can be done with them on the cells: ``cells.to_nwb(path)``,
``cells.plot()``. What does it (writers, pictures) stands above ``core``, which imports nothing above itself.
So a method of :class:`~calcium_lightning.core.cells.Cells` looks up here what the package's ``__init__``,
which runs before any of its modules, has put here. Must not know: what that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_known: dict[str, Callable[..., Any]] = {}


def register(name: str, function: Callable[..., Any]) -> None:
    """Let ``name`` be done by ``function``; its first argument is what it is done to."""
    _known[name] = function


def convenience(name: str) -> Callable[..., Any]:
    """What does ``name``."""
    return _known[name]
