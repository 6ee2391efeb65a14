"""Whether what a command has written can be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from campaigns import warm
from campaigns.cases import Case


def check_result(case: Case, folder: Path) -> list[str]:
    """Read what a command has written, in a fork too; what is wrong with it."""
    path = folder / (case.changes or case.output)
    check = folder.with_name("check")
    check.mkdir(exist_ok=True)

    def read() -> None:
        assert path.exists(), f"{path} is missing"
        inside = case.changes and path.is_dir()  # the output was made a folder, and written into
        READERS.get(case.command, _text)(next(path.iterdir()) if inside else path)

    outcome = warm.in_fork(read, check)
    return [] if outcome.status == 0 else [f"bad result: {outcome.stderr.strip().splitlines()[-1][:120]}"]


def _session(path: Path) -> None:
    import numpy as np

    from calcium_lightning.io.session import Session

    with Session(path) as session:
        for _, frames in session.chunks():
            assert np.isfinite(frames).all()
        assert session.truth is None or session.truth is not None


def _cells(path: Path) -> None:
    from calcium_lightning.io.cells_file import read_cells

    read_cells(path)


def _export(path: Path) -> None:
    from calcium_lightning.io.results.table import is_foreign, read_cells

    if is_foreign(path):
        read_cells(path)


def _tracks(path: Path) -> None:
    from calcium_lightning.io.tracks_file import read_tracks

    read_tracks(path)


def _text(path: Path) -> None:
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} in JSON")


READERS: dict[str, Callable[[Path], None]] = {
    "ingest": _session,
    "extract": _cells,
    "curate": _cells,
    "export": _export,
    "track": _tracks,
}
