"""The same sweep through different launchers: real processes, a real local Ray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.tiny_session import make_session
from helpers.tiny_training import TINY, processes_in, real, sessions

from calcium_lightning.loggers.metrics_table import read_table

#: four jobs, of which the third can't be: no window has room for such cells
SWEEP = (
    *(part for part in TINY if not part.startswith(("cell_diameter", "trainer.", "callbacks."))),
    "-m",
    "cell_diameter=6,7,40,8",
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


@pytest.mark.parametrize(
    ("launcher", "settings"),
    [
        ("submitit_local", []),
        ("ray", ["+hydra.launcher.ray.init.num_cpus=2", "hydra.launcher.ray.remote.max_calls=0"]),
    ],
)
def test_a_sweep_gives_the_same_table_wherever_its_jobs_run(
    run_command, session, tmp_path, launcher, settings
):
    """Three results and one failure, named; here, and in one job after the other."""
    sweep = (*SWEEP, sessions(session), "hydra.sweep.dir=many")
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = run_command("train", *sweep, cwd=tmp_path / "here")
    there = real(
        *sweep, f"launcher={launcher}", *settings, cwd=tmp_path / "there", RAY_USAGE_STATS_ENABLED="0"
    )
    for status, told, folder in (
        (here.status, here.stderr, tmp_path / "here"),
        (there.returncode, there.stderr, tmp_path / "there"),
    ):
        assert status == 2, told
        end = told[told.index("error: 1 of 4 jobs failed") :].splitlines()
        assert end[1].startswith("  cell_diameter=40 (many/2): ")
        assert "a smaller cell_diameter=" in end[1]
        assert set(table(folder / "many")) == {"0", "1", "3"}
        assert {path.name for path in folder.iterdir()} == {"many"}
    assert table(tmp_path / "here/many") == table(tmp_path / "there/many")
    assert processes_in(tmp_path / "there") == []
