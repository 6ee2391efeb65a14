"""What a command has left in its folder: results by what they say, strays, temporaries.

Two runs of the same give the same here, whenever and wherever they ran. Knows files; nothing of what was killed.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: what differs between two runs of the same: times, places, names
VOLATILE = re.compile(
    r'"(started|finished|id|seconds|git_commit|checkpoint|last|metrics|figures|time)": [^\n]*|'
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\s\"<]*|identifier=\S+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+"
)
#: a file that is changed where it is
DECIDED = "curated.h5"
#: files that tell of a run rather than of its result
TALES = (".log", "events.out", ".hydra", "job.json", "hparams.yaml", "lines.csv")
#: what commands keep in the temporary folder for good: their locks
LOCKS = re.compile(r"calcium-lightning(-\d+)?")


def contents(folder: Path) -> dict[str, str]:
    """What is in a folder, without what differs between two runs of the same."""
    return dict(_contents(folder))


def _contents(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or any(tale in name for tale in TALES):
            continue
        yield name, digest(path)


def digest(path: Path) -> str:
    """What a file says, without when and where it was said."""
    if path.name == DECIDED:
        return _digest_decided(path)
    if path.suffix in (".h5", ".nwb", ".hdf5", ".mat", ".nc"):
        return _digest_hdf5(path)
    if path.suffix == ".mp4":
        return _digest_video(path)
    if path.suffix == ".ckpt":
        return _digest_checkpoint(path)
    if path.name == "metrics.csv":
        return _digest_metrics(path)
    if path.suffix in (".json", ".html", ".csv"):
        text = VOLATILE.sub("", path.read_text(encoding="utf-8", errors="replace"))
        if path.suffix == ".html":
            text = re.sub(r"[\d.]+ s\b", "", text)
        return hashlib.sha256(text.encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest_decided(path: Path) -> str:
    """Cells as they stand by decisions, whenever and how often these were taken."""
    from calcium_lightning.io.cells_file import read_cells

    cells = read_cells(path)
    standing = cells.curation
    told = [cells.accepted.tolist(), cells.centers.round(3).tolist(), float(cells.traces.sum())]
    if standing is not None:
        told += [standing.replaced_by.tolist(), standing.notes, standing.labels]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _digest_video(path: Path) -> str:
    """Frames; the file says when it was made."""
    import av

    hashed = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            hashed.update(frame.to_ndarray(format="gray").tobytes())
    return hashed.hexdigest()


def _digest_metrics(path: Path) -> str:
    """A run's figures but those of training, which are means over what was left of a resumed epoch."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = [{name: value for name, value in row.items() if not name.startswith("train/")} for row in rows]
    return hashlib.sha256(json.dumps([row for row in kept if any(row.values())]).encode()).hexdigest()


def _digest_hdf5(path: Path) -> str:
    import h5py
    import numpy as np

    hashed = hashlib.sha256()

    def visit(name: str, node: object) -> None:
        hashed.update(name.encode())
        for key, value in sorted(node.attrs.items()):
            if key not in ("object_id", "config") and "namespace" not in key:
                hashed.update(VOLATILE.sub("", f"{key}={value!r}").encode())
        if isinstance(node, h5py.Dataset):
            value = node[()]
            plain = np.asarray(value)
            text = plain.dtype.kind in "OS" or not plain.nbytes
            hashed.update(
                VOLATILE.sub("", repr(plain.tolist())).encode() if text else np.ascontiguousarray(plain)
            )

    with h5py.File(path, "r") as file:
        if "specifications" not in file:
            visit("/", file)
        file.visititems(lambda name, node: None if name.startswith("specifications") else visit(name, node))
    return hashed.hexdigest()


def _digest_checkpoint(path: Path) -> str:
    import torch

    state = torch.load(path, weights_only=True, map_location="cpu")
    hashed = hashlib.sha256(str((state["epoch"], state["global_step"])).encode())
    for name, value in sorted(state["state_dict"].items()):
        hashed.update(name.encode() + value.numpy().tobytes())
    return hashed.hexdigest()


def strays(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """What was left that no undisturbed run leaves."""
    return [name for name in found if name not in wanted]


def temporaries(folder: Path) -> list[str]:
    """Unfinished files that were left."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".*") if ".tmp" in path.name]


def in_temporary() -> list[str]:
    """What was left in the temporary folder."""
    names = (path.name for path in Path(tempfile.gettempdir()).iterdir())
    return [f"TMPDIR/{name}" for name in names if not LOCKS.fullmatch(name)]
