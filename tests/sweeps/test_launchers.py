"""The same sweep through different launchers: real processes, a real local Ray."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest
from helpers.tiny_session import make_session
from helpers.tiny_training import TINY, processes_in, real, sessions

from calcium_lightning.loggers.metrics_table import read_table

#: three jobs, of which the second can't be: no window has room for such cells
SWEEP = (
    *(part for part in TINY if not part.startswith(("cell_diameter", "trainer.", "callbacks."))),
    "-m",
    "cell_diameter=6,40,8",
    "trainer.max_epochs=1",
    "callbacks.pictures=null",
    "callbacks.localizations=null",
    "callbacks.cells=null",
)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return make_session(tmp_path_factory.mktemp("session") / "a.h5")


def table(sweep: Path) -> dict[str, tuple[float, dict[str, str]]]:
    """Each job's result and its last row of metrics."""
    return {
        path.parent.name: (
            json.loads(path.read_text())["value"],
            read_table(path.parent / "metrics.csv")[1][-1],
        )
        for path in sweep.glob("*/summary.json")
    }


@pytest.fixture(scope="module")
def here(session, tmp_path_factory) -> tuple[int, str, Path]:
    """The sweep in one job after the other: exit status, what was told, and its folder."""
    from hydra.core.global_hydra import GlobalHydra

    from calcium_lightning import train
    from calcium_lightning.command import start

    GlobalHydra.instance().clear()
    folder, told = tmp_path_factory.mktemp("here"), io.StringIO()
    command = [*SWEEP, sessions(session), "hydra.sweep.dir=many"]
    with contextlib.chdir(folder), contextlib.redirect_stderr(told):
        status = start.run("train", train.main.__wrapped__, command)
    return status, told.getvalue(), folder


@pytest.mark.parametrize(
    ("launcher", "settings"),
    [
        ("submitit_local", []),
        ("ray", ["+hydra.launcher.ray.init.num_cpus=2", "hydra.launcher.ray.remote.max_calls=0"]),
    ],
)
def test_a_sweep_gives_the_same_table_wherever_its_jobs_run(session, here, tmp_path, launcher, settings):
    """Two results and one failure, named; there, and in one job after the other."""
    sweep = (*SWEEP, sessions(session), "hydra.sweep.dir=many")
    there = real(*sweep, f"launcher={launcher}", *settings, cwd=tmp_path)
    for status, told, folder in (here, (there.returncode, there.stderr, tmp_path)):
        assert status == 2, told
        end = told[told.index("error: 1 of 3 jobs failed") :].splitlines()
        assert end[1].startswith("  cell_diameter=40 (many/1): ")
        assert "a smaller cell_diameter=" in end[1]
        assert set(table(folder / "many")) == {"0", "2"}
        assert {path.name for path in folder.iterdir()} == {"many"}
    assert table(here[2] / "many") == table(tmp_path / "many")
    assert processes_in(tmp_path) == []
