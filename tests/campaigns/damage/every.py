"""Every damage of a list to every place of a file: what a campaign that draws at random takes years to find."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
from campaigns.damage.values import HOSTILE

#: values of an attribute besides :data:`HOSTILE`
ODD = (
    b"\xff\xfe",
    np.zeros(0),
    np.array([1.0, 2.0]),
    np.array([1 + 2j]),
    -(2**31),
    np.uint64(2**64 - 1),
    "{a: [",
)
#: what stands in all of a dataset, or in one place of it
FULL = (0, 1, -1, math.nan, math.inf, 1e30, 2.0**31 - 1, 1e-40)
#: types that a dataset may be made of
TYPES = ("c8", "f2", "f8", "i1", "u8", "S3", ">u2", "bool", "V4", "i4,f4")
Change = tuple[str, Callable[[Any], None]]


def of_hdf5(path: Path) -> Iterator[Change]:
    """What can be done to the nodes and attributes of an HDF5 file, one thing each."""
    import h5py

    with h5py.File(path) as file:
        names: list[str] = []
        file.visit(names.append)
        about = [(name, list(file[name].attrs), _facts(file[name])) for name in ("/", *names)]
    for name, attributes, facts in about:
        for attribute in attributes:
            for value in (*HOSTILE, *ODD):
                yield f"{name}@{attribute} = {str(value)[:30]!r}", _attribute(name, attribute, value)
        if name != "/":
            yield from _links(name)
            if facts is not None:
                yield from _datasets(name, *facts)


def of_tree(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Nested containers with one value changed; of a long list only a few are."""
    node = tree
    for key in path:
        node = node[key]
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in [*keys[:2], *keys[2:][-1:]] if isinstance(node, list) else keys:
        for value in (*HOSTILE, -(10**400), "\ud800", "9" * 5000):
            changed = copy.deepcopy(tree)
            holder = changed
            for part in path:
                holder = holder[part]
            holder[key] = value
            yield f"{(*path, key)} = {str(value)[:30]!r}", changed
        yield from of_tree(tree, (*path, key))


def _facts(node: Any) -> tuple[tuple[int, ...], np.dtype] | None:
    import h5py

    number = isinstance(node, h5py.Dataset) and node.shape is not None and node.dtype.kind in "fiub"
    return (node.shape, node.dtype) if number else None


def _attribute(name: str, attribute: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        if value is None:
            del file[name].attrs[attribute]
            return
        kept = value
        if isinstance(value, dict | list) or (isinstance(value, int) and abs(value) >= 2**63):
            kept = str(value)
        file[name].attrs[attribute] = kept.replace("\0", "")[:60_000] if isinstance(kept, str) else kept

    return change


def _instead(name: str, make: Callable[[Any], object]) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        make(file)

    return change


def _links(name: str) -> Iterator[Change]:
    import h5py

    above = name.rpartition("/")[0] or "/"
    for link in ("/nowhere", "/", f"/{name}", above):
        yield f"{name}: soft {link}", _instead(name, lambda f, to=link: f.update({name: h5py.SoftLink(to)}))
    for place in ("gone.h5", "/etc/passwd", "/dev/zero", "."):
        outside = h5py.ExternalLink(place, "/frames")
        yield f"{name}: in {place}", _instead(name, lambda f, to=outside: f.update({name: to}))
    yield f"{name}: gone", _instead(name, lambda f: None)
    yield f"{name}: group", _instead(name, lambda f: f.create_group(name))
    for text in ("", "text", np.array(b"\xff\xfe"), h5py.Empty("f4")):
        yield f"{name}: {text!r}", _instead(name, lambda f, value=text: f.create_dataset(name, data=value))


def _datasets(name: str, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[Change]:
    import h5py

    def made(label: str, make: Callable[[], Any]) -> Change:
        return f"{name}: {label}", _instead(name, lambda f: f.create_dataset(name, data=make()))

    for rank in range(5):
        yield made(f"rank {rank}", lambda rank=rank: np.ones((2,) * rank, dtype))
    for axis, size in enumerate(shape):
        for length in (0, 1, max(0, size - 1), size + 1, 2 * size):
            changed = (*shape[:axis], length, *shape[axis + 1 :])
            yield made(f"{changed}", lambda changed=changed: np.ones(changed, dtype))
        for length in (10**6, 10**9, 2**40):
            huge = (*shape[:axis], length, *shape[axis + 1 :])
            pieces = tuple(min(n, 8) or 1 for n in huge)
            make = methodcaller("create_dataset", name, huge, dtype, chunks=pieces)
            yield f"{name}: {huge}, none written", _instead(name, make)
    for kind in TYPES:
        empty = kind in ("V4", "i4,f4")
        yield made(
            kind,
            lambda kind=kind, empty=empty: np.zeros(shape, kind) if empty else np.ones(shape).astype(kind),
        )
    for value in FULL:
        yield made(f"all {value}", lambda value=value: _cast(np.full(shape, value), dtype))
    for place in (
        {(0,) * len(shape), tuple(n // 2 for n in shape), tuple(n - 1 for n in shape)}
        if 0 not in shape
        else ()
    ):
        for value in FULL:
            yield f"{name}{place} = {value}", _one(name, place, value, dtype)
    if shape and 0 not in shape:
        yield f"{name}: reversed", lambda f: f[name].write_direct(np.ascontiguousarray(f[name][()][::-1]))
        for source, inside in ((".", name), (".", "nowhere"), ("gone.h5", name)):
            layout = h5py.VirtualLayout(shape, dtype)
            layout[...] = h5py.VirtualSource(source, inside, shape)
            virtual = _instead(name, lambda f, layout=layout: f.create_virtual_dataset(name, layout))
            yield f"{name}: virtual, of {inside} in {source}", virtual


def _one(name: str, place: tuple[int, ...], value: float, dtype: np.dtype) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file[name][place] = _cast(np.asarray(value), dtype)

    return change


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values.astype(dtype)
