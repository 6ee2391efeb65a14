"""Real tiny trainings with ``logger=wandb``: what of them is in W&B."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from helpers.tiny_session import make_session
from helpers.tiny_training import TINY, sessions
from helpers.wandb_files import pieces
from helpers.wandb_server import wandb_server

from calcium_lightning.runs.jobs import read_job

#: a simulated session: labels are known
LABELLED = (
    *TINY,
    "loss=labels",
    "data.labels=true",
    "logger=wandb",
    "trainer.max_epochs=1",
    "hydra.run.dir=run",
)


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
    cells = table(folder, "cells")
    assert len(cells["data"]) == run.summary["cells/found"]
    kept = {item["name"]: item["manifest"]["contents"] for item in run.artifacts}
    (footprints,) = [files for name, files in kept.items() if name.endswith("-cells")]
    assert sum(file["path"].endswith(".png") for file in footprints) == len(cells["data"])
    assert all(Path(file["local_path"]).is_relative_to(folder) for files in kept.values() for file in files)
    aliases = [set(artifact["aliases"]) for artifact in run.artifacts if artifact["type"] == "model"]
    assert aliases == [{"best", "latest"}, {"last", "latest"}]


def test_a_run_with_a_key_is_online_with_its_lineage(run_command, session, tmp_path, monkeypatch):
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        outcome = run_command("train", *LABELLED, "callbacks.cells.frames=0", sessions(session))
        assert outcome.status == 0, outcome.stderr
        assert "W&B" not in outcome.stderr
    job = read_job(tmp_path / "run")
    assert f"W&B: {server.url}/me/calcium-lightning/runs/{job.id}\n" in outcome.stdout
    run = server.runs[job.id]
    assert json.loads(run["config"])["job"]["value"]["hash"] == job.hash
    assert sum("val/reconstruction" in row for row in run["history"]) == 1
    (made_from,) = [item for item in server.artifacts.values() if item["type"] == "session"]
    assert (made_from["metadata"]["sha256"], made_from["used_by"]) == (job.data[str(session)], [job.id])
    assert server.uploads.count("model.ckpt") == 2
    assert not any(name.endswith(".h5") for name in server.uploads)
