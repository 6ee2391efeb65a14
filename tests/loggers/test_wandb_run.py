"""Runs written by wandb itself and read back, offline from its files and online from a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import wandb
from helpers.wandb_files import pieces
from helpers.wandb_server import wandb_server

from calcium_lightning.core.errors import Pruned
from calcium_lightning.loggers.make import wandb_logger
from calcium_lightning.loggers.metrics_table import MetricsTable
from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.jobs import Job, write_job

RUN_ID = "0123456789ab-1"


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """wandb reads the environment once, and keeps a process of its own."""
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder of a job, with checkpoints; W&B knows no key."""
    run = tmp_path / "a run"
    RunFolder(run).checkpoints.mkdir(parents=True)
    RunFolder(run).best.write_bytes(b"the best")
    RunFolder(run).last.write_bytes(b"the last")
    session = tmp_path / "mouse.h5"
    session.write_bytes(b"frames")
    write_job(
        run, Job(hash="01" * 32, id=RUN_ID, sweep="multirun/x", number=1, data={str(session): "ab" * 32})
    )
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    return run


def train(folder: Path, losses: list[float], start: int = 0, status: str = "success", **settings):
    """What a training makes of its loggers."""
    logger, table = wandb_logger(folder, **settings), MetricsTable(folder / "metrics.csv")
    logger.log_hyperparams({"seed": 3, "optimizer": {"lr": 0.1}})
    for step, loss in enumerate(losses, start):
        for each in (logger, table):
            each.log_metrics({"val/reconstruction": loss, "val/f1": 1 / loss, "lr": loss}, step)
    logger.finalize(status)
    return logger


def sync(folder: Path, url: str) -> None:
    """The line that is printed, run."""
    environment = {**os.environ, "WANDB_API_KEY": "x" * 40, "WANDB_BASE_URL": url}
    command = [sys.executable, "-m", "wandb", "sync", str(folder / "wandb")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_offline_by_default_with_everything_in_its_file(folder, capsys):
    logger = wandb_logger(folder, tags=["mine"])
    logger.log_hyperparams({"seed": 3})
    for step, loss in enumerate([2.0, 1.5, 1.8]):
        logger.log_metrics({"val/reconstruction": loss, "val/f1": 1 - loss / 4, "lr": loss}, step)
    logger.log_table("cells", ["cell", "footprint"], [[0, np.zeros((9, 9), np.uint8)]], step=2)
    logger.finalize("success")
    (run,) = pieces(folder)
    assert (run.run["run_id"], run.run["run_group"], run.run["job_type"]) == (RUN_ID, "multirun/x", "train")
    assert run.run["tags"] == ["mine"]
    assert run.config["seed"] == 3
    assert run.config["job"]["data"][0]["sha256"] == "ab" * 32
    assert run.series("val/reconstruction") == [(0, 2.0), (1, 1.5), (2, 1.8)]
    assert run.metrics["*"]["step_metric"] == "trainer/global_step"
    assert run.summary["val/reconstruction"] == {"min": 1.5}
    assert run.summary["val/f1"] == {"max": 1 - 1.5 / 4}
    assert (run.summary["lr"], run.summary["status"], run.exit_code) == (1.8, "finished", 0)
    checkpoints = {tuple(item["aliases"]): item["manifest"]["contents"][0] for item in run.artifacts[-2:]}
    assert {alias for aliases in checkpoints for alias in aliases} == {"best", "last", "latest"}
    assert {entry["local_path"] for entry in checkpoints.values()} == {
        str(RunFolder(folder).best),
        str(RunFolder(folder).last),
    }
    assert run.summary["cells.nrows"] == 1
    assert f"W&B: wandb sync '{folder}/wandb'\n" in capsys.readouterr().out
    assert "WANDB_DATA_DIR" not in os.environ
    assert wandb.run is None


def test_what_was_offline_and_resumed_is_one_curve_once_uploaded(folder):
    train(folder, [2.0, 0.5, 1.0], status="failed")
    RunFolder(folder).best.write_bytes(b"a better one")
    train(folder, [0.9, 0.8], start=3)
    first, second = pieces(folder)
    assert first.run["run_id"] == second.run["run_id"] == RUN_ID
    assert (first.exit_code, first.artifacts) == (1, [])
    assert second.summary["val/reconstruction"] == {"min": 0.5}  # of the whole run, not of its second half
    assert second.summary["val/f1"] == {"max": 2.0}
    with wandb_server() as server:
        sync(folder, server.url)
        (run,) = server.runs.values()
    assert [(row["trainer/global_step"], row["val/reconstruction"]) for row in run["history"]] == [
        (0, 2.0),
        (1, 0.5),
        (2, 1.0),
        (3, 0.9),
        (4, 0.8),
    ]
    assert run["summary"]["val/reconstruction"] == {"min": 0.5}
    assert run["groupName"] == "multirun/x"
    models = [artifact for artifact in server.artifacts.values() if artifact["type"] == "model"]
    assert [set(artifact["aliases"]) - {"latest"} for artifact in models] == [{"best"}, {"last"}]
    assert server.uploads.count("model.ckpt") == 2


def test_online_a_run_knows_its_sessions_and_uploads_none(folder, monkeypatch, capsys):
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        train(folder, [2.0, 1.0], status="failed")
        train(folder, [3.0], start=2)
    (run,) = server.runs.values()
    assert [row["_step"] for row in run["history"]] == [0, 1, 2]
    assert run["summary"]["val/reconstruction"] == {"min": 1.0}
    session = next(artifact for artifact in server.artifacts.values() if artifact["type"] == "session")
    assert session["metadata"] == {"sha256": "ab" * 32, "file": "mouse.h5"}
    assert session["used_by"] == [RUN_ID]
    assert "mouse.h5" not in server.uploads
    assert f"W&B: {server.url}/me/calcium-lightning/runs/{RUN_ID}" in capsys.readouterr().out


def test_what_cannot_be_reached_is_kept_offline(folder, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: nobody listens
    train(folder, [2.0, 1.0], init_timeout=1)
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert told.err.startswith("W&B can't be reached (")
    assert f"W&B: wandb sync '{folder}/wandb'\n" in told.out
    (run,) = [piece for piece in pieces(folder) if piece.path.parent.name.startswith("offline-run-")]
    assert run.series("val/reconstruction") == [(0, 2.0), (1, 1.0)]


def test_a_server_that_goes_away_costs_nothing_but_its_upload(folder, monkeypatch, capsys):
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        logger = wandb_logger(folder, init_timeout=2, finish_timeout=1)
        logger.log_metrics({"val/reconstruction": 2.0}, 0)
    logger.log_metrics({"val/reconstruction": 1.0}, 1)
    logger.finalize("failed")
    told = capsys.readouterr()
    assert "it is on disk" in told.err
    assert f"wandb sync --include-online '{folder}/wandb'" in told.out
    (run,) = pieces(folder)
    assert run.series("val/reconstruction") == [(0, 2.0), (1, 1.0)]


def test_a_run_that_began_offline_goes_on_offline_until_it_is_synced(folder, monkeypatch, capsys):
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        train(folder, [2.0], status="failed", mode="offline")
        train(folder, [1.0], start=1, status="failed")
        assert server.runs == {}
        assert "isn't synced yet" in capsys.readouterr().err
        sync(folder, server.url)
        train(folder, [0.5], start=2, status="failed")
    (run,) = server.runs.values()
    assert [row["val/reconstruction"] for row in run["history"]] == [2.0, 1.0, 0.5]


def test_the_end_of_wandbs_own_process_does_not_end_the_training(folder, capsys):
    logger = wandb_logger(folder)
    logger.log_metrics({"val/reconstruction": 2.0}, 0)
    (process,) = children("wandb-core")
    os.kill(process, signal.SIGKILL)
    for step in range(1, 4):
        logger.log_metrics({"val/reconstruction": 1.0}, step)
    logger.log_image("pictures", ["nowhere.png"], step=4)
    logger.finalize("success")
    told = capsys.readouterr()
    assert told.err.count("the training goes on") == 1
    assert "Traceback" not in told.err
    assert f"wandb sync '{folder}/wandb'" in told.out
    train(folder, [0.5])  # and the next job of a sweep has a run again
    assert pieces(folder)[-1].series("val/reconstruction") == [(0, 0.5)]


@pytest.mark.parametrize(
    ("error", "status", "exit_code"),
    [(Pruned(), "pruned", 0), (KeyboardInterrupt(), "interrupted", 1), (RuntimeError(), "failed", 1)],
)
def test_how_a_run_ended_is_told(folder, error, status, exit_code):
    logger = wandb_logger(folder)
    logger.log_metrics({"val/reconstruction": 2.0}, 0)
    try:
        raise error
    except BaseException:
        logger.finalize("failed")
    (run,) = pieces(folder)
    assert (run.summary["status"], run.exit_code) == (status, exit_code)


def test_disabled_leaves_nothing(folder, capsys):
    train(folder, [2.0], mode="disabled")
    assert not (folder / "wandb").exists()
    assert capsys.readouterr() == ("", "")


def children(name: str) -> list[int]:
    """Processes of that name that we have started (Linux only)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        own, _, rest = text.partition(" (")[2].rpartition(") ")
        if own.startswith(name) and int(rest.split()[1]) == os.getpid():
            found.append(int(path.parent.name))
    return found
