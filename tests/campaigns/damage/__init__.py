"""Damage that knows the structure of a file: what disks, programs and people do to it, and what attackers would.

A mutation takes a path and a random generator, changes the file, and says what it did.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from campaigns.damage import arrays, hdf5, networks, raw, text

Mutation = Callable[[Path, random.Random], str]


def damage(path: Path, rng: random.Random) -> str:
    """Damage a file, or a file of a folder, in one of the ways that its kind knows."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        if rng.random() < 0.15:
            return raw.replaced(rng.choice(files), rng)
        path = rng.choice(files)
    if rng.random() < 0.05:
        return raw.replaced(path, rng)
    chosen = KINDS.get(
        path.suffix.lower(), {".zarray": text.damaged_json, ".zattrs": text.damaged_json}.get(path.name)
    )
    if path.name == "ops.npy":
        chosen = None
    if chosen is None or rng.random() < 0.35:
        return f"{path.name}: {raw.flipped(path, rng)}"
    try:
        return f"{path.name}: {chosen(path, rng)}"
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, MemoryError) as error:
        # damaged twice: what was done before can't be opened any more
        return f"{path.name}: {raw.flipped(path, rng)} (after {type(error).__name__})"


def _zip(path: Path, rng: random.Random) -> str:
    """Damage a member of an archive, which keeps its checksums."""
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
    ".h5": hdf5.damaged,
    ".hdf5": hdf5.damaged,
    ".nwb": hdf5.damaged,
    ".mat": arrays.damaged_mat,
    ".json": text.damaged_json,
    ".jsonl": text.damaged_lines,
    ".yaml": text.damaged_yaml,
    ".csv": text.damaged_csv,
    ".npy": arrays.damaged_npy,
    ".npz": _zip,
    ".zip": _zip,
    ".ckpt": networks.damaged_checkpoint,
    ".safetensors": networks.damaged_safetensors,
}
