"""Parts of one's own, as ``docs/parts.md`` shows them: every block of the page is run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.tiny_training import TINY, finish, start

from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.loggers.metrics_table import read_table
from calcium_lightning.simulation import Scene, SceneSettings

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "parts.md").read_text()
FILES = dict(re.findall(r'```\w+ title="(lab/[^"]+)"\n(.*?)```', PAGE, re.DOTALL))
SHORT = tuple(item for item in TINY if not item.startswith(("+experiment", "cell_diameter", "encoder", "loss")))
SHORT = (*SHORT, "trainer.max_epochs=1")


def commands(section: str) -> list[list[str]]:
    """The command lines of a section, as typed: the command's name and its arguments."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    return [shlex.split(line.replace("python -m calcium_lightning.", "")) for line in lines]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a lab's files, a session, a movie and a file of a strange format."""
    folder = tmp_path_factory.mktemp("parts")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    scene = Scene(
        SceneSettings(height_px=60, width_px=80, seconds=6, fps=20, cell_diameter_px=(9.0, 11.0), brightness=0.6), 1
    )
    with SessionWriter(folder / "A.h5", 60, 80, "uint8", 20.0, motion_corrected=False) as writer:
        writer.append(scene.frames())
        writer.set_shifts(scene.truth.shifts)
        writer.set_truth(scene.truth)
    small = scene.frames()[:60, :24, :32]
    np.save(folder / "movie.npy", small.astype(np.float32))
    with (folder / "movie.counts").open("wb") as file:
        np.array(small.shape, "<i4").tofile(file)
        small.astype("<u2").tofile(file)
    return folder


@pytest.fixture
def lab(made, tmp_path) -> Path:
    """The same in a folder of the test's own."""
    return Path(shutil.copytree(made, tmp_path / "work"))


def test_every_kind_takes_one_python_and_at_most_one_yaml_file():
    python = [name for name in FILES if name.endswith(".py")]
    yaml = [name for name in FILES if name.endswith(".yaml")]
    assert len(python) == 10
    assert {Path(name).parent.name for name in yaml} == {
        *("encoder", "head", "background", "decoder", "loss", "data", "detector")
    }
    assert len(yaml) == 7


def test_own_encoder_and_loss_train_and_extract_and_a_changed_line_trains_anew(lab):
    """In processes of their own, outside of the package, without PYTHONPATH to the lab."""

    def run(name: str, *arguments: str):
        return finish(start("-m", f"calcium_lightning.{name}", *arguments, cwd=lab))

    train, extract = commands("Train, then find cells")
    first = run(*train, *SHORT)
    assert first.returncode == 0, first.stderr
    value = first.stdout.splitlines()[0]
    assert value.startswith("best val/reconstruction")

    strange = [item for item in extract if not item.startswith("parts=")]
    refused = run(*strange)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "encoder 'lab_encoder.Plain' is unknown here" in refused.stderr
    assert refused.stderr.rstrip().endswith("parts=[lab_encoder]")
    assert not (lab / "cells.h5").exists()
    found = run(*extract, "cell_diameter=10")
    assert found.returncode == 0, found.stderr
    assert read_cells(lab / "cells.h5").n_frames == 120
    again = run(*extract, "cell_diameter=10")
    assert "there already" in again.stdout

    assert "finished before" in run(*train, *SHORT).stdout
    for file, old, new in (
        ("lab_encoder.py", "5, padding=2", "3, padding=1"),
        ("lab_loss.py", "error + self.price", "error + 0.5 * self.price"),
    ):
        path = lab / "lab" / file
        path.write_text(path.read_text().replace(old, new, 1))
        anew = run(*train, *SHORT, "overwrite=true") if file == "lab_loss.py" else run(*train, *SHORT)
        if file == "lab_encoder.py":  # the named folder holds the run of other code
            assert anew.returncode == 2
            assert "holds a run already" in anew.stderr
            anew = run(*train, *SHORT, "overwrite=true")
        assert anew.returncode == 0, anew.stderr
        assert "finished before" not in anew.stdout
        assert anew.stdout.splitlines()[0] != value
    stale = run(*extract, "cell_diameter=10")
    assert stale.returncode == 2
    assert "exists; overwrite=true replaces it" in stale.stderr
