"""What a person decided, in the cells file: ``/curation`` and the datasets that follow it.

The file's own datasets hold cells as they were left, so that whoever reads ``/accepted`` and ``/traces``
needs to know nothing of curation. ``/curation`` holds what it takes to go back: the log, the tests' own
verdict, the rows as they were before, and what each action made. A file is never changed in place, where a
kill would leave a damaged one, but written anew and renamed (:func:`fold`). What is decided meanwhile is in
the journal beside it (:mod:`~calcium_lightning.io.journal`). Knows files; must not know how rows are made.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from calcium_lightning.core import system
from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import TRACES, Rows, StreamedCells
from calcium_lightning.core.decisions import MAKING, Entry, Split, check_order, entry_of, in_force, to_redo
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import VALUES, reading
from calcium_lightning.core.remade import OverlaidRows, Remade, decided
from calcium_lightning.core.standing import Standing
from calcium_lightning.io import hdf5
from calcium_lightning.io.cells_stream import (
    FORMAT,
    VERSION,
    StoredRows,
    false_discovery,
    stream,
    write_rows,
)
from calcium_lightning.io.hdf5_output import create_file
from calcium_lightning.io.journal import journal_of, read_journal
from calcium_lightning.io.stored import open_stored, whole

CURATION, CURATION_VERSION = "curation", 1
#: what to do about a journal that can't be read
WITHOUT = "move the journal's folder away to go on without it"
#: one value for each cell
COLUMNS = ("automatic", "verdict", "origin", "made_by", "replaced_by")
TEXTS = ("notes", "who", "when")
#: main datasets that have a row for each cell
ROWS = ("centers", "center_std", "baseline")


@dataclass(frozen=True)
class Original:
    """What was found, before anybody decided, and what was decided since.

    Attributes
    ----------
    cells : StreamedCells
        With the tests' own verdict.
    log : tuple of Entry
        All of it, the journal's end included.
    remade : dict of int to Remade
        What each action made, by its number.
    folded : int
        Entries of the log that are in the file itself.
    """

    cells: StreamedCells
    log: tuple[Entry, ...]
    remade: dict[int, Remade]
    folded: int

    def decided(self) -> StreamedCells:
        """The cells as they were left."""
        return decided(self.cells, Standing.of(self.cells.accepted, self.log), self.remade)

    def before(self, number: int) -> StreamedCells:
        """The cells as they were before an entry in force."""
        log = [entry for entry in in_force(self.log) if entry.number < number]
        return decided(self.cells, Standing.of(self.cells.accepted, log), self.remade)


@contextmanager
def open_decided(path: Path | str) -> Iterator[StreamedCells]:
    """Open a cells file; cells are as a person left them, the journal beside the file included.

    Raises
    ------
    InputError
        If the file is missing, of another format or version, or breaks the contract.
    """
    with open_original(path) as original:
        yield original.decided() if original.log else original.cells


@contextmanager
def open_original(path: Path | str) -> Iterator[Original]:
    """Open a cells file, and put it back to what was found.

    Raises
    ------
    InputError
        As :func:`open_decided`.
    """
    with ExitStack() as stack:
        file = stack.enter_context(hdf5.open_file(Path(path), FORMAT, VERSION))
        with reading(path, parsing=True):
            cells, log, remade = _original(file)
        folded = len(log)
        journal = read_journal(Path(path), fingerprint(cells))
        if journal is not None:
            log = (*log, *(entry for entry in journal.entries if entry.number > folded))
            try:
                check_order(log)
            except InputError as error:
                raise InputError(f"{journal_of(Path(path))}: damaged ({error}); move it away") from error
            for number, place in journal.remade.items():
                with reading(place, advice=WITHOUT, parsing=True):
                    remade[number] = read_remade(stack.enter_context(open_stored(place)))
        _check_remade(str(path), cells, log, remade)
        yield Original(cells, log, remade, folded)


def check_undecided(path: Path) -> None:
    """Refuse to replace cells that a person has decided about: that work can't be made anew.

    Raises
    ------
    InputError
        Saying how decisions are taken over.
    """
    decided_cells = journal_of(path).exists()
    if path.is_file() and h5py.is_hdf5(path):
        advice = "it may hold decisions by hand: move it away"
        with reading(path, advice=advice), open_stored(path) as file:
            decided_cells |= CURATION in file
    if decided_cells:
        raise InputError(
            f"{path}: holds decisions by hand, which overwrite=true would lose; give another output=, and "
            f"take them over with curate cells=OUTPUT from={path} serve=false"
        )


def fingerprint(found: StreamedCells) -> str:
    """Which cells decisions are about, whatever was decided: SHA-256 of places, verdicts and session."""
    return _fingerprint(found.session_sha256, found.n_frames, found.centers, found.accepted)


def _fingerprint(session: str, length: int, centers: np.ndarray, accepted: np.ndarray) -> str:
    digest = hashlib.sha256(f"{session} {(len(centers), length)}".encode())
    digest.update(np.ascontiguousarray(centers, np.float32).tobytes())
    digest.update(np.ascontiguousarray(accepted, bool).tobytes())
    return digest.hexdigest()


def marks_of(file: h5py.File) -> tuple[str, str]:
    """What rows of an open file stay known by, whatever is decided later.

    Returns
    -------
    found : str
        :func:`fingerprint` of what was found in it.
    log : str
        The last of :func:`digests` of what was decided by then; empty where nothing was.
    """
    centers = hdf5.read(file, "centers", (None, 2), np.float32)
    group, accepted, found = file.get(CURATION), "accepted", len(centers)
    log: tuple[Entry, ...] = ()
    if isinstance(group, h5py.Group):
        found, accepted = int(hdf5.number(group.attrs.get("found", found))), f"{CURATION}/automatic"
        log = _read_log(group, f"{file.filename}: /{CURATION}")
    verdict = hdf5.read(file, accepted, (len(centers),), bool)
    length = hdf5.dataset(file, "traces", 2).shape[1]
    session = hdf5.text(file.attrs.get("session_sha256", ""))
    return _fingerprint(session, length, centers[:found], verdict[:found]), ["", *digests(log)][-1]


def digests(log: Sequence[Entry]) -> list[str]:
    """SHA-256 of a log's entries, up to each of them."""
    digest, found = hashlib.sha256(), []
    for entry in log:
        digest.update(json.dumps(entry.as_json()).encode())
        found.append(digest.hexdigest())
    return found


def fold(path: Path | str, original: Original) -> None:
    """Write a cells file anew with all that was decided, atomically, and down to the disk.

    Parameters
    ----------
    path : path-like
        The file; where it is interrupted, it stays as it was.
    original : Original
        What was found in it and decided since; it reads from the same file, or from what was it.

    Raises
    ------
    InputError
        If the file isn't that of these cells any more.
    OSError
        If the disk is full.
    """
    path = Path(path)
    found, cells = original.cells, original.decided()
    with hdf5.open_file(path, FORMAT, VERSION) as source:
        if fingerprint(_original(source)[0]) != fingerprint(found):
            raise InputError(f"{path}: holds other cells now; put the file back that was decided about")
        with atomic_path(path, overwrite=True) as temporary:
            with create_file(temporary) as file:
                file.attrs.update(source.attrs)
                made = len(cells) > len(found) or len(source["centers"]) > len(found)
                anew = {"accepted", CURATION} | ({*ROWS, *TRACES, "footprints", "quality"} if made else set())
                for name in source:
                    if name not in anew:
                        source.copy(name, file)
                if made:
                    _write_rows(file, cells)
                file["accepted"] = np.asarray(cells.accepted, bool)
                if cells.false_discovery is not None:
                    file["accepted"].attrs.update(asdict(cells.false_discovery))
                _write_curation(file.create_group(CURATION), original)
            shutil.copymode(path, temporary)
            system.sync(temporary)
    system.sync(path.resolve().parent)


def _write_rows(file: h5py.File, cells: StreamedCells) -> None:
    for name in ROWS:
        file[name] = np.asarray(getattr(cells, name), np.float32)
    for name in TRACES:
        rows = getattr(cells, name)
        write_rows(file.create_dataset(name, rows.shape, np.float32), rows)
    hdf5.write_footprints(file.create_group("footprints"), cells.footprints, cells.frame_shape)
    for name, values in cells.quality.items():
        file[f"quality/{name}"] = np.asarray(values, np.float32)


def _write_curation(group: h5py.Group, original: Original) -> None:
    found, log = original.cells, original.log
    standing = Standing.of(found.accepted, log)
    group.attrs.update({"version": CURATION_VERSION, "found": len(found), "revision": len(log)})
    for name in COLUMNS:
        group[name] = getattr(standing, name)
    if found.false_discovery is not None:
        group["automatic"].attrs.update(asdict(found.false_discovery))
    text = h5py.string_dtype()
    for name in TEXTS:
        group.create_dataset(name, data=list(getattr(standing, name)), dtype=text)
    group.create_dataset("labels", data=[json.dumps(item) for item in standing.labels], dtype=text)
    group.create_dataset("log", data=[json.dumps(entry.as_json()) for entry in log], dtype=text)
    changed: set[int] = set()
    made = set(standing.made_by.tolist()) - {0}
    undone = {entry.number for entry in to_redo(log)} & set(original.remade)
    for number in sorted(made | undone):
        part = original.remade[number]
        write_remade(group.create_group(f"remade/{number}"), part, found.frame_shape)
        if number in made:
            changed |= {row for row in part.rows.tolist() if row < len(found)}
    before = group.create_group("before")
    rows = sorted(changed)
    before["rows"] = np.array(rows, np.int32)
    for name in TRACES:
        values = before.create_dataset(name, (len(rows), found.traces.shape[1]), np.float32)
        for place, row in enumerate(rows):
            values[place] = getattr(found, name)[slice(row, row + 1)][0]


def write_remade(group: h5py.Group, part: Remade, frame_shape: tuple[int, int]) -> None:
    """Write what an action made."""
    group.attrs["regressed"] = part.regressed
    group["rows"] = np.asarray(part.rows, np.int32)
    for name in ROWS:
        group[name] = np.asarray(getattr(part, name), np.float32)
    for name in TRACES:
        rows = getattr(part, name)
        write_rows(group.create_dataset(name, rows.shape, np.float32), rows)
    hdf5.write_footprints(group.create_group("footprints"), part.footprints, frame_shape)
    quality = group.create_group("quality")
    for name, values in part.quality.items():
        quality[name] = np.asarray(values, np.float32)


def read_remade(group: h5py.Group) -> Remade:
    """What :func:`write_remade` wrote; traces are read when they are asked for.

    Raises
    ------
    InputError
        If it isn't that.
    """
    footprints, _ = hdf5.read_footprints(group, "footprints")
    count = footprints.shape[0]
    length = hdf5.dataset(group, "traces", 2).shape[1]
    quality = group.get("quality")
    if quality is not None and not isinstance(quality, h5py.Group):
        where = f"{group.file.filename}: {group.name.rstrip('/')}/quality"
        raise InputError(f"{where} is no group; the file is damaged")
    return Remade(
        rows=hdf5.read(group, "rows", (count,), np.int64),
        centers=hdf5.read(group, "centers", (count, 2), np.float32, finite=True),
        center_std=hdf5.read(group, "center_std", (count, 2), np.float32),
        footprints=footprints,
        baseline=hdf5.read(group, "baseline", (count,), np.float32),
        quality={name: hdf5.read(quality, name, (count,), np.float32) for name in (quality or {})},
        regressed=hdf5.flag(group.attrs.get("regressed", False), f"{group.file.filename}: regressed"),
        traces=StoredRows.of(group, "traces", count, length),
        denoised=StoredRows.of(group, "denoised", count, length),
        spikes=StoredRows.of(group, "spikes", count, length),
    )


def _original(file: h5py.File) -> tuple[StreamedCells, tuple[Entry, ...], dict[int, Remade]]:
    """What was found, the log and what was made, of an open file."""
    cells = stream(file)
    group = file.get(CURATION)
    if group is None:
        return cells, (), {}
    where = f"{file.filename}: /{CURATION}"
    if not isinstance(group, h5py.Group) or not isinstance(group.get("before"), h5py.Group):
        raise InputError(f"{where} is damaged; copy the file again")
    version = hdf5.number(group.attrs.get("version"))
    if version != CURATION_VERSION:
        raise InputError(f"{where} is of version {version:g}, this package reads {CURATION_VERSION}")
    told = hdf5.number(group.attrs.get("found", len(cells)))
    if told not in range(len(cells) + 1):
        raise InputError(f"{where} tells of {told:g} cells that were found, of {len(cells)}")
    found = int(told)
    automatic = hdf5.read(group, "automatic", (len(cells),), bool)
    log = _read_log(group, where)
    remade = {int(number): read_remade(part) for number, part in _remade_groups(group, where)}
    before = group["before"]
    rows = hdf5.read(before, "rows", (None,), np.int64).tolist()

    def restored(name: str, rows_now: Rows) -> OverlaidRows:
        kept = StoredRows.of(before, name, len(rows), cells.n_frames)
        return OverlaidRows(rows_now, found, {row: (kept, place) for place, row in enumerate(rows)})

    first = slice(found)
    original = replace(
        cells,
        centers=cells.centers[first],
        center_std=cells.center_std[first],
        baseline=cells.baseline[first],
        footprints=cells.footprints[first],
        quality={name: values[first] for name, values in cells.quality.items()},
        accepted=automatic[first],
        false_discovery=false_discovery(group["automatic"]),
        traces=restored("traces", cells.traces),
        denoised=restored("denoised", cells.denoised),
        spikes=restored("spikes", cells.spikes),
    )
    return original, log, remade


def _check_remade(
    where: str, found: StreamedCells, log: tuple[Entry, ...], remade: Mapping[int, Remade]
) -> None:
    """Refuse rows made anew that aren't those of the log.

    Raises
    ------
    InputError
        Naming the entry.
    """
    count = len(found)
    for entry in in_force(log):
        if not isinstance(entry.action, MAKING):
            continue
        new = range(count, count + (2 if isinstance(entry.action, Split) else 1))
        count, part = new.stop, remade.get(entry.number)
        if part is None:
            raise InputError(f"{where}: what decision {entry.number} made is missing; copy the file again")
        rows = part.rows.tolist()
        if (
            len(set(rows)) < len(rows)
            or not set(new) <= set(rows) <= set(range(count))
            or part.footprints.shape[1] != found.footprints.shape[1]
            or any(getattr(part, name).shape[1] != found.n_frames for name in TRACES)
        ):
            raise InputError(
                f"{where}: what decision {entry.number} made doesn't fit these cells; copy the file again"
            )


def _remade_groups(group: h5py.Group, where: str) -> Iterator[tuple[str, h5py.Group]]:
    parts = group.get("remade")
    for number in parts if isinstance(parts, h5py.Group) else ():
        part = parts.get(number)
        if not str(number).isdecimal() or not isinstance(part, h5py.Group):
            raise InputError(f"{where}/remade/{number} is damaged; copy the file again")
        yield number, part


def _read_log(group: h5py.Group, where: str) -> tuple[Entry, ...]:
    try:
        return entries_of([json.loads(hdf5.text(line)) for line in whole(group["log"])])
    except (*VALUES, InputError) as error:
        raise InputError(f"{where}/log is damaged ({error})") from error


def entries_of(lines: Sequence[Mapping[str, object]]) -> tuple[Entry, ...]:
    """Entries in order, checked to be without gaps.

    Raises
    ------
    InputError
        If they aren't.
    """
    entries = tuple(map(entry_of, lines))
    check_order(entries)
    return entries
