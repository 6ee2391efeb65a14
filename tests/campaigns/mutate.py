"""Damage that knows the structure of a file: what disks, programs and people do to it, and what attackers would.

A mutation takes a path and a random generator, changes the file, and says what it did.
"""

from __future__ import annotations

import io
import json
import math
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Mutation = Callable[[Path, random.Random], str]
#: values that no reader expects
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**400,
    1e-9,
    1e300,
    -0.5,
    math.nan,
    math.inf,
    "",
    "False",
    "nan",
    "1e999",
    "text",
    "\0",
    "ä\u202e\U0001f600",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "${oc.env:HOME}",
    "../../../etc/passwd",
    "x" * 70_000,
    [],
    {},
    [[[[]]]],
    [1, 2, 3],
    {"a": {"b": "c"}},
)
#: what may stand where a size does
SIZES = (0, 1, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1)


def damage(path: Path, rng: random.Random) -> str:
    """Damage a file, or a file of a folder, in one of the ways that its kind knows."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        if rng.random() < 0.15:
            return _place(rng.choice(files), rng)
        path = rng.choice(files)
    if rng.random() < 0.05:
        return _place(path, rng)
    chosen = KINDS.get(path.suffix.lower(), {".zarray": _json, ".zattrs": _json}.get(path.name))
    if path.name == "ops.npy":
        chosen = None
    if chosen is None or rng.random() < 0.35:
        return f"{path.name}: {_bytes(path, rng)}"
    try:
        return f"{path.name}: {chosen(path, rng)}"
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        # damaged twice: what was done before can't be opened any more
        return f"{path.name}: {_bytes(path, rng)} (after {type(error).__name__})"


def _place(path: Path, rng: random.Random) -> str:
    """Something else where the file was."""
    what = rng.choice(("gone", "folder", "empty", "dangling", "fifo", "text", "html"))
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "empty":
        path.touch()
    elif what == "dangling":
        path.symlink_to("nowhere")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "text":
        path.write_text("this is no such file\n")
    elif what == "html":
        path.write_text("<!DOCTYPE html><html><body>404</body></html>")
    return f"{path.name}: {what}"


def _bytes(path: Path, rng: random.Random) -> str:
    content = bytearray(path.read_bytes())
    size = len(content)
    if not size:
        return "empty already"
    # headers tell more than pixels
    at = rng.randrange(min(size, 600)) if rng.random() < 0.5 else rng.randrange(size)
    what = rng.choice(("flip", "cut", "zero", "size", "insert", "remove", "swap", "append", "noise", "few"))
    count = min(rng.choice((1, 2, 8, 64, 1024)), size - at)
    if what == "flip":
        content[at] ^= 1 << rng.randrange(8)
    elif what == "few":
        for _ in range(rng.randrange(2, 20)):
            content[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif what == "cut":
        del content[at:]
    elif what == "zero":
        content[at : at + count] = bytes(count)
    elif what == "size":
        form = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
        value = rng.choice(SIZES) & ((1 << 8 * struct.calcsize(form)) - 1)
        content[at : at + struct.calcsize(form)] = struct.pack(form, value)
    elif what == "insert":
        content[at:at] = rng.randbytes(count)
    elif what == "remove":
        del content[at : at + count]
    elif what == "swap":
        other = rng.randrange(size)
        piece, there = content[at : at + count], content[other : other + count]
        content[other : other + len(piece)] = piece
        content[at : at + len(there)] = there
    elif what == "append":
        content += rng.randbytes(count)
    else:
        content[at : at + count] = rng.randbytes(count)
    path.write_bytes(bytes(content))
    return f"{what} at {at} of {size}"


# -- HDF5 ---------------------------------------------------------------------------------------------------


def _hdf5(path: Path, rng: random.Random) -> str:
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


# -- text ---------------------------------------------------------------------------------------------------


def _tree(tree: Any, rng: random.Random) -> tuple[Any, str]:
    """Change one value somewhere in nested containers."""
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        entries = (
            node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        )
        for key, value in list(entries):
            spots.append((node, key))
            walk(value)

    walk(tree)
    if not spots or rng.random() < 0.05:
        return rng.choice(HOSTILE), "the whole"
    holder, key = rng.choice(spots)
    what = rng.choice(("value", "value", "value", "gone", "deep", "copy"))
    if what == "gone":
        del holder[key]
    elif what == "deep":
        nest: Any = 1
        for _ in range(rng.choice((50, 3000))):
            nest = [nest] if rng.random() < 0.5 else {"a": nest}
        holder[key] = nest
    elif what == "copy":
        holder[key] = [holder[key]] * rng.choice((2, 100))
    else:
        holder[key] = rng.choice(HOSTILE)
    return tree, f"{key} {what} {str(holder[key])[:40] if what == 'value' else ''}"


def _dumps(tree: Any) -> str:
    """JSON without Python's limit of nesting."""
    pieces: list[str] = []
    stack: list[Any] = [("value", tree)]
    while stack:
        kind, item = stack.pop()
        if kind == "text":
            pieces.append(item)
        elif isinstance(item, dict):
            stack.append(("text", "}"))
            for number, (key, value) in enumerate(reversed(list(item.items()))):
                if number:
                    stack.append(("text", ","))
                stack += [("value", value), ("text", json.dumps(str(key)) + ":")]
            stack.append(("text", "{"))
        elif isinstance(item, list | tuple):
            stack.append(("text", "]"))
            for number, value in enumerate(reversed(item)):
                if number:
                    stack.append(("text", ","))
                stack.append(("value", value))
            stack.append(("text", "["))
        else:
            pieces.append(json.dumps(item, default=str))
    return "".join(pieces)


def _json(path: Path, rng: random.Random) -> str:
    tree, done = _tree(json.loads(path.read_text()), rng)
    path.write_text(_dumps(tree))
    return done


def _yaml(path: Path, rng: random.Random) -> str:
    import yaml

    text = path.read_text()
    what = rng.choice(("tree", "tree", "tree", "aliases", "object", "tabs", "merge", "twice"))
    if what == "tree":
        tree, done = _tree(yaml.safe_load(text), rng)
        path.write_text(_dumps(tree).replace("\\ud", "\\\\ud"))  # JSON is YAML
        return done
    if what == "aliases":
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
        text += "\n" + "\n".join(lines) + "\n"
    elif what == "object":
        text += "\nx: !!python/object/apply:os.system ['touch owned']\n"
    elif what == "tabs":
        text = text.replace("  ", "\t", 3)
    elif what == "merge":
        text += "\nm: &m {<<: *m}\n"
    else:
        text += text
    path.write_text(text)
    return what


def _csv(path: Path, rng: random.Random) -> str:
    lines = path.read_text().splitlines()
    row = rng.randrange(len(lines))
    what = rng.choice(("cell", "cell", "drop", "twice", "header", "long", "null", "quote", "order", "mark"))
    if what == "cell":
        cells = lines[row].split(",")
        cells[rng.randrange(len(cells))] = str(rng.choice(HOSTILE))
        lines[row] = ",".join(cells)
    elif what == "drop":
        lines[row] = lines[row].partition(",")[0]
    elif what == "twice":
        lines[row:row] = [lines[row]] * rng.choice((1, 500))
    elif what == "header":
        del lines[0]
    elif what == "long":
        lines[row] = "1" * 200_000
    elif what == "null":
        lines[row] = "\0" * 8
    elif what == "quote":
        lines[row] = '"' + lines[row]
    elif what == "order":
        lines = [lines[0], *reversed(lines[1:])]
    else:
        lines = [line.replace(",", rng.choice((";", "\t", "|"))) for line in lines]
    path.write_text("\n".join(lines) + "\n")
    return f"{what} in row {row}"


# -- arrays and networks ------------------------------------------------------------------------------------


def _npy(path: Path, rng: random.Random) -> str:
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


def _mat(path: Path, rng: random.Random) -> str:
    import h5py

    if h5py.is_hdf5(path):
        return _hdf5(path, rng)
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


def _checkpoint(path: Path, rng: random.Random) -> str:
    import torch

    tree = torch.load(path, weights_only=True)
    if rng.random() < 0.4:
        name = rng.choice(sorted(tree["state_dict"]))
        value = tree["state_dict"][name]
        what = rng.choice(("nan", "gone", "shape", "type"))
        if what == "nan":
            tree["state_dict"][name] = torch.full_like(value.float(), math.nan)
        elif what == "gone":
            del tree["state_dict"][name]
        elif what == "shape":
            tree["state_dict"][name] = torch.zeros(3, 3, 3)
        else:
            tree["state_dict"][name] = rng.choice(("text", None, 3))
        done = f"{name} {what}"
    else:
        part = rng.choice(("architecture", "window", "whole"))
        if part == "whole":
            names = sorted(set(tree) - {"state_dict"})
            chosen = rng.choice(names)
            tree[chosen] = rng.choice(HOSTILE)
            done = f"{chosen} = {str(tree[chosen])[:30]}"
        else:
            plain = json.loads(json.dumps(tree[part]))
            tree[part], done = _tree(plain, rng)
    torch.save(tree, path)
    return done


def _safetensors(path: Path, rng: random.Random) -> str:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    if rng.random() < 0.6:
        about = header["__metadata__"]
        name = rng.choice(("architecture", "window"))
        tree, done = _tree(json.loads(about[name]), rng)
        about[name] = _dumps(tree)
    else:
        header, done = _tree(header, rng)
    text = _dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return done


def _zip(path: Path, rng: random.Random) -> str:
    """Damage a member of an archive, which keeps its checksums."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    place = path.with_name("member" + Path(name).suffix)
    place.write_bytes(members[name])
    done = damage(place, rng) if place.stat().st_size else "empty"
    kept = place.read_bytes() if place.is_file() else None
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    elif os.path.lexists(place):
        place.unlink()
    if kept is None:
        del members[name]
    else:
        members[rng.choice((name, name, "../" + name))] = kept
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, value in members.items():
            archive.writestr(member, value)
    path.write_bytes(buffer.getvalue())
    return f"{name}: {done}"


KINDS: dict[str, Mutation] = {
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".nwb": _hdf5,
    ".mat": _mat,
    ".json": _json,
    ".yaml": _yaml,
    ".csv": _csv,
    ".npy": _npy,
    ".npz": _zip,
    ".zip": _zip,
    ".ckpt": _checkpoint,
    ".safetensors": _safetensors,
}
