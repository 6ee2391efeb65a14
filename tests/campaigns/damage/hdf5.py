"""Damage to HDF5: attributes, and datasets that are gone, longer, elsewhere, half written or of another type."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
from campaigns.damage.values import HOSTILE


def damaged(path: Path, rng: random.Random) -> str:
    import h5py

    done = []
    with h5py.File(path, "r+") as file:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            names: list[str] = []
            file.visit(names.append)
            nodes = [file, *(file[name] for name in names if name in file)]
            if rng.random() < 0.4:
                with_attributes = [node for node in nodes if len(node.attrs)] or nodes
                done.append(_attribute(rng.choice(with_attributes), rng))
            elif names:
                done.append(_node(file, rng.choice(names), rng))
    return "; ".join(done)


def _attribute(node: Any, rng: random.Random) -> str:
    import h5py

    names = list(node.attrs) or ["fps"]
    name = rng.choice(names)
    value: Any = rng.choice(
        (
            *HOSTILE,
            np.array([1.0, 2.0]),
            np.zeros((0,)),
            b"\xff\xfe",
            np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
            h5py.Empty("f4"),
            np.array([b"text", b"more"]),
            -(2**31),
            np.float32(20),
            node.ref,
        )
    )
    del_first = name in node.attrs
    if value is None:
        if del_first:
            del node.attrs[name]
        return f"{node.name}@{name} gone"
    if isinstance(value, dict | list) and not value:
        value = np.zeros((0, 3))
    if isinstance(value, dict):
        value = str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        value = str(value)
    if isinstance(value, str):
        value = value.replace("\0", "")[:60_000]
    if isinstance(value, list):
        value = np.array(value, dtype=float)
    node.attrs[name] = value
    return f"{node.name}@{name} = {str(value)[:40]!r}"


def _node(file: Any, name: str, rng: random.Random) -> str:
    import h5py

    node = file[name]
    shape = node.shape if isinstance(node, h5py.Dataset) else ()
    dtype = node.dtype if isinstance(node, h5py.Dataset) else np.dtype("f4")
    if isinstance(node, h5py.Dataset) and node.size and dtype.kind in "fiu" and rng.random() < 0.3:
        index = tuple(rng.randrange(size) for size in shape)
        value = rng.choice((math.nan, math.inf, -1, 1e30, 2**31 - 1, 1e9))
        with np.errstate(all="ignore"):
            node[index] = np.asarray(value).astype(dtype)
        return f"{name}{index} = {value}"
    what = rng.choice(
        ("gone", "group", "text", "soft", "external", "longer", "huge", "half", "virtual", "other", "type")
    )
    del file[name]
    if what == "group":
        file.create_group(name)
    elif what == "text":
        file[name] = "text"
    elif what == "soft":
        file[name] = h5py.SoftLink(rng.choice(("/nowhere", "/", f"/{name}", "/frames")))
    elif what == "external":
        file[name] = h5py.ExternalLink(rng.choice(("gone.h5", "/etc/passwd", file.filename)), "/frames")
    elif what == "longer":
        changed = list(shape or (3,))
        changed[rng.randrange(len(changed))] += rng.choice((-1, 1, 5))
        file.create_dataset(name, data=np.zeros([max(0, n) for n in changed], dtype))
    elif what == "huge":
        changed = list(shape or (3,))
        changed[rng.randrange(len(changed))] = rng.choice((10**6, 10**9, 2**40))
        file.create_dataset(name, changed, dtype, chunks=tuple(min(n, 8) or 1 for n in changed))
    elif what == "half":
        made = file.create_dataset(
            name, shape or (4,), dtype, chunks=tuple(max(1, n // 2) for n in shape or (4,))
        )
        if shape and min(shape) > 1:
            made[: max(1, shape[0] // 2)] = np.ones((max(1, shape[0] // 2), *shape[1:])).astype(dtype)
    elif what == "virtual" and shape and 0 not in shape:
        layout = h5py.VirtualLayout(shape, dtype)
        layout[...] = h5py.VirtualSource(rng.choice(("gone.h5", ".")), "source", shape)
        file.create_virtual_dataset(name, layout)
    elif what == "other":
        rank = rng.randrange(5)
        file.create_dataset(name, data=np.ones((2,) * rank, dtype))
    elif what == "type":
        made_of = rng.choice(("c8", "f2", "f8", "i8", "u8", "S3", ">u2", "bool"))
        file.create_dataset(name, data=np.ones(shape).astype(made_of))
    return f"{name}: {what}"
