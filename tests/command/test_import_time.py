"""Every command explains itself quickly: ``--help`` must not load what only the work needs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from calcium_lightning.command.schemas import SCHEMAS

HEAVY = ("torch", "lightning", "skimage", "matplotlib", "pandas", "pynwb", "av", "wandb", "scipy", "h5py")
SCRIPT = """
import runpy, sys
sys.argv = [sys.argv[1], *sys.argv[2:]]
try:
    runpy.run_module(f"calcium_lightning.{sys.argv[0]}", run_name="__main__", alter_sys=True)
except SystemExit as end:
    status = end.code or 0
print("loaded:", *sorted({name.split(".")[0] for name in sys.modules}))
sys.exit(status)
"""


def commands() -> list[str]:
    """Names of the entry points: the modules that make themselves a command."""
    folder = Path(__file__).resolve().parents[2] / "calcium_lightning"
    return sorted(path.stem for path in folder.glob("*.py") if "@entry_point(" in path.read_text())


def test_every_schema_has_its_command() -> None:
    assert {"ingest", "simulate", "train", "extract", "evaluate", "export", "report"} <= set(commands())
    assert set(SCHEMAS) == set(commands())


@pytest.mark.parametrize("name", commands())
def test_help_is_light(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    text, _, loaded = done.stdout.rpartition("loaded: ")
    assert text.startswith(f"python -m calcium_lightning.{name} key=value")
    assert f"{fields(SCHEMAS[name])[0].name}=" in text
    assert set(loaded.split()) & set(HEAVY) == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "argument"), [("report", "cells=gone.h5"), ("compare", "runs=gone"), ("export", "cells=gone.h5")]
)
def test_what_shows_and_writes_loads_nothing_that_learns(name: str, argument: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SCRIPT,
            name,
            argument,
            "output=x.html" if name != "export" else "output=x.nwb",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "gone" in done.stderr
    assert {"torch", "lightning", "torchmetrics"} & set(
        done.stdout.rpartition("loaded: ")[2].split()
    ) == set()


def test_extraction_begins_without_what_only_some_files_need() -> None:
    code = "import sys, calcium_lightning.pipeline; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert {"scipy.stats", "pandas", "lightning", "matplotlib"} & loaded == set()
