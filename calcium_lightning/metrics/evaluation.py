"""Cells against truth, whatever either is given as: data in memory, or files.

For: the command ``evaluate``, and the same call in a notebook.
Must not know: how the figures are shown. They are :class:`~calcium_lightning.metrics.scorecard.Scorecard`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import is_place, mapping, read_json
from calcium_lightning.core.truth import Truth
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.io.npy import read_array
from calcium_lightning.io.results.table import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.io.truth import read_truth as read_foreign
from calcium_lightning.metrics.cell_match import RADIUS

if TYPE_CHECKING:
    from calcium_lightning.metrics.scorecard import Scorecard

FORMAT, VERSION = "calcium-lightning-metrics", 1
#: what cells, and what truth, may be given as
CellsLike = Cells | Path | str
TruthLike = Truth | BaseSession | Path | str
Item = TypeVar("Item")


def evaluate(
    cells: CellsLike | Iterable[CellsLike],
    truth: TruthLike | Iterable[TruthLike],
    unknown: Any = None,
    *,
    count_rejected: bool = False,
    radius: float = RADIUS,
    failed: Callable[[str, InputError], None] | None = None,
) -> dict[str, Any]:
    """Compare cells with the truth.

    Parameters
    ----------
    cells : Cells, path-like, or several
        What was found.
    truth : Truth, BaseSession, path-like, or several
        Of the same recordings; one truth may serve several cells. A path is a session file with ``/truth``,
        or an annotator's mask (see :func:`read_truth`).
    unknown : path-like, or several, optional
        Masks (.npy) of the pixels to leave out, as many as truths.
    count_rejected : bool
        Count the cells that failed the quality tests too.
    radius : float
        How far a centre may lie from the true one, pixels.
    failed : callable, optional
        Told of each pair that can't be compared, by the cells' name, and why; the others go on. Without it
        the first such pair is the end.

    Returns
    -------
    dict
        ``recordings``: a list of ``{cells, truth, figures}``; ``together``: the figures of all. Their names
        are those of :meth:`~calcium_lightning.metrics.scorecard.Scorecard.together`.

    Raises
    ------
    InputError
        If files can't be read, don't pair, or don't fit each other.

    Examples
    --------
    >>> evaluate(cells, session)["together"]["f1"]  # doctest: +SKIP
    """
    from calcium_lightning.metrics.scorecard import Scorecard  # torch: who shows figures needn't load it

    found = _listed(cells, CellsLike)
    truths = _paired(_listed(truth, TruthLike), len(found), "truth")
    masks = [None] * len(found)
    if unknown is not None:
        masks = _paired(_listed(unknown, Path | str), len(found), "unknown")
    if not radius > 0:
        raise InputError(f"radius={radius}: it must be above 0 pixels")
    card = Scorecard(radius, count_rejected)
    recordings = []
    for one, real, left_out in zip(found, truths, masks, strict=True):
        try:
            figures = _figures(card, one, real, left_out)
        except InputError as error:
            if failed is None:
                raise
            failed(_name(one), error)
            continue
        recordings.append({"cells": _name(one), "truth": _name(real), "figures": figures})
    return {
        "format": FORMAT,
        "version": VERSION,
        "counts_rejected": count_rejected,
        "radius_px": radius,
        "recordings": recordings,
        "together": card.together(),
    }


def read_figures(metrics: Path, cells: Path) -> dict[str, Any]:
    """The figures of one cells file from a file that ``evaluate`` wrote.

    Raises
    ------
    InputError
        If it isn't such a file, or has several recordings and none of them is this one.
    """
    content = read_json(metrics)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{metrics}: not the figures that evaluate output=METRICS.json writes")
    if content.get("version") != VERSION:
        version = content.get("version")
        raise InputError(f"{metrics}: version {version}, this package reads {VERSION}; evaluate again")
    given = content.get("recordings")
    recordings = [item for item in given if mapping(item, "figures")] if isinstance(given, list) else []
    same = [item for item in recordings if is_place(item.get("cells"), cells)]
    if not same and len(recordings) == 1:
        same = recordings  # moved since then, or named otherwise
    if not same:
        raise InputError(f"{metrics}: has {len(recordings)} recordings, and none of them is {cells}")
    figures = mapping(same[0], "figures")
    wrong = [name for name, value in figures.items() if not isinstance(value, int | float | None)]
    if wrong:
        raise InputError(f"{metrics}: its figure {wrong[0][:80]} is no number; evaluate again")
    return figures


def _figures(card: Scorecard, cells: CellsLike, truth: TruthLike, unknown: Any) -> dict[str, float]:
    """The figures of one pair, which the card remembers for those of all."""
    result = cells if isinstance(cells, Cells) else read_cells(cells)
    true = _truth(truth, result)
    mask = None if unknown is None else _annotation(Path(unknown))
    if mask is not None and true.mask is None:
        raise InputError(f"unknown={unknown}: {_name(truth)} has no mask to leave pixels out of")
    try:
        return card.add(result, true, mask)
    except ValueError as error:
        raise InputError(f"{_name(cells)} and {_name(truth)} don't fit: {error}") from error


def read_truth(path: Path, shape: tuple[int, int, int]) -> Truth:
    """The truth in a session file, an annotator's mask in a .npy file, or what ``ingest truth=`` reads.

    Parameters
    ----------
    path : Path
        A session; a mask (H', W') in a .npy file; a mask, labels or footprints in a .png or .mat file.
    shape : tuple of int
        (T, H, W) of the recording.

    Raises
    ------
    InputError
        If the file can't be read or holds no truth.
    """
    if path.suffix.lower() == ".npy":
        return Truth(mask=_annotation(path))
    if path.suffix.lower() in (".png", ".mat"):
        return read_foreign(path, shape)
    with Session(path) as session:
        return _known(session.truth, path)


def _annotation(path: Path) -> np.ndarray:
    """An annotator's mask, (H', W') numbers or bool at its own resolution, from a .npy file.

    Raises
    ------
    InputError
        If it is missing or isn't a two-dimensional array.
    """
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")
    mask = read_array(path)
    if mask.ndim != 2 or mask.dtype.kind not in "biuf":
        raise InputError(f"{path}: a mask is one array of numbers with two dimensions, this is {mask.shape}")
    return mask


def _truth(truth: TruthLike, cells: Cells) -> Truth:
    if isinstance(truth, Truth):
        return _known(truth, "the truth")
    if isinstance(truth, BaseSession):
        return _known(truth.truth, truth.path)
    return read_truth(Path(truth), (cells.n_frames, *cells.frame_shape))


def _known(truth: Truth | None, where: object) -> Truth:
    if truth is None or (truth.footprints is None and truth.mask is None and truth.shifts is None):
        raise InputError(f"{where}: a session without /truth; give one that has it, or a mask (.npy)")
    return truth


def _name(thing: CellsLike | TruthLike) -> str:
    if isinstance(thing, BaseSession):
        return str(thing.path)
    return str(thing) if isinstance(thing, str | Path) else type(thing).__name__.lower()


def _listed(things: Any, one: Any) -> list[Any]:
    return [things] if isinstance(things, one) else list(things)


def _paired(things: list[Item], count: int, name: str) -> list[Item]:
    if len(things) == 1:
        return things * count
    if len(things) != count:
        raise InputError(f"{name}: {len(things)} files for {count} cells files; give as many, or one for all")
    return things
