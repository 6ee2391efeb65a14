"""Cells that one day has and another lacks, looked for there: at the expected place, in that day's recording.

A footprint is brought over from the days that have it, regressed on the recording beside that day's own
cells, and judged by that day's own tests. What passes is added to a copy of the cells file, as a cell drawn
by ``track`` that a person may undo (:mod:`~calcium_lightning.io.curation_file`), and labelled. Knows tracks,
cells files and their recordings; must not know how it is found out who is the same as whom.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.decisions import Action, Draw, Entry, Label, Point, now
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.progress import progress
from calcium_lightning.core.remade import Remade
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.core.version import __version__
from calcium_lightning.io.curation_file import Original, fold, open_original
from calcium_lightning.io.same_recording import check_recording
from calcium_lightning.io.session import Session
from calcium_lightning.localize.own_test import judge_more
from calcium_lightning.localize.ready import Ready
from calcium_lightning.localize.regress import regress

#: who has drawn these cells, and what they are labelled
WHO, LABEL = "track", "looked for"
#: a place is taken where an accepted cell is so near, and a cell is the one that was looked for where it
#: comes out so near, in cell diameters
TAKEN, STAYS = 0.5, 0.4
#: a footprint reaches so far from its centre, in cell diameters, and ends below this share of its peak
REACH, CUT = 1.5, 0.02
#: corners of what is kept as the drawn outline
CORNERS = 16


@dataclass(frozen=True)
class Wanted:
    """What one session is looked through for.

    Attributes
    ----------
    tracks : ndarray of int (N,)
        Rows of the tracks.
    places : ndarray (N, 2)
        Where their cells should be, pixels of the session.
    footprints : csr_matrix, float32 (N, H*W)
        What they look like on other days, brought over; peak 1.
    """

    tracks: np.ndarray
    places: np.ndarray
    footprints: csr_matrix


def wanted(tracks: Tracks, fields: Sequence[FootprintSet], session: int) -> Wanted:
    """The cells that a session lacks, at places that it sees and that no other cell has taken.

    Parameters
    ----------
    tracks : Tracks
        Who is who.
    fields : sequence of FootprintSet
        The sessions' cells, in the tracks' order.
    session : int
        Which one.
    """
    size, here = fields[session].frame_shape, _onto(tracks, session)
    diameter = float(np.median([field.diameter for field in fields if len(field)]))
    aligned = [row for row, item in enumerate(tracks.sessions) if item.transform is not None]
    at = {row: dict(zip(fields[row].rows.tolist(), range(len(fields[row])), strict=True)) for row in aligned}
    lacking = np.flatnonzero((tracks.cell[:, session] < 0) & (tracks.days > 0))
    members = [
        [(row, at[row][int(tracks.cell[track, row])]) for row in aligned if tracks.cell[track, row] >= 0]
        for track in lacking
    ]
    common = [
        np.mean([_onto(tracks, row).apply(fields[row].centers[[index]])[0] for row, index in some], axis=0)
        for some in members
    ]
    places = here.invert(np.array(common).reshape(-1, 2))
    pixel = np.rint(places).astype(int)
    inside = ((pixel >= 0) & (pixel < np.array(size))).all(1)
    inside[inside] = fields[session].visible[tuple(pixel[inside].T)]
    if len(fields[session]):
        inside &= cKDTree(fields[session].centers).query(places)[0] > TAKEN * diameter
    kept: list[int] = []
    for index in np.flatnonzero(inside):  # those of most days come first
        if all(np.linalg.norm(places[index] - places[other]) > TAKEN * diameter for other in kept):
            kept.append(int(index))
    shapes = [_brought(fields, members[index], tracks, here, places[index], diameter, size) for index in kept]
    footprints = csr_matrix(np.concatenate(shapes)) if shapes else csr_matrix((0, size[0] * size[1]))
    return Wanted(lacking[kept], places[kept], csr_matrix(footprints, dtype=np.float32))


def search(
    tracks: Tracks,
    fields: Sequence[FootprintSet],
    folder: Path | str,
    sessions: Sequence[Path | str | None] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Look for the cells that sessions lack, and write cells files that hold what was found, too.

    Parameters
    ----------
    tracks : Tracks
        Who is who so far.
    fields : sequence of FootprintSet
        The sessions' cells as they were tracked, each from a cells file of this package.
    folder : path-like
        Where the cells files go, under their names.
    sessions : sequence of path-like, optional
        The recordings; default: those that the cells files name.
    overwrite : bool
        Replace files there.

    Returns
    -------
    list of Path
        Of each session its cells file: a new one where something was found, else what it was.

    Raises
    ------
    InputError
        If a recording isn't where its cells file says, or cells aren't from a cells file.
    """
    folder = Path(folder)
    given = sessions if sessions is not None else [None] * len(fields)
    if len(given) != len(fields):
        raise InputError(
            f"sessions: {len(given)} recordings for {len(fields)} cells files; give one recording for each"
        )
    names = [Path(item.path).name for item in tracks.sessions]
    if len(set(names)) < len(names):
        raise InputError("search=: two of the cells files have one name; give them others first")
    lacking = {
        row: wanted(tracks, fields, row)
        for row, session in enumerate(tracks.sessions)
        if session.transform is not None
    }
    recordings = {  # all of them, before work
        row: _recording(tracks, row, given[row]) for row, item in lacking.items() if len(item.tracks)
    }
    made = [Path(session.path) for session in tracks.sessions]
    with progress("looking for cells", len(recordings), "sessions") as advance:
        for row, recording in recordings.items():
            target = folder / names[row]
            if _search_one(made[row], recording, lacking[row], target, overwrite):
                made[row] = target
            advance(1)
    return made


def _onto(tracks: Tracks, session: int) -> FieldTransform:
    transform = tracks.sessions[session].transform
    if transform is None:
        raise InputError(f"{tracks.sessions[session].name}: isn't aligned; nothing can be looked for in it")
    return transform


def _brought(
    fields: Sequence[FootprintSet],
    members: Sequence[tuple[int, int]],
    tracks: Tracks,
    here: FieldTransform,
    place: np.ndarray,
    diameter: float,
    size: tuple[int, int],
) -> np.ndarray:
    """The mean footprint of a track's members in a session's field, float32 (1, H*W), peak 1."""
    reach = int(np.ceil(REACH * diameter))
    top, left = np.maximum(np.rint(place).astype(int) - reach, 0)
    bottom, right = np.minimum(np.rint(place).astype(int) + reach + 1, size)
    y, x = np.mgrid[top:bottom, left:right]
    points = here.apply(np.column_stack([y.ravel(), x.ravel()]))
    total = np.zeros(y.shape)
    for row, index in members:
        field = fields[row]
        image = field.footprints[[index]].toarray().reshape(field.frame_shape)
        total += map_coordinates(image, _onto(tracks, row).invert(points).T, order=1).reshape(y.shape) / max(
            float(image.max()), 1e-9
        )
    whole = np.zeros(size, np.float32)
    peak = max(float(total.max()), 1e-9)
    whole[top:bottom, left:right] = np.where(total > CUT * peak, total / peak, 0)
    return whole.reshape(1, -1)


def _recording(tracks: Tracks, row: int, given: Path | str | None) -> Path:
    """Where a session's recording is."""
    item = tracks.sessions[row]
    if not item.path:
        raise InputError(f"{item.name}: only cells from a cells file can be looked for in their recording")
    with open_original(item.path) as original:
        told = Path(original.cells.session)
    for path in [Path(given)] if given is not None else [told, Path(item.path).parent / told.name]:
        if path.is_file():
            return path
    missing = told if given is None else given
    raise InputError(f"{item.path}: its recording {missing} isn't there; name all of them by sessions=[...]")


def _search_one(cells_path: Path, recording: Path, lacking: Wanted, target: Path, overwrite: bool) -> bool:
    """Look through one session; whether a cells file was written that holds what was found."""
    with open_original(cells_path) as original, Session(recording) as session:
        before = original.decided()
        check_recording(session, before)
        ready = Ready.of(session, before)
        diameter = ready.prepared.cell_diameter
        # What failed the tests at such a place is what is looked for.
        apart = cKDTree(lacking.places).query(np.nan_to_num(before.centers, nan=-1e6))[0]
        gone = np.flatnonzero(~before.accepted & (apart < TAKEN * diameter)).tolist()
        tried = regress(before, gone, lacking.footprints, ready)
        new = slice(0, len(lacking.tracks))
        _, passed = judge_more(before, {name: values[new] for name, values in tried.quality.items()})
        off = np.linalg.norm(tried.centers[new] - lacking.places, axis=1)
        passed &= off < STAYS * diameter
        if not passed.any():
            return False
        kept = np.flatnonzero(passed)
        found = regress(before, gone, csr_matrix(lacking.footprints[kept]), ready)
        judged, _ = judge_more(before, {name: values[: len(kept)] for name, values in found.quality.items()})
        quality = {name: values.copy() for name, values in found.quality.items()}
        for name in ("score", "fdr"):
            quality[name][: len(kept)] = judged[name]
        found = replace(found, quality=quality)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target, overwrite) as temporary:
            shutil.copyfile(cells_path, temporary)
            fold(temporary, _drawn(original, before.frame_shape, len(before), found, len(kept)))
    return True


def _drawn(
    original: Original, frame_shape: tuple[int, int], count: int, found: Remade, number: int
) -> Original:
    """With a drawn cell for each that was found, and a label on all of them."""
    log, remade = list(original.log), dict(original.remade)

    def keep(action: Action) -> int:
        log.append(Entry(len(log) + 1, WHO, now(), __version__, action))
        return len(log)

    for row in range(number):
        outline = _outline(found.footprints[[row]], frame_shape)
        # Neighbours whose traces have changed go with the first.
        rows = [row, *range(number, len(found.rows))] if row == 0 else [row]
        remade[keep(Draw(outline))] = found.take(rows)
    keep(Label(tuple(range(count, count + number)), LABEL))
    return replace(original, log=tuple(log), remade=remade)


def _outline(footprint: csr_matrix, frame_shape: tuple[int, int]) -> tuple[Point, ...]:
    """An ellipse with a footprint's moments."""
    y, x = np.divmod(footprint.indices, frame_shape[1])
    places = np.column_stack([y, x]).astype(float)
    middle = np.average(places, axis=0, weights=footprint.data)
    spread = np.cov((places - middle).T, aweights=footprint.data) + 0.1 * np.eye(2)
    values, vectors = np.linalg.eigh(spread)
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    # A Gaussian's half height lies 1.18 standard deviations out.
    axes = 1.18 * np.sqrt(values) * np.column_stack([np.cos(turn), np.sin(turn)])
    return tuple((float(a), float(b)) for a, b in middle + axes @ vectors.T)
