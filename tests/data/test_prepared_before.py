"""The next training of a process takes what the one before prepared, as long as nothing has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.tiny_session import make_session

from calcium_lightning.data import datamodule
from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.nn.windows import WindowSettings

WINDOW = WindowSettings(taps=5, seconds=0.5)


def data_of(*paths: Path, **options) -> SessionData:
    made = SessionData(paths, WINDOW, **{"cell_diameter": 6.0, "batch_size": 8, "block": 4, **options})
    made.setup()
    return made


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """The sessions that were prepared, in order."""
    names: list[str] = []
    prepare = datamodule.prepare

    def counted(session, *arguments, **options):
        names.append(session.path.name)
        return prepare(session, *arguments, **options)

    monkeypatch.setattr(datamodule, "prepare", counted)
    return names


def test_the_second_training_prepares_nothing_and_sees_the_same(tmp_path, made):
    one, two = make_session(tmp_path / "a.h5"), make_session(tmp_path / "b.h5", seed=1)
    first, second = data_of(one, two), data_of(one, two)
    assert made == ["a.h5", "b.h5"]
    for before, after in zip(first.prepared, second.prepared, strict=True):
        assert torch.equal(before.foreground(0, 40), after.foreground(0, 40))
    assert first.splits == second.splits
    held = data_of(one, two, in_memory=True)
    assert made == ["a.h5", "b.h5"]
    torch.testing.assert_close(
        held.prepared[0].foreground(0, 40), first.prepared[0].foreground(0, 40), atol=2e-2, rtol=1e-2
    )


def test_other_settings_another_file_or_another_place_are_prepared_anew(tmp_path, made, monkeypatch):
    path = make_session(tmp_path / "a.h5")
    data_of(path)
    assert data_of(path, cell_diameter=7.0).prepared[0].cell_diameter == 7.0
    data_of(path, cell_diameter=7.0, fps=10.0)
    assert made == ["a.h5"] * 3
    make_session(tmp_path / "b.h5", seed=5).replace(path)
    changed = data_of(path, cell_diameter=7.0, fps=10.0)
    assert made == ["a.h5"] * 4
    monkeypatch.chdir(tmp_path)  # a relative name is of its folder
    assert torch.equal(
        data_of(Path("a.h5"), cell_diameter=7.0, fps=10.0).prepared[0].baseline, changed.prepared[0].baseline
    )
    assert made == ["a.h5"] * 5


def test_only_the_last_training_is_remembered(tmp_path, made):
    one, two = make_session(tmp_path / "a.h5"), make_session(tmp_path / "b.h5", seed=1)
    data_of(one)
    data_of(two)
    data_of(one)
    assert made == ["a.h5", "b.h5", "a.h5"]
