"""What both HDF5 formats share: opening with clear errors, identity, sparse footprints.

Only :mod:`~calcium_lightning.io.session`, :mod:`~calcium_lightning.io.session_writer` and
:mod:`~calcium_lightning.io.cells_file` use it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.plain import readable
from calcium_lightning.core.reading import reading, reason
from calcium_lightning.io.stored import check_frame, check_stored, open_stored

#: chunk size of frame stacks, bytes: large enough to decompress fast, small enough to seek
CHUNK_BYTES = 2 << 20
#: characters of a text attribute that are taken
MOST_TEXT = 4096


def load_plugins() -> None:
    """Register the Blosc/LZ4/Zstd filters with HDF5, where ``hdf5plugin`` is installed."""
    try:
        import hdf5plugin  # noqa: F401  (importing registers the filters)
    except ImportError:
        return


def open_file(path: Path, kind: str, version: int, otherwise: str = "") -> h5py.File:
    """Open an HDF5 file of ours for reading and check what it says it is.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What it must say that it is.
    version : int
        The newest that is read.
    otherwise : str
        What to do with what is no HDF5 file; ends what is said of it.

    Raises
    ------
    InputError
        If the file is missing, isn't HDF5, is of another kind or of a newer version.
    """
    hint = f"; {otherwise}" if otherwise else ""
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file{hint}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    file = open_any(path, hint)
    try:
        with reading(path):
            found, said = text(file.attrs.get("format", "")), file.attrs.get("version")
    except BaseException:
        file.close()
        raise
    if found != kind:
        file.close()
        told = f"is a {found!r} file" if found else "names no format of ours"
        hint = (
            "; ingest key=DATASET makes a session of any HDF5"
            if kind.endswith("session") and not found
            else ""
        )
        raise InputError(f"{path}: {told}, expected {kind!r}{hint}")
    if not 1 <= number(said) < version + 1:
        file.close()
        raise InputError(
            f"{path}: {kind} version {said}, this package reads up to {version}; update calcium-lightning"
        )
    return file


def open_any(path: Path, hint: str = "") -> h5py.File:
    """Open an HDF5 file of anybody's for reading; ``hint`` ends what is said of one that isn't HDF5.

    Raises
    ------
    InputError
        If it was cut off, isn't HDF5, or isn't ours to read.
    """
    load_plugins()
    with reading(path):
        try:
            return open_stored(path)
        except OSError as error:
            if "truncated" in str(error):
                raise InputError(f"{path}: a truncated HDF5 file; copy it again, or make it anew") from error
            if "signature not found" in str(error):
                if not Path(path).stat().st_size:
                    raise InputError(f"{path}: the file is empty; copy it again, or make it anew") from error
                raise InputError(f"{path}: not an HDF5 file{hint}") from error
            if error.errno is None:
                raise InputError(
                    f"{path}: not an HDF5 file that can be read ({reason(error)}){hint}"
                ) from error
            raise


def flag(value: Any, where: str) -> bool:
    """An attribute as yes or no; programs that know no booleans write numbers and words.

    Raises
    ------
    InputError
        After ``where``, if it is neither.
    """
    said = text(value).strip().lower()
    if said in ("true", "yes", "1", "1.0"):
        return True
    if said in ("false", "no", "0", "0.0", ""):
        return False
    raise InputError(f"{where} is {said[:40]!r}; true or false is wanted")


def text(value: Any) -> str:
    """An attribute as text: HDF5 has it as text or bytes, or an array of one, depending on who wrote it."""
    return readable(name_of_file(value))


def write_text(attributes: h5py.AttributeManager, name: str, value: str) -> None:
    """Write text, or the name of a file, as :func:`name_of_file` reads it."""
    attributes.create(name, os.fsencode(value), dtype=h5py.string_dtype())


def name_of_file(value: Any) -> str:
    """An attribute as the name of a file, which need not be UTF-8 (as :func:`os.fsdecode` has it)."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def texts(group: h5py.Group | None) -> dict[str, str]:
    """The attributes of a group as text; none without the group."""
    if not isinstance(group, h5py.Group):
        return {}
    with reading(group.file.filename):
        return {name: text(value)[:MOST_TEXT] for name, value in group.attrs.items()}


def number(value: Any) -> float:
    """An attribute as a number; NaN where it is missing or none."""
    try:
        first = np.asarray(value).reshape(-1)[0]
        return float("nan") if np.iscomplexobj(first) else float(first)
    except (TypeError, ValueError, IndexError, OverflowError):
        return float("nan")


def dataset(file: h5py.Group, name: str, ndim: int | None = None, kinds: str = "fiub") -> h5py.Dataset:
    """Give a dataset after checking that it exists with the right rank and kind of numbers.

    Raises
    ------
    InputError
        Naming the file and the dataset.
    """
    with reading(file.file.filename):
        node = file.get(name)
        link = None if node is not None else file.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{file.file.filename}: /{name} is in {link.filename}, which isn't there")
        if not isinstance(node, h5py.Dataset):
            raise InputError(f"{file.file.filename}: no dataset /{name}{nearest(name, _names(file))}")
        node.dtype  # noqa: B018  (a damaged type is told here)
    if ndim is not None and node.ndim != ndim:
        raise InputError(f"{file.file.filename}: /{name} has shape {node.shape}, expected {ndim} dimensions")
    if node.dtype.kind not in kinds:
        raise InputError(f"{file.file.filename}: /{name} is of type {node.dtype}, expected numbers")
    return node


def stream(node: h5py.Dataset) -> h5py.Dataset:
    """The same dataset, to be read by whole chunks; ``node`` must not be used again.

    Without HDF5's cache, chunks as they are in the file are copied once less. With filters it saves memory
    from being made anew for each chunk, and stays.
    """
    if node.id.get_create_plist().get_nfilters():
        return node
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(1, 0, 0.0)
    file, name = node.file, node.name.encode()
    node.id.close()  # a dataset that is open already keeps its cache
    return h5py.Dataset(h5py.h5d.open(file.id, name, access))


def read(
    file: h5py.Group, name: str, shape: tuple[int | None, ...], dtype: Any, finite: bool = False
) -> np.ndarray:
    """Read a whole small dataset as ``dtype``, checking its shape (``None`` fits any length) and values.

    Raises
    ------
    InputError
        If it isn't there or not whole, has another shape, or values that ``finite`` or the type rule out.
    """
    node = dataset(file, name, len(shape))
    check_shape(node, name, shape)
    with reading(file.file.filename):
        check_stored(node, f"{file.file.filename}: /{name}")
        stored = node[...]
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(stored, dtype=dtype)
    if finite and not np.isfinite(values).all():
        raise InputError(f"{file.file.filename}: /{name} holds NaN or infinite values, or too large ones")
    if values.dtype.kind == "i" and not np.array_equal(values, stored):
        raise InputError(
            f"{file.file.filename}: /{name} holds values that are no whole numbers, or too large"
        )
    return values


def check_shape(node: h5py.Dataset, name: str, shape: tuple[int | None, ...]) -> None:
    """Refuse a dataset of another shape (``None`` fits any length).

    Raises
    ------
    InputError
        Naming the file and the dataset.
    """
    if any(want is not None and want != have for want, have in zip(shape, node.shape, strict=True)):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise InputError(f"{node.file.filename}: /{name} has shape {node.shape}, expected ({wanted})")


def _names(file: h5py.Group) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def chunk_frames(height: int, width: int, itemsize: int) -> int:
    """How many whole frames make a chunk of about :data:`CHUNK_BYTES`."""
    return int(np.clip(CHUNK_BYTES // max(1, height * width * itemsize), 1, 64))


def write_footprints(group: h5py.Group, footprints: csr_matrix, frame_shape: tuple[int, int]) -> None:
    """Write footprints (K, H*W) as CSR datasets with the attribute ``shape = (K, H, W)``."""
    matrix = csr_matrix(footprints, dtype=np.float32)
    matrix.sort_indices()
    group.attrs["shape"] = (matrix.shape[0], *frame_shape)
    group.create_dataset(
        "data", data=matrix.data.astype(np.float32), compression="gzip" if matrix.nnz else None
    )
    group.create_dataset(
        "indices", data=matrix.indices.astype(np.int32), compression="gzip" if matrix.nnz else None
    )
    group.create_dataset("indptr", data=matrix.indptr.astype(np.int64))


def read_footprints(file: h5py.Group, name: str) -> tuple[csr_matrix, tuple[int, int]]:
    """Read footprints as CSR (K, H*W) and the frame shape (H, W).

    Raises
    ------
    InputError
        If the parts don't make a valid matrix.
    """
    with reading(file.file.filename):
        group = file.get(name)
        there = isinstance(group, h5py.Group) and "shape" in group.attrs
    if not there:
        raise InputError(
            f"{file.file.filename}: no footprints at /{name} (a group with the attribute shape = (K, H, W))"
        )
    with reading(file.file.filename):
        said = np.asarray(group.attrs["shape"])
    sizes = np.array([number(value) for value in said.reshape(-1)[:4]])
    if len(sizes) != 3 or not (sizes >= 0).all() or not (sizes < 1 << 31).all() or (sizes % 1).any():
        raise InputError(
            f"{file.file.filename}: /{name} has the shape attribute {text(said)[:80]}, expected (K, H, W)"
        )
    count, height, width = shape = tuple(int(size) for size in sizes)
    check_frame(f"{file.file.filename}: /{name}", height, width)
    data = read(file, f"{name}/data", (None,), np.float32)
    indices = read(file, f"{name}/indices", (None,), np.int64)
    indptr = read(file, f"{name}/indptr", (count + 1,), np.int64)
    bad = (
        len(data) != len(indices)
        or indptr[0] != 0
        or indptr[-1] != len(data)
        or bool((np.diff(indptr) < 0).any())
        or (len(indices) > 0 and (indices.min() < 0 or indices.max() >= height * width))
        or not np.isfinite(data).all()
    )
    if bad:
        raise InputError(
            f"{file.file.filename}: /{name} is not a valid CSR matrix of shape {shape}; the file is damaged"
        )
    matrix = csr_matrix((data, indices, indptr), shape=(count, height * width))
    matrix.sort_indices()
    if not matrix.has_canonical_format:
        raise InputError(
            f"{file.file.filename}: /{name} has a pixel twice in one footprint; the file is damaged"
        )
    return matrix, (height, width)
