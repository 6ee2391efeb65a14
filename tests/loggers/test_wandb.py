"""Real tiny trainings with ``logger=wandb``: what of them is in W&B."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
import yaml
from helpers.tiny_session import make_session
from helpers.tiny_training import PICTURED, TINY, finish, sessions, start
from helpers.wandb_files import pieces
from helpers.wandb_server import wandb_server

from calcium_lightning.runs.jobs import read_job

#: a simulated session: labels are known
LABELLED = (
    *PICTURED,
    "loss=labels",
    "data.labels=true",
    "logger=wandb",
    "trainer.max_epochs=1",
    "hydra.run.dir=run",
)

#: ``wandb``, whose agent looks more often than every five seconds whether a run has ended
AGENT = "from wandb import wandb_agent as a; a.Agent.POLL_INTERVAL = 0.3; import wandb.cli.cli as c; c.cli()"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch, tmp_path) -> Iterator[None]:
    """wandb reads the environment once, and keeps a process of its own."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return make_session(tmp_path_factory.mktemp("session") / "mouse.h5")


def table(folder: Path, name: str) -> dict:
    (path,) = folder.glob(f"wandb/offline-run-*/files/media/table/{name}_*.table.json")
    return json.loads(path.read_text())


def test_a_run_without_a_key_is_offline_and_whole(run_command, session, tmp_path):
    outcome = run_command("train", *LABELLED, sessions(session))
    assert outcome.status == 0, outcome.stderr
    folder, job = tmp_path / "run", read_job(tmp_path / "run")
    assert f"W&B: wandb sync {folder}/wandb\n" in outcome.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    (run,) = pieces(folder)
    assert (run.run["run_id"], run.run["display_name"], run.run["tags"]) == (job.id, "run", ["unsupervised"])
    assert run.config["job"]["hash"] == job.hash
    assert run.config["job"]["data"] == [{"path": str(session), "sha256": job.data[str(session)]}]
    assert (run.config["choices"]["encoder"], run.config["optimizer"]["lr"]) == ("u_shape_tiny", 0.002)
    assert run.exit_code == 0

    (value,) = run.series("val/reconstruction")
    assert run.summary["val/reconstruction"] == {"min": value[1]}
    assert set(run.summary["val/f1"]) == {"max"}
    pictures = {
        path.name.split("_")[0] for path in folder.glob("wandb/offline-run-*/files/media/images/*.png")
    }
    assert {"pictures", "calibration"} <= pictures
    assert {"epoch_0001.png", "calibration_0001.png"} == {
        path.name for path in (folder / "figures").iterdir()
    }
    assert 0 <= run.summary["val/calibration_error"]["min"] <= 1

    found = table(folder, "localizations")
    assert found["columns"][:4] == ["session", "frame", "y", "x"]
    assert {row[0] for row in found["data"]} == {"mouse.h5"}
    assert all(-2 < row[2] < 50 and 0 < row[4] <= 1 for row in found["data"])
    held_out = table(folder, "held_out")
    assert held_out["columns"][:4] == ["id", "session", "frame", "error"]
    assert len({row[0] for row in held_out["data"]}) == 2  # a row is the same place and frame in every run
    assert all(row[0].startswith(f"{row[1]} {row[2]} (") and row[3] > 0 for row in held_out["data"])
    cells = table(folder, "cells")
    assert cells["columns"][:3] == ["session", "cell", "footprint"]
    assert len(cells["data"]) == run.summary["cells/found"]
    kept = {item["name"]: item["manifest"]["contents"] for item in run.artifacts}
    (footprints,) = [files for name, files in kept.items() if name.endswith("-cells")]
    assert sum(file["path"].endswith(".png") for file in footprints) == len(cells["data"])
    assert all(Path(file["local_path"]).is_relative_to(folder) for files in kept.values() for file in files)
    aliases = [set(artifact["aliases"]) for artifact in run.artifacts if artifact["type"] == "model"]
    assert aliases == [{"best", "latest"}, {"last", "latest"}]


def test_wandbs_own_agent_runs_a_sweep_and_session_weights_and_cells_are_one_chain(
    run_command, session, tmp_path, monkeypatch
):
    """``wandb sweep`` and ``wandb agent`` as typed, against a server that speaks their protocol."""
    few = [item for item in LABELLED if not item.startswith(("logger", "hydra.run"))]
    written = run_command(
        *("train", "-m", "sweep=wandb", *few, "callbacks.cells.frames=0", sessions(session)),
        *("optimizer.lr=tag(log,interval(1e-4,1e-2))", "seed=1,2", "hydra.sweep.dir=my sweep"),
    )
    assert written.status == 0, written.stderr
    assert "wandb sweep 'my sweep/sweep.yaml'" in written.stdout
    assert sorted(path.name for path in (tmp_path / "my sweep").iterdir()) == ["multirun.yaml", "sweep.yaml"]
    environment = {
        "WANDB_API_KEY": "x" * 40,
        "WANDB_AGENT_REPORT_INTERVAL": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with wandb_server() as server:
        environment["WANDB_BASE_URL"] = server.url
        done = finish(start("-m", "wandb", "sweep", "my sweep/sweep.yaml", cwd=tmp_path, **environment))
        assert done.returncode == 0, done.stderr
        args = {"optimizer.lr": {"value": 0.003}, "seed": {"value": 2}}
        program = "calcium_lightning.train"
        server.orders = [{"type": "run", "run_id": "r1", "program": program, "args": args}]
        agent = finish(start("-c", AGENT, "agent", "me/calcium-lightning/s1", cwd=tmp_path, **environment))
        assert agent.returncode == 0, agent.stderr
        checkpoint = tmp_path / "my sweep/r1/checkpoints/best.ckpt"
        assert checkpoint.is_file(), agent.stdout + agent.stderr
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        found = run_command(
            *("extract", f"session={session}", "output=c.h5", "cell_diameter=6", "logger=wandb"),
            f"checkpoint={checkpoint}",
        )
        assert found.status == 0, found.stderr
        assert "W&B" not in found.stderr
    sweep = yaml.safe_load(server.sweep)
    assert sweep["metric"] == {"name": "objective", "goal": "minimize"}
    lr = {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2}
    assert sweep["parameters"]["optimizer.lr"] == lr
    assert sweep["parameters"]["seed"]["values"] == [1, 2]
    config = json.loads(server.runs["r1"]["config"])
    assert (config["optimizer"]["value"]["lr"], config["seed"]["value"]) == (0.003, 2)
    rows = [row for row in server.runs["r1"]["history"] if "objective" in row]
    assert [row["objective"] for row in rows] == [row["val/reconstruction"] for row in rows] != []

    job = read_job(tmp_path / "my sweep/r1")
    (extraction,) = server.runs.keys() - {"r1"}
    kinds = {
        kind: [a for a in server.artifacts.values() if a["type"] == kind] for kind in ("session", "cells")
    }
    assert {run for item in kinds["session"] for run in item["used_by"]} == {"r1", extraction}
    assert {item["metadata"]["sha256"] for item in kinds["session"]} == {job.data[str(session)]}
    models = [a for a in server.artifacts.values() if a["name"] == f"model-{job.id}"]
    assert [extraction] in [item["used_by"] for item in models]
    (made,) = kinds["cells"]
    assert made["metadata"]["session_sha256"] == job.data[str(session)]
    assert server.runs[extraction]["summary"]["cells/found"] == made["metadata"]["found"]
    assert not any(name.endswith("mouse.h5") for name in server.uploads)


def test_sweeps_that_wandb_cannot_run_are_refused(run_command, session, tmp_path):
    for overrides, complaint in (
        ((), "nothing to search"),
        (("optimizer.lr=interval(0,1)", "hydra.sweeper.method=grid"), "a grid has no intervals"),
        (("seed=tag(log,int,interval(1,9))",), "give choices"),
        (("seed=1,2", "hydra.sweeper.method=best"), "grid, random, bayes"),
    ):
        refused = run_command("train", "-m", "sweep=wandb", *TINY, sessions(session), *overrides)
        assert (refused.status, complaint in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / "multirun").exists()
    refused = run_command("extract", f"session={session}", "logger=tensorboard", "output=c.h5")
    assert (refused.status, "logger=wandb" in refused.stderr) == (2, True)
