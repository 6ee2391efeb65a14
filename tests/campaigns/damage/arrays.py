"""Damage to arrays: headers of ``.npy`` that promise what isn't there, variables of ``.mat``."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
from campaigns.damage import hdf5


def damaged_npy(path: Path, rng: random.Random) -> str:
    array = np.load(path)
    shapes = (
        (),
        (0, 2, 2),
        (10**6, *array.shape[1:]),
        (-1, 2, 2),
        (2**40, 2**40, 2),
        array.shape[::-1],
        array.shape[:-1],
        (*array.shape, 1, 1, 1),
    )
    descr = rng.choice(("|u1", "<f8", "|O", "<c16", "|S5", ">i4", "<m8[s]", [("a", "<i4")], "nonsense"))
    header = {
        "descr": rng.choice((descr, array.dtype.str)),
        "fortran_order": rng.choice((False, True, "yes")),
        "shape": rng.choice(shapes),
    }
    text = (repr(header) + "\n").encode()
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + array.tobytes())
    return str(header)


def damaged_mat(path: Path, rng: random.Random) -> str:
    import h5py

    if h5py.is_hdf5(path):
        return hdf5.damaged(path, rng)
    from scipy.io import loadmat, savemat

    content = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    name = rng.choice(sorted(content))
    value = rng.choice(("text", np.zeros((0, 0)), np.ones((2, 2, 2, 2)), {"a": 1}, np.array([[1j]]), None))
    if value is None:
        del content[name]
    else:
        content[name] = value
    savemat(path, content or {"nothing": 0.0})
    return f"{name}: {str(value)[:30]}"
