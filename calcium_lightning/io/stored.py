"""What an HDF5 dataset promises, and what of it is there: what was never written reads as black.

For: the session file and the readers of other people's HDF5.
Must not know: what the numbers mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import check_regular
from calcium_lightning.io.heaps import check_heaps

#: a dataset of so many bytes isn't read whole where less than this share of them is stored
LARGE, LEAST_SHARE = 1 << 30, 1 / 200
#: no frame of a microscope has more pixels; more than that is damage, and would take all memory
MOST_PIXELS = 1 << 27
#: no recording has more frames (three days at 60 Hz), whatever a header of a few bytes says
MOST_FRAMES = 1 << 24
#: bytes of a chunk that went through filters, at least: a checksum has four
LEAST_CHUNK = 4


def check_frame(where: str, height: int, width: int) -> None:
    """Refuse frames of a size that no microscope has, or of none.

    Raises
    ------
    InputError
        After ``where``.
    """
    if min(height, width) < 0 or height * width > MOST_PIXELS:
        raise InputError(
            f"{where}: frames of {height} x {width} pixels; more than {MOST_PIXELS} are taken for damage"
        )


def open_stored(path: Path | str) -> h5py.File:
    """Open a stranger's HDF5 file for reading, once it is known that HDF5 comes to an end with it.

    Raises
    ------
    InputError
        For a pipe, or a file in which HDF5 would read for ever.
    OSError
        If it is no HDF5 file.
    """
    check_regular(path)
    check_heaps(path)
    return h5py.File(path, "r")


@contextmanager
def open_results(path: Path) -> Iterator[h5py.File]:
    """Open another program's HDF5 file whose datasets are read whole, once their chunks have been looked at.

    Raises
    ------
    InputError
        As :func:`check_chunks` and :func:`check_promise`.
    OSError
        If it is no HDF5 file.
    """
    with open_stored(path) as file:

        def visit(name: str, node: object) -> None:
            if isinstance(node, h5py.Dataset):
                check_chunks(node, f"{path}: /{name}")
                check_promise(node, f"{path}: /{name}")

        file.visititems(visit)
        yield file


def check_chunks(dataset: h5py.Dataset, where: str) -> None:
    """Refuse chunks that are empty, or that lie beyond the file: HDF5's filters crash the process on them.

    Raises
    ------
    InputError
        After ``where``.
    """
    if not dataset.chunks or not dataset.id.get_create_plist().get_nfilters():
        return
    sizes: list[int] = []
    ends: list[int] = []

    def look(chunk: h5py.h5d.StoreInfo) -> None:
        sizes.append(chunk.size)
        ends.append(chunk.byte_offset + chunk.size)

    dataset.id.chunk_iter(look)
    if sizes and (min(sizes) < LEAST_CHUNK or max(ends) > dataset.file.id.get_filesize()):
        raise InputError(f"{where}: a chunk of it is not what was written; copy the file again")


def frames_stored(dataset: h5py.Dataset, axis: int = 0) -> tuple[int, str]:
    """How many entries along an axis are there before the first that isn't, and why that one isn't.

    Parameters
    ----------
    dataset : h5py.Dataset
        Contiguous, chunked, virtual or in files beside its own.
    axis : int
        The axis of time.

    Returns
    -------
    int
        The length of the axis where all is there.
    str
        What is missing; empty where nothing is.
    """
    length = int(dataset.shape[axis])
    if not dataset.size:
        return length, ""
    if dataset.is_virtual:
        if named := circle(dataset):
            return 0, named
        return _virtual(dataset, axis, length)
    if dataset.external:
        return _external(dataset, axis, length)
    check_chunks(dataset, f"{os.fsdecode(dataset.file.filename)}: {dataset.name}")
    if not dataset.chunks:
        compact = dataset.id.get_create_plist().get_layout() == h5py.h5d.COMPACT
        if compact or dataset.id.get_storage_size() > 0:
            return length, ""
        return 0, "none were written"
    each = 1
    for number, (size, chunk) in enumerate(zip(dataset.shape, dataset.chunks, strict=True)):
        each *= 1 if number == axis else -(-size // chunk)
    depth = int(dataset.chunks[axis])
    if dataset.id.get_num_chunks() >= each * -(-length // depth):
        return length, ""
    begins: list[int] = []
    dataset.id.chunk_iter(lambda chunk: begins.append(chunk.chunk_offset[axis]))
    layers, counts = np.unique(np.array(begins, np.int64) // depth, return_counts=True)
    whole = layers[counts >= each]
    gaps = np.flatnonzero(whole != np.arange(len(whole)))
    first = int(gaps[0]) if len(gaps) else len(whole)
    return min(first * depth, length), "they were never written"


def check_stored(dataset: h5py.Dataset, where: str) -> None:
    """Refuse to read a dataset whole that isn't whole, or that would blow up a small file.

    Raises
    ------
    InputError
        After ``where``.
    """
    there, why = frames_stored(dataset) if dataset.ndim else (1, "")
    if why:
        raise InputError(
            f"{where} has shape {dataset.shape}, of which {there} rows are there ({why}); copy it again"
        )
    check_promise(dataset, where)


def check_promise(dataset: h5py.Dataset, where: str) -> None:
    """Refuse a large dataset of which hardly anything is stored: read whole, it would fill memory.

    Raises
    ------
    InputError
        After ``where``.
    """
    if named := circle(dataset):
        raise InputError(f"{where} can't be read: {named}")
    size, stored = dataset.size * dataset.dtype.itemsize, int(dataset.id.get_storage_size())
    if size > LARGE and not dataset.is_virtual and stored < size * LEAST_SHARE:
        raise InputError(f"{where} promises {size} bytes and holds {stored}; the file is damaged")


def whole(dataset: h5py.Dataset) -> Any:
    """Everything in a dataset that somebody else made, unless it is none, or promises more than it holds.

    Raises
    ------
    InputError
        Naming the file and the dataset.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{dataset.file.filename}: {dataset.name} is a group; the file is damaged")
    if dataset.size:
        check_promise(dataset, f"{dataset.file.filename}: {dataset.name}")
    return dataset[()]


def circle(dataset: h5py.Dataset, above: tuple[tuple[str, str], ...] = ()) -> str:
    """What of a virtual dataset is made of the whole again, on which HDF5 crashes; empty where nothing is."""
    if not dataset.is_virtual:
        return ""
    file = Path(os.fsdecode(dataset.file.filename)).absolute()
    here = (*above, (str(file.resolve()), str(dataset.name)))
    for name, inside in {(part.file_name, part.dset_name) for part in dataset.virtual_sources()}:
        within = name == "."
        place = file if within else _place(file.parent, name)
        if place is None:
            continue
        inside = f"/{inside.strip('/')}"
        if (str(place.resolve()), inside) in here:
            return f"{dataset.name} is made of {inside}, which is made of it"
        if within:
            found = _circle_in(dataset.file, inside, here)
        else:
            with open_stored(place) as source:
                found = _circle_in(source, inside, here)
        if found:
            return found
    return ""


def _circle_in(file: h5py.File, name: str, above: tuple[tuple[str, str], ...]) -> str:
    node = file.get(name)
    return circle(node, above) if isinstance(node, h5py.Dataset) else ""


def _place(folder: Path, name: str) -> Path | None:
    """Where a file is that a virtual dataset names; None where it isn't."""
    given = Path(name)
    return next((path for path in (given, folder / given, folder / given.name) if path.is_file()), None)


def _virtual(dataset: h5py.Dataset, axis: int, length: int) -> tuple[int, str]:
    """Of a dataset that is put together of others: as far as these are there."""
    folder = Path(os.fsdecode(dataset.file.filename)).absolute().parent
    first, why, covered = length, "", 0
    for part in dataset.virtual_sources():
        selected = int(part.vspace.get_select_npoints())
        covered += max(selected, 0)
        gone = _gone(dataset, folder, part.file_name, part.dset_name)
        begin = 0 if selected <= 0 else int(part.vspace.get_select_bounds()[0][axis])
        if gone and begin < first:
            first, why = begin, gone
    if not why and 0 <= covered < dataset.size:
        return 0, "its parts don't cover it"
    return first, why


def _gone(dataset: h5py.Dataset, folder: Path, name: str, inside: str) -> str:
    """What is wrong with a part of a virtual dataset; empty where nothing is."""
    if name == ".":
        return "" if inside in dataset.file else f"no dataset {inside} in this file"
    if "%b" in name:
        return ""
    place = _place(folder, name)
    if place is None:
        return f"{name} isn't there"
    with open_stored(place) as file:
        node = file.get(inside)
        if not isinstance(node, h5py.Dataset):
            return f"no dataset {inside} in {name}"
        return "" if node.is_virtual or not frames_stored(node)[1] else f"{name} isn't whole"


def _external(dataset: h5py.Dataset, axis: int, length: int) -> tuple[int, str]:
    """Of a dataset whose numbers are in files of their own, one after the other."""
    row = dataset.size * dataset.dtype.itemsize // length
    there, why = 0, ""
    for name, offset, size in _files(dataset):
        path = Path(name)
        found = max(0, path.stat().st_size - offset) if path.is_file() else -1
        if found < size:
            there += max(found, 0)
            why = f"{name} isn't there" if found < 0 else f"{name} was cut off"
            break
        there += size
    if axis or not why:
        return (length, "") if not why and there >= row * length else (0, why or "its files are too short")
    return min(there // row, length), why


def _files(dataset: h5py.Dataset) -> Iterator[tuple[str, int, int]]:
    whole = dataset.size * dataset.dtype.itemsize
    for name, offset, size in dataset.external:
        yield os.fsdecode(name), int(offset), min(int(size), whole)
