"""When an animal was filmed or did something, in a recording's clock.

Knows numbers; nothing of the table or the file that they are from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Behavior:
    """Times, and what was noted at them.

    Attributes
    ----------
    name : str
        Of the camera or the table.
    times : ndarray, float64 (N,)
        Seconds in the recording's clock, rising.
    values : ndarray, float64 (N, C)
        The table's other columns.
    columns : tuple of str
        Their names; empty where the table has no header.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    columns: tuple[str, ...]


def distinct(found: Iterable[Behavior]) -> tuple[Behavior, ...]:
    """The same, where no two have one name."""
    named: dict[str, Behavior] = {}
    for one in found:
        name, number = one.name, 1
        while name in named:
            number += 1
            name = f"{one.name}_{number}"
        named[name] = replace(one, name=name)
    return tuple(named.values())
