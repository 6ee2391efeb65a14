"""Visible cells are blobs by themselves, and an outline tells those that lie inside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from scipy.sparse import csr_matrix

SIZE, DIAMETER, WIDTH = (90, 120), 8.0, 2.0
ALONE, CLOSE = [(20, 20), (60, 90), (25, 70)], [(60, 30), (60, 37)]


@dataclass
class Outlined:
    """What of cells is looked at."""

    footprints: csr_matrix
    accepted: np.ndarray
    frame_shape: tuple[int, int] = SIZE


def _blobs(places: list[tuple[int, int]]) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.array([np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * WIDTH**2)) for a, b in places])


def test_blobs_by_themselves_are_visible_and_those_in_each_others_light_are_not(
    part: Callable[[str], ModuleType],
) -> None:
    noise = np.random.default_rng(0).normal(2, 0.2, SIZE)

    found = part("visible").visible(noise + 5 * _blobs(ALONE + CLOSE).sum(0), DIAMETER)

    assert len(found) == len(ALONE)
    assert all(np.hypot(*(found - place).T).min() < 1.5 for place in ALONE)


def test_what_lies_in_one_accepted_outline_is_told_from_none_and_several(
    part: Callable[[str], ModuleType],
) -> None:
    drawn = csr_matrix(_blobs([(20, 20), (60, 90), (62, 90), (25, 70)]).reshape(4, -1))
    cells = Outlined(drawn, np.array([True, True, True, False]))

    counts = part("visible").outlines_over(cells, np.array(ALONE))

    assert counts.tolist() == [1, 2, 0]
    assert list(part("visible").told(counts).values()) == [3, 1, 1, 1]
