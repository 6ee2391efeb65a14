"""Other people's footprints: CaImAn, Suite2p, Minian, CellReg, and sparse matrices in HDF5.

For: tracking, which needs footprints and no traces; whoever reads others' results whole can start here.
Must not know: what footprints are for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.io import hdf5
from calcium_lightning.io.readers.matlab import load_variable, variables
from calcium_lightning.io.readers.suite2p import read_object, read_ops

#: where CaImAn keeps its sparse matrix (pixels, cells), Fortran order
CAIMAN = "estimates/A"
#: what Minian calls its footprints (unit_id, height, width)
MINIAN = "A"


def read(path: Path, rejected: bool = False) -> list[FootprintSet]:
    """Read the footprints of a path, of one session or several.

    Parameters
    ----------
    path : Path
        A file or folder that exists.
    rejected : bool
        Take what the method itself calls no cell, too.

    Raises
    ------
    InputError
        If it holds none.
    """
    reader = _reader(path)
    if reader is None:
        raise InputError(
            f"{path}: no footprints; a cells file (.h5), CaImAn's (.hdf5), Suite2p's folder (stat.npy), "
            "Minian's A (.zarr) or CellReg's (.mat) is wanted"
        )
    return reader(path, rejected)


def _reader(path: Path) -> Callable[[Path, bool], list[FootprintSet]] | None:
    if path.name == "stat.npy" or (path.is_dir() and (path / "stat.npy").is_file()):
        return _suite2p
    if path.is_dir() and any((path / name).exists() for name in _minian_names(path)):
        return _minian
    if path.suffix.lower() == ".mat":
        return _cellreg
    if path.is_file() and h5py.is_hdf5(path):
        return _hdf5
    return None


def _set(path: Path, footprints: csr_matrix, shape: tuple[int, int], **about: Any) -> FootprintSet:
    matrix = csr_matrix(footprints, dtype=np.float32)
    if not np.isfinite(matrix.data).all():
        raise InputError(f"{path}: footprints with values that are no numbers")
    matrix.data = np.maximum(matrix.data, 0)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    keep = about.pop("keep", None)
    rows = np.arange(matrix.shape[0]) if keep is None else np.flatnonzero(keep)
    about = {"name": path.stem, "path": str(path), **about}
    if path.is_file() and "sha256" not in about:
        about["sha256"] = sha256_of(path)
    return FootprintSet(csr_matrix(matrix[rows]), shape, rows, total=matrix.shape[0], **about)


def _hdf5(path: Path, rejected: bool) -> list[FootprintSet]:
    """CaImAn's results, or groups of sparse matrices with the attribute ``shape`` (K, H, W)."""
    try:
        with h5py.File(path, "r") as file:
            if CAIMAN in file:
                return [_caiman(path, file, rejected)]
            groups = [
                name for name, node in file.items() if isinstance(node, h5py.Group) and "shape" in node.attrs
            ]
            found = []
            for name in groups:
                footprints, shape = hdf5.read_footprints(file, name)
                label = f"{path.stem}/{name}"
                found.append(_set(path, footprints, shape, name=label, sha256=f"{sha256_of(path)}/{name}"))
    except OSError as error:
        raise InputError(f"{path}: an HDF5 file that can't be read ({error})") from error
    if not found:
        raise InputError(f"{path}: no footprints in it (CaImAn's /{CAIMAN}, or groups of sparse matrices)")
    return found


def _caiman(path: Path, file: h5py.File, rejected: bool) -> FootprintSet:
    group = file[CAIMAN]
    try:
        parts = [np.asarray(group[name][...]) for name in ("data", "indices", "indptr", "shape")]
        dims = next(file[name][...] for name in ("dims", "estimates/dims") if name in file)
        height, width = (int(n) for n in dims)
        pixels, count = (int(n) for n in parts[3])
        matrix = csc_matrix(tuple(parts[:3]), shape=(pixels, count))
    except (KeyError, StopIteration, ValueError, TypeError) as error:
        raise InputError(f"{path}: CaImAn's footprints can't be read ({error})") from error
    if pixels != height * width:
        raise InputError(
            f"{path}: CaImAn's footprints have {pixels} pixels, and its field {height} x {width}"
        )
    rows, column = np.repeat(np.arange(count), np.diff(matrix.indptr)), matrix.indices
    x, y = np.divmod(column, height)  # Fortran order
    flat = csr_matrix((matrix.data, (rows, y * width + x)), shape=(count, pixels))
    keep = None
    node = file.get("estimates/idx_components")
    if not rejected and isinstance(node, h5py.Dataset) and node.dtype.kind in "iu" and node.ndim == 1:
        keep = np.isin(np.arange(count), node[...])
    return _set(path, flat, (height, width), keep=keep)


def _suite2p(path: Path, rejected: bool) -> list[FootprintSet]:
    folder = path if path.is_dir() else path.parent
    stat, options = read_object(folder / "stat.npy", "Suite2p's cells"), read_ops(folder / "ops.npy")
    try:
        height, width = int(options["Ly"]), int(options["Lx"])
        parts = [
            (np.asarray(cell["ypix"]), np.asarray(cell["xpix"]), np.asarray(cell["lam"])) for cell in stat
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: stat.npy and ops.npy aren't Suite2p's ({error})") from error
    rows = np.repeat(np.arange(len(parts)), [len(y) for y, _, _ in parts])
    y, x, values = (np.concatenate([np.zeros(0), *column]) for column in zip(*parts, strict=True))
    flat = csr_matrix((values, (rows, (y * width + x).astype(np.int64))), shape=(len(parts), height * width))
    keep = None
    iscell = folder / "iscell.npy"
    if not rejected and iscell.is_file():
        keep = np.load(iscell, allow_pickle=False)[:, 0] > 0
    name = folder.parent.parent.name if folder.name.startswith("plane") else folder.name
    return [_set(folder, flat, (height, width), keep=keep, name=name, sha256=sha256_of(folder / "stat.npy"))]


def _minian_names(path: Path) -> list[str]:
    return [f"{MINIAN}.zarr", MINIAN]


def _minian(path: Path, rejected: bool) -> list[FootprintSet]:
    """Minian's A, a zarr of (unit_id, height, width)."""
    del rejected
    import zarr
    from zarr.errors import BaseZarrError

    store = next(path / name for name in _minian_names(path) if (path / name).exists())
    try:
        root: Any = zarr.open(store, mode="r")
        array = root if isinstance(root, zarr.Array) else root[MINIAN]
        dense = np.asarray(array[...], np.float32)
    except (BaseZarrError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{store}: Minian's footprints can't be read ({error})") from error
    return [_dense(path, dense)]


def _cellreg(path: Path, rejected: bool) -> list[FootprintSet]:
    """CellReg's spatial footprints: the one array of three dimensions, K x H x W as MATLAB shows it."""
    del rejected
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            names = [name for name, node in file.items() if isinstance(node, h5py.Dataset) and node.ndim == 3]
            if len(names) != 1:
                raise InputError(
                    f"{path}: {len(names)} arrays of three dimensions; footprints K x H x W are one"
                )
            return [_dense(path, np.asarray(file[names[0]][...], np.float32).transpose(2, 1, 0))]
    names = [name for name, shape in variables(path).items() if len(shape) == 3]
    if len(names) != 1:
        raise InputError(f"{path}: {len(names)} arrays of three dimensions; footprints K x H x W are one")
    return [_dense(path, np.asarray(load_variable(path, names[0]), np.float32))]


def _dense(path: Path, images: np.ndarray) -> FootprintSet:
    if images.ndim != 3:
        raise InputError(f"{path}: footprints have shape {images.shape}, expected (K, H, W)")
    flat = csr_matrix(np.nan_to_num(images).reshape(len(images), -1))
    return _set(path, flat, (images.shape[1], images.shape[2]))
