"""Which code a result depends on."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from calcium_lightning.core import code
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.hashing import SETTLED_S

TRAINING = [
    "calcium_lightning.training.fit",
    "calcium_lightning.training.localization.LocalizationModel",
    "calcium_lightning.training.schedule.warmup_cosine",
    "calcium_lightning.training.checkpoints.RunCheckpoint",
    "calcium_lightning.nn.encoder.UShapeEncoder",
    "calcium_lightning.data.datamodule.SessionData",
    "lightning.pytorch.callbacks.EarlyStopping",
]


@pytest.fixture
def scanner(monkeypatch, tmp_path):
    """Notes of the test's own."""
    monkeypatch.setattr(code, "user_cache_path", lambda name: tmp_path / "cache")
    code._scanner.cache_clear()
    yield tmp_path / "cache/imports.json"
    code._scanner.cache_clear()


@pytest.fixture
def lab(monkeypatch, tmp_path) -> Path:
    """A folder of the user's on the path."""
    (tmp_path / "lab/deep").mkdir(parents=True)
    files = {
        "mine.py": "from helper import one\nclass Part: pass\n",
        "helper.py": "from deep.far import two\nimport numpy\ndef one():\n    import late\n",
        "late.py": "",
        "deep/__init__.py": "",
        "deep/far.py": "from . import near\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import types_only\n",
        "deep/near.py": "two = 2\n",
        "types_only.py": "",
        "other.py": "",
    }
    for name, text in files.items():
        (tmp_path / "lab" / name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "lab")])
    return tmp_path / "lab"


def test_a_training_depends_on_what_trains_and_not_on_what_shows():
    found = set(code.modules_of(TRAINING))
    rooms = {name.removeprefix("calcium_lightning.").partition(".")[0] for name in found}
    for name in ("training.schedule", "training.losses", "training.checkpoints", "nn.coordconv", "io.hdf5"):
        assert f"calcium_lightning.{name}" in found
    assert not {"command", "loggers", "pages", "runs", "processes", "sweeps", "comparison"} & rooms
    assert "replications" not in rooms
    assert "lightning.pytorch.callbacks" in found  # named, so its file counts; what it imports doesn't
    assert not any(name.startswith("torch") for name in found)


def test_cells_depend_on_detectors_and_on_what_cells_are():
    found = set(
        code.modules_of(
            ["calcium_lightning.extract", "calcium_lightning.localize.detectors.load.load_detector"]
        )
    )
    wanted = (
        "pipeline",
        "core.cells",
        "localize.demix",
        "localize.detectors.load",
        "nn.streamed",
        "io.session",
    )
    assert {f"calcium_lightning.{name}" for name in wanted} <= found
    assert "calcium_lightning.pages.report" not in found


def test_the_users_modules_are_followed_and_none_is_run(lab, scanner):
    (lab / "mine.py").write_text("raise RuntimeError\nfrom helper import one\n")
    found = {name for name in code.modules_of(["mine.Part"]) if not name.startswith("calcium_lightning")}
    assert found == {"mine", "helper", "late", "deep", "deep.far", "deep.near"}
    assert "mine" not in sys.modules


@pytest.mark.parametrize("file", ["mine.py", "helper.py", "late.py", "deep/near.py"])
def test_a_change_anywhere_is_seen_at_once(lab, scanner, file):
    before = code.code_of(["mine.Part"])
    assert code.code_of(["mine.Part"]) == before
    (lab / "other.py").write_text("changed = True\n")
    (lab / "types_only.py").write_text("changed = True\n")
    assert code.code_of(["mine.Part"]) == before
    path = lab / file
    path.write_text(path.read_text() + "changed = True\n")
    assert code.code_of(["mine.Part"]) != before


def test_a_module_that_comes_to_be_is_seen(lab, scanner):
    before = code.code_of(["mine.Part"])
    (lab / "helper.py").write_text((lab / "helper.py").read_text() + "import newcomer\n")
    missing = code.code_of(["mine.Part"])
    (lab / "newcomer.py").write_text("")
    assert len({before, missing, code.code_of(["mine.Part"])}) == 3


def test_it_is_remembered_and_quick(scanner):
    first = code.code_of(TRAINING)
    assert scanner.is_file()
    code._scanner.cache_clear()
    code.code_of(TRAINING)
    times = []
    for _ in range(5):
        start = time.process_time()
        assert code.code_of(TRAINING) == first
        times.append(time.process_time() - start)
    assert min(times) < 0.1


def test_a_file_that_was_just_written_is_not_remembered(lab, scanner):
    """Its time stamp may not tell of a change within the same tick."""
    code.code_of(["mine.Part"])
    state = (lab / "mine.py").stat()
    text = (lab / "mine.py").read_text()
    old = time.time() - 2 * SETTLED_S
    before = code.code_of(["mine.Part"])
    (lab / "mine.py").write_text(text.replace("Part", "Tart"))  # as long as before
    os.utime(lab / "mine.py", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert code.code_of(["mine.Part"]) != before
    os.utime(lab / "mine.py", (old, old))
    assert code.code_of(["mine.Part"]) == code.code_of(["mine.Part"])
    scanner.write_text("{broken")  # notes that can't be read are made anew
    code._scanner.cache_clear()
    assert code.code_of(["mine.Part"]) != before


def test_what_is_no_python_is_told(lab, scanner):
    (lab / "helper.py").write_text("def (:\n")
    with pytest.raises(InputError, match=r"helper\.py, line 1: not valid Python"):
        code.code_of(["mine.Part"])
