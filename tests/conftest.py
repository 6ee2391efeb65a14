"""Fixtures that every room's tests share."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import hypothesis
import pytest

# The same examples every time, and no clock: a busy machine is no failure.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis.settings.load_profile("suite")

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "magdeburg"


#: the files that take longest, begun first: no process is left alone with one at the end
LONGEST = (
    "tests/processes/test_processes.py",
    "tests/docs/test_pages.py",
    "tests/test_parts.py",
    "tests/sweeps/test_launchers.py",
    "tests/io/test_shared_cases.py",
    "tests/runs/test_resume.py",
    "tests/campaigns/test_campaigns.py",
    "tests/curation/test_page.py",
    "tests/curation/test_page_looking.py",
    "tests/sweeps/test_search.py",
    "tests/test_extract.py",
    "tests/loggers/test_wandb.py",
    "tests/command/test_endings.py",
    "tests/test_devices.py",
    "tests/data/test_scenes.py",
    "tests/test_ingest_failures.py",
    "tests/test_ablations.py",
    "tests/online/test_extractor.py",
    "tests/test_train.py",
    "tests/command/test_start.py",
    "tests/command/test_batch.py",
    "tests/test_pipeline.py",
    "tests/loggers/test_wandb_run.py",
    "tests/replications/teng2021/test_training.py",
    "tests/test_face.py",
    "tests/test_track.py",
    "tests/sweeps/test_failures.py",
)


# All tests and what they import stay: the collector needn't go through them, now or between tests.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage from here on, but seldom: what tests import later stays, too."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the tests of the longest files forward."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(LONGEST)))


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def run_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run ``python -m calcium_lightning.<name> overrides...`` in this process, in a temporary folder."""

    def run(name: str, *overrides: str, cwd: Path | None = None) -> Outcome:
        from hydra.core.global_hydra import GlobalHydra

        from calcium_lightning.command import start as cli

        monkeypatch.chdir(cwd or tmp_path)
        GlobalHydra.instance().clear()
        module = importlib.import_module(f"calcium_lightning.{name}")
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.run(name, module.main.__wrapped__, [str(item) for item in overrides])
        return Outcome(status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def magdeburg() -> Path:
    """The folder of real recordings, where this machine has it."""
    if not DATA.is_dir():
        pytest.skip(f"the real recordings are not on this machine ({DATA})")
    return DATA


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep W&B offline and Torch from taking every core of a shared machine."""
    monkeypatch.setenv("WANDB_MODE", os.environ.get("WANDB_MODE", "offline"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """One thread: tests are many and small, and may run side by side. Processes they start follow suit."""
    import torch

    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
