"""Rows of cells that a person made, and of neighbours whose traces changed by it; and cells as decided.

:func:`decided` puts what was found, what decisions amount to and the rows made anew together. Which rows are
made how is nobody's business here: knows arrays only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_matrix, vstack

from calcium_lightning.core.cells import (
    TRACES,
    LocalizationBlocks,
    Localizations,
    Rows,
    StreamedCells,
)
from calcium_lightning.core.standing import ORIGINS, Standing


@dataclass(frozen=True)
class Remade:
    """What one action makes anew, n rows.

    Attributes
    ----------
    rows : ndarray of int (n,)
        Which cells: new ones, and found ones whose traces changed.
    centers, center_std : ndarray, float32 (n, 2)
        Pixels.
    footprints : csr_matrix, float32 (n, H*W)
        Peak 1.
    traces, denoised, spikes : Rows (n, T)
        As a cells file has them.
    baseline : ndarray, float32 (n,)
        F0, units of the frames.
    quality : dict of str to ndarray, float32 (n,)
        ``nan`` for what isn't known.
    regressed : bool
        They were regressed on the recording; otherwise put together from what was known.
    """

    rows: np.ndarray
    centers: np.ndarray
    center_std: np.ndarray
    footprints: csr_matrix
    traces: Rows
    denoised: Rows
    spikes: Rows
    baseline: np.ndarray
    quality: dict[str, np.ndarray]
    regressed: bool

    def take(self, index: Sequence[int]) -> Remade:
        """Some of the rows."""

        def some(rows: Rows) -> np.ndarray:
            return np.concatenate([rows[slice(row, row + 1)] for row in index])

        kept = list(index)
        return Remade(
            self.rows[kept],
            self.centers[kept],
            self.center_std[kept],
            self.footprints[kept],
            some(self.traces),
            some(self.denoised),
            some(self.spikes),
            self.baseline[kept],
            {name: values[kept] for name, values in self.quality.items()},
            self.regressed,
        )


@runtime_checkable
class Columns(Protocol):
    """Traces (K, T) of which some frames can be had without the rest."""

    def frames(self, start: int, stop: int) -> np.ndarray:
        """Frames of all rows, float32 (K, stop - start)."""
        ...


@dataclass(frozen=True)
class OverlaidRows:
    """Traces (K, T) of which some rows are somewhere else.

    Attributes
    ----------
    base : Rows
        The first of them.
    count : int
        K.
    places : dict of int to (Rows, int)
        Where other rows are, by their number.
    """

    base: Rows
    count: int
    places: Mapping[int, tuple[Rows, int]]

    @property
    def shape(self) -> tuple[int, int]:
        """(K, T)."""
        return self.count, self.base.shape[1]

    def __getitem__(self, rows: slice) -> np.ndarray:
        wanted = range(self.count)[rows]
        first = self.base[slice(wanted.start, min(wanted.stop, self.base.shape[0]), wanted.step)]
        values = np.zeros((len(wanted), self.shape[1]), np.float32)
        values[: len(first)] = first
        for place, row in enumerate(wanted):
            if row in self.places:
                source, index = self.places[row]
                values[place] = source[slice(index, index + 1)][0]
        return values

    def frames(self, start: int, stop: int) -> np.ndarray:
        """Frames of all rows, float32 (K, stop - start)."""
        values = np.zeros((self.count, stop - start), np.float32)
        first = _columns(self.base, start, stop)[: self.count]
        values[: len(first)] = first
        for row, (source, index) in self.places.items():
            if row < self.count:
                values[row] = source[slice(index, index + 1)][0, start:stop]
        return values


def _columns(rows: Rows, start: int, stop: int) -> np.ndarray:
    return rows.frames(start, stop) if isinstance(rows, Columns) else rows[slice(None)][:, start:stop]


@dataclass(frozen=True)
class Reclaimed:
    """Localisations whose cells have other numbers now.

    Attributes
    ----------
    localizations : LocalizationBlocks
        As they were.
    numbers : ndarray, int32 (K + 1,)
        The new number of each cell, and -1 for none.
    """

    localizations: LocalizationBlocks
    numbers: np.ndarray

    def blocks(self) -> Iterator[Localizations]:
        """Yield them in the order of their frames."""
        for block in self.localizations.blocks():
            yield replace(block, cell=self.numbers[block.cell])


def decided(found: StreamedCells, standing: Standing, remade: Mapping[int, Remade]) -> StreamedCells:
    """Cells as a person left them.

    Parameters
    ----------
    found : StreamedCells
        What was found, with the tests' own verdict.
    standing : Standing
        What the decisions amount to.
    remade : mapping of int to Remade
        What each action made, by its number in the log; those that aren't in force are left alone.
    """
    count, more = len(standing), len(standing) - len(found)
    pixels = found.footprints.shape[1]
    centers, std, baseline = (
        np.concatenate([part, np.full((more, *part.shape[1:]), np.nan, np.float32)])
        for part in (found.centers, found.center_std, found.baseline)
    )
    quality = {
        name: np.concatenate([values, np.full(more, np.nan, np.float32)])
        for name, values in found.quality.items()
    }
    footprints = [found.footprints]
    places: dict[str, dict[int, tuple[Rows, int]]] = {name: {} for name in TRACES}
    regressed = standing.regressed.copy()
    for number in sorted(set(standing.made_by.tolist()) - {0}):
        part = remade[number]
        centers[part.rows], std[part.rows], baseline[part.rows] = part.centers, part.center_std, part.baseline
        for name in quality:
            quality[name][part.rows] = part.quality.get(name, np.full(len(part.rows), np.nan))
        new = np.flatnonzero(standing.made_by[part.rows] == number)
        regressed[part.rows[new]] = part.regressed
        footprints.append(part.footprints[new])
        for name in TRACES:
            places[name] |= {
                int(row): (getattr(part, name), index) for index, row in enumerate(part.rows.tolist())
            }
    merged = {int(row) for row in np.flatnonzero(standing.replaced_by >= 0)}
    numbers = np.append(np.arange(count), -1).astype(np.int32)
    for row in sorted(merged):  # by way of cells that were merged again
        numbers[row] = _heir(standing, row)
    changed = bool((standing.accepted[: len(found)] != found.accepted).any()) or more > 0
    whole = csr_matrix(vstack(footprints)) if more else found.footprints
    return replace(
        found,
        centers=centers,
        center_std=std,
        baseline=baseline,
        quality=quality,
        footprints=csr_matrix(whole, shape=(count, pixels)),
        accepted=standing.accepted,
        false_discovery=None if changed else found.false_discovery,
        curation=replace(standing, regressed=regressed),
        localizations=Reclaimed(found.localizations, numbers) if merged else found.localizations,
        traces=OverlaidRows(found.traces, count, places["traces"]),
        denoised=OverlaidRows(found.denoised, count, places["denoised"]),
        spikes=OverlaidRows(found.spikes, count, places["spikes"]),
    )


def _heir(standing: Standing, row: int) -> int:
    """The cell that has the localisations of a row: what it was merged into; of a split cell, itself."""
    while (heir := int(standing.replaced_by[row])) >= 0 and ORIGINS[standing.origin[heir]] == "merged":
        row = heir
    return row
