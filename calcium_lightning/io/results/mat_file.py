"""A MATLAB file of any version as names and values: numbers, text, sparse matrices, and structures of them.

Version 7.3 is HDF5 with the axes reversed; older ones are SciPy's. Of objects the class is told; functions
are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.sparse import csc_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.io import hdf5
from calcium_lightning.io.readers.matlab import load_variable, variables
from calcium_lightning.io.sparse import checked
from calcium_lightning.io.stored import LARGE, open_results, whole

#: structures within structures deeper than this are nothing that holds cells
DEEPEST = 4


@dataclass(frozen=True)
class MatlabObject:
    """An object: what it holds only MATLAB knows.

    Attributes
    ----------
    name : str
        Of its class.
    """

    name: str


def read_mat(path: Path) -> dict[str, Any]:
    """Read all that a file holds.

    Raises
    ------
    InputError
        If it can't be read.
    """
    if not h5py.is_hdf5(path):
        names = dict.fromkeys(name.partition(".")[0] for name in variables(path))
        return dict(_named(name, load_variable(path, name)) for name in names)
    try:
        with open_results(path) as file:
            return {name: _of(node) for name, node in file.items() if not name.startswith("#")}
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: not a MATLAB file that can be read ({' '.join(str(error).split())})"
        ) from error


def _named(name: str, value: Any) -> tuple[str, Any]:
    """A variable as SciPy reads it, by its own name, which it keeps within an object."""
    from scipy.io.matlab import MatlabOpaque

    if isinstance(value, MatlabOpaque):
        own, _, kind = (bytes(value[part].ravel()[0]).decode("latin-1") for part in ("s0", "s1", "s2"))
        return own, MatlabObject(kind)
    return name, _plain(value)


def _plain(value: Any, depth: int = 0) -> Any:
    """SciPy's structures as dicts."""
    if isinstance(value, np.ndarray) and value.dtype.names and value.size == 1 and depth < DEEPEST:
        record = value.ravel()[0]
        return {name: _plain(record[name], depth + 1) for name in value.dtype.names}
    return value


def _of(node: h5py.Dataset | h5py.Group | None, depth: int = 0) -> Any:
    """A node of version 7.3: an array, a sparse matrix, a structure."""
    if node is None:
        raise ValueError("a link in it leads nowhere: copy what it links to along")
    if isinstance(node, h5py.Dataset):
        if "MATLAB_object_decode" in node.attrs:
            return MatlabObject(bytes(node.attrs.get("MATLAB_class", b"")).decode("latin-1"))
        if node.dtype.kind not in "fiub" or "MATLAB_empty" in node.attrs:
            return np.zeros((0, 0))
        if node.is_virtual and node.nbytes > LARGE:  # MATLAB makes none
            raise ValueError(f"{node.name} promises {node.shape}, and holds nothing of its own")
        return np.asarray(whole(node)).T
    if "MATLAB_sparse" in node.attrs:
        rows = int(hdf5.number(node.attrs["MATLAB_sparse"]))
        starts = np.asarray(whole(node["jc"]), np.int64)
        if "data" not in node:
            return csc_matrix((rows, len(starts) - 1))
        parts = (np.asarray(whole(node["data"]), float), np.asarray(whole(node["ir"]), np.int64), starts)
        return checked(csc_matrix(parts, (rows, len(starts) - 1)), f"{node.file.filename}: {node.name}")
    return {name: _of(child, depth + 1) for name, child in node.items()} if depth < DEEPEST else {}
