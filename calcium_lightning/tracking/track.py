"""The same cells across sessions, from anybody's footprints: the one call that a notebook needs.

Puts the room together: fields onto each other, pairs of cells, tracks. Reads cells, and changes nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calcium_lightning.core.cells import CellTable
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.plain import readable
from calcium_lightning.core.tracks import TrackedSession, Tracks
from calcium_lightning.core.version import __version__
from calcium_lightning.io.footprints import read_footprints
from calcium_lightning.tracking.alignment import Alignment, align
from calcium_lightning.tracking.clusters import Clustering
from calcium_lightning.tracking.pair_alignment import FEWEST
from calcium_lightning.tracking.pairs import model_pairs
from calcium_lightning.tracking.pictures import Picture
from calcium_lightning.tracking.shapes import Shapes

#: pixel sizes that differ by more than this share are of different optics
PIXEL_SIZES = 0.03

#: what is tracked: cells, footprints, or a file of either
Trackable = CellTable | FootprintSet | Path | str


def track(
    cells: Sequence[Trackable],
    *,
    p: float = 0.5,
    rejected: bool = False,
    search: Path | str | None = None,
    sessions: Sequence[Path | str] | None = None,
    overwrite: bool = False,
    config: str = "",
) -> Tracks:
    """Find the same cells in several sessions.

    Parameters
    ----------
    cells : sequence
        Of each session its cells: :class:`~calcium_lightning.core.cells.Cells`, a
        :class:`~calcium_lightning.core.footprint_set.FootprintSet`, or a path (a cells file, or footprints
        of CaImAn, Suite2p, Minian or CellReg).
    p : float
        Least probability of a member of a track, 0 to 1.
    rejected : bool
        Take the cells that failed the quality tests too.
    search : path-like, optional
        Look for cells that a session lacks in its recording, and write cells files that hold those that are
        found, too, into this folder; the tracks are of these (:mod:`~calcium_lightning.tracking.search`).
    sessions : sequence of path-like, optional
        The recordings for that, in the order of ``cells``; default: those that the cells files name.
    overwrite : bool
        Replace cells files in that folder.
    config : str
        Kept with the tracks, YAML.

    Returns
    -------
    Tracks

    Raises
    ------
    InputError
        If there is one session only, one twice, one without cells, different pixel sizes, or if no two
        sessions match.
    """
    if isinstance(cells, str | Path) or not isinstance(cells, Sequence):
        raise InputError("cells: a list of several sessions' cells is wanted")
    tracks, _ = track_with_fields(
        cells, p=p, rejected=rejected, search=search, sessions=sessions, overwrite=overwrite, config=config
    )
    return tracks


def track_with_fields(
    cells: Sequence[Trackable],
    *,
    p: float = 0.5,
    rejected: bool = False,
    search: Path | str | None = None,
    sessions: Sequence[Path | str] | None = None,
    overwrite: bool = False,
    config: str = "",
) -> tuple[Tracks, list[FootprintSet]]:
    """As :func:`track`, with the footprints of the tracks' sessions: pages and exports show them."""
    if not 0 <= p < 1:
        raise InputError(f"p={p}: a probability from 0 to 1")
    if sessions is not None and search is None:
        raise InputError("sessions=: recordings are for search=, which isn't asked for")
    fields = read_fields(cells, rejected)
    tracks = track_fields(fields, p=p, config=config)
    if search is None:
        return tracks, fields
    from calcium_lightning.tracking import search as searching  # it needs all of localize, and torch

    before = [field.total for field in fields]
    paths = searching.search(tracks, fields, search, sessions, overwrite)
    fields = read_fields(paths, rejected)
    tracks = track_fields(fields, p=p, config=config)
    return replace(tracks, searched=(tracks.cell >= np.array(before))), fields


def read_fields(cells: Sequence[Trackable], rejected: bool = False) -> list[FootprintSet]:
    """The footprints of each session, checked.

    Raises
    ------
    InputError
        As :func:`track`.
    """
    fields: list[FootprintSet] = []
    for number, item in enumerate(cells):
        if isinstance(item, FootprintSet):
            fields.append(item)
        elif isinstance(item, CellTable):
            fields.append(FootprintSet.of(item, item.session or f"session {number + 1}", rejected))
        else:
            fields += read_footprints(item, rejected)
    fields = _told_apart(fields)
    check_fields(fields)
    return fields


def _told_apart(fields: Sequence[FootprintSet]) -> list[FootprintSet]:
    """Give sessions of one name the folders that tell them apart: m1/cells.h5 and m2/cells.h5 are common."""
    told = list(fields)
    counts = Counter(field.name for field in fields if field.path)
    for name in (name for name, count in counts.items() if count > 1):
        alike = [row for row, field in enumerate(fields) if field.path and field.name == name]
        parents = [Path(os.path.abspath(fields[row].path)).parent for row in alike]
        root = os.path.commonpath(parents)
        for row, parent in zip(alike, parents, strict=True):
            told[row] = replace(fields[row], name=readable((parent.relative_to(root) / name).as_posix()))
    return told


def check_fields(fields: Sequence[FootprintSet]) -> None:
    """Refuse sessions that can't be tracked.

    Raises
    ------
    InputError
        As :func:`track`.
    """
    if len(fields) < 2:
        raise InputError("one session: tracking needs two or more, cells=[A.h5,B.h5]")
    seen: dict[str, str] = {}
    for field in fields:
        # Copies of one file differ in what was decided, and are one session all the same.
        for mark in filter(None, (field.sha256, field.found)):
            if mark in seen:
                raise InputError(f"{field.name}: the same cells as {seen[mark]}; give each session once")
            seen[mark] = field.name
        if not len(field.nonempty()):
            what = "no cells" if not field.total else f"none of its {field.total} cells is accepted"
            raise InputError(f"{field.name}: {what}; leave it out, or take rejected=true")
    known = [field for field in fields if field.pixel_size_um is not None]
    for field in known[1:]:
        first = known[0]
        assert field.pixel_size_um is not None
        assert first.pixel_size_um is not None
        if abs(field.pixel_size_um / first.pixel_size_um - 1) > PIXEL_SIZES:
            raise InputError(
                f"{field.name}: {field.pixel_size_um:g} µm per pixel, and {first.name} has "
                f"{first.pixel_size_um:g}; {_to_one_size(field.pixel_size_um, first.pixel_size_um)}"
            )


def _to_one_size(one: float, other: float) -> str:
    """What to do about two pixel sizes."""
    ratio = max(one, other) / min(one, other)
    if round(ratio) > 1 and abs(ratio / round(ratio) - 1) <= PIXEL_SIZES:
        return f"bring them to one pixel size first (ingest bin={round(ratio)} of what has the smaller)"
    return "leave one out; or if one of them is wrong, extract it with the right pixel_size_um="


def track_fields(fields: Sequence[FootprintSet], *, p: float = 0.5, config: str = "") -> Tracks:
    """The same as :func:`track`, of footprints that are checked already."""
    kept = [field.nonempty() for field in fields]
    diameter = float(np.median([field.diameter for field in kept]))
    pictures = [
        None if field.mean_image is None else Picture.of(field.mean_image, field.visible, diameter)
        for field in kept
    ]
    alignment = align(
        [field.centers for field in kept],
        diameter,
        [field.frame_shape for field in kept],
        pictures=pictures,
    )
    if not alignment.aligned:
        raise InputError(_no_match(kept, alignment))
    chosen = alignment.aligned
    used = [kept[row] for row in chosen]
    transforms = [alignment.transforms[row] for row in chosen]
    shapes = Shapes(used, [item for item in transforms if item is not None], diameter)
    clustering = Clustering(model_pairs(shapes, diameter), [len(field) for field in used])
    clustering.solve()
    probability = clustering.cut(p)
    rows = np.concatenate([field.rows for field in used])
    found = clustering.tracks >= 0
    cell = np.full((len(found), len(fields)), -1, np.int32)
    share = np.full(cell.shape, np.nan, np.float32)
    cell[:, chosen] = np.where(found, rows[clustering.tracks], -1)
    share[:, chosen] = np.where(found, probability, np.nan)
    several = found.sum(1) > 1
    order = _ordered(cell, share)
    return Tracks(
        cell=cell[order],
        probability=share[order],
        sessions=tuple(_session(row, field, kept, alignment) for row, field in enumerate(fields)),
        reference=alignment.reference,
        least_probability=p,
        expected_false=float((1 - probability[several][found[several]]).sum()),
        expected_missed=clustering.missed(),
        config=config,
        package_version=__version__,
    )


def _ordered(cell: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Those of most sessions first, then by the session and row that they begin with."""
    first = (cell >= 0).argmax(1)
    return np.lexsort((cell[np.arange(len(cell)), first], first, -(cell >= 0).sum(1)))


def _session(
    row: int, field: FootprintSet, kept: Sequence[FootprintSet], alignment: Alignment
) -> TrackedSession:
    pairs = [pair for pair in alignment.pairs if row in (pair.first, pair.second) and pair.fit is not None]
    best = max(pairs, key=lambda pair: pair.score, default=None)
    return TrackedSession(
        name=field.name,
        path=field.path,
        sha256=field.sha256,
        found=field.found,
        log=field.log,
        frame_shape=field.frame_shape,
        cells=field.total,
        used=len(kept[row]),
        transform=alignment.transforms[row],
        residual_px=alignment.sigma[row],
        agreement=0.0 if best is None else best.score,
        chance=0.0 if best is None else best.chance,
        pictures=0.0 if best is None else best.pictures,
        closure_px=alignment.closure[row],
        doubted=row in alignment.doubted,
        pixel_size_um=field.pixel_size_um,
    )


def _no_match(fields: Sequence[FootprintSet], alignment: Alignment) -> str:
    names = " and ".join(field.name for field in fields) if len(fields) < 4 else f"{len(fields)} sessions"
    few = [field for field in fields if len(field) < FEWEST]
    if few:
        return f"{names}: these can't be matched: {few[0].name} has {len(few[0])} cells, {FEWEST} are needed"
    best = max(alignment.pairs, key=lambda pair: pair.score - pair.chance)
    return (
        f"{names}: these don't match: their cells' places agree by {max(best.score, 0):.0f} nats at "
        f"best, chance gives {best.chance:.0f}; are they of one animal, and the same field?"
    )
