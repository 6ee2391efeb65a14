"""The experiment's own parts: finding the dataset, and counting as the paper did."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[3] / "experiments" / "published"


@pytest.fixture
def parts(monkeypatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """Its modules, found as a script finds them."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import dataset
    import scoring

    yield dataset, scoring
    for name in ("dataset", "scoring"):
        sys.modules.pop(name)


def make_dataset(folder: Path, *names: str) -> None:
    (folder / "masks").mkdir()
    for name in names:
        (folder / f"{name}_preprocessed_dF").mkdir()
        (folder / f"{name}_preprocessed_dF/frame_0000.jpg").touch()
        np.save(folder / f"masks/{name}.npy", np.eye(8))


def test_sessions_come_in_the_papers_order_and_the_test_last(parts, tmp_path):
    dataset, _ = parts
    make_dataset(tmp_path, "7-16-17", "8-08-17", "7-12-17", "8-3-17")
    found = dataset.find_sessions(tmp_path)
    assert [part.name for part in found] == ["8-3-17", "7-12-17", "8-08-17", "7-16-17"]
    assert [part.test for part in found] == [False, False, False, True]
    assert [part.paper.tp for part in found] == [192, 82, 110, 404]
    assert dataset.read_mask(found[0].mask).sum() == 8


def test_a_missing_mask_is_told(parts, tmp_path):
    dataset, _ = parts
    make_dataset(tmp_path, "8-3-17")
    (tmp_path / "masks/8-3-17.npy").unlink()
    with pytest.raises(SystemExit, match="no mask of 8-3-17"):
        dataset.find_sessions(tmp_path)


def test_the_papers_pictures_give_its_counts(parts, magdeburg):
    """The pixels that hide the mask in the paper's pictures are as many as its TP + FP."""
    dataset, scoring = parts
    sessions = dataset.find_sessions(magdeburg)
    assert len(sessions) == 4
    for session in sessions:
        mask = dataset.read_mask(session.mask)
        figures, visited = scoring.score_pictures(dataset.read_mask(session.painted), mask)
        assert len(visited.pixels) == session.paper.tp + session.paper.fp
        assert figures["kappa_low"] < 0 < figures["kappa_high"]  # chance
