"""Two processes are one run: the same result, one folder, one end. Real processes, nothing mocked."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers.tiny_session import make_session
from helpers.tiny_training import (
    PICTURED,
    TINY,
    finish,
    kill_once,
    processes_in,
    real,
    sessions,
    start,
    stop_at,
    weights,
)
from helpers.wandb_files import pieces

from calcium_lightning.loggers.metrics_table import read_table
from calcium_lightning.processes.launch import free_port
from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.jobs import read_job

LOOPBACK = "0100007F"  # as /proc/net/tcp writes 127.0.0.1
FILES = {".hydra", "checkpoints", "job.json", "metrics.csv", "summary.json", "train.log"}


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return make_session(tmp_path_factory.mktemp("session") / "a, b=1.h5")


@pytest.fixture(scope="module")
def alone(tmp_path_factory, session) -> Path:
    """A sweep of three on one process."""
    from hydra.core.global_hydra import GlobalHydra

    from calcium_lightning import train
    from calcium_lightning.command import start

    GlobalHydra.instance().clear()
    sweep = tmp_path_factory.mktemp("alone") / "sweep"
    command = [*TINY, sessions(session), f"hydra.sweep.dir={sweep}", "-m", "seed=1,2,3"]
    assert start.run("train", train.main.__wrapped__, command) == 0
    return sweep


def assert_same_run(one: Path, two: Path, resumed: bool = False) -> None:
    """The same numbers in every row, within tolerance, and the same weights.

    Training figures are means over an epoch; where a run was resumed in its middle, over what was left of it.
    """
    (more, ours), (columns, rows) = (read_table(run / "metrics.csv") for run in (one, two))
    assert more[: len(columns)] == columns  # W&B's table of cells adds some at the end
    ours = [row for row in ours if any(row[name] for name in columns if name not in ("epoch", "step"))]
    assert {"train/loss", "val/loss", "val/reconstruction"} <= set(columns)
    assert [row["step"] for row in ours] == [row["step"] for row in rows]
    for row, other in zip(ours, rows, strict=True):
        for name in (name for name in columns if not (resumed and name.startswith("train/"))):
            a, b = (float(value) if value else math.nan for value in (row[name], other[name]))
            # Gradients agree to 1e-6, but which splats are painted may turn on the last bit.
            assert a == pytest.approx(b, rel=5e-3, nan_ok=True), (name, row, other)
    first, second = weights(one), weights(two)
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 0.02


def folders_in(folder: Path) -> set[str]:
    """All but what W&B and Hydra have inside a run's folder."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_dir() and not {"wandb", ".hydra"} & set(path.relative_to(folder).parts)
    }


def test_a_sweep_on_two_processes(session, alone, tmp_path):
    """Killed in its second job, then the same command again: two folders, two W&B runs, no process left."""
    command = (
        *TINY,
        *kill_once("1", 5, tmp_path.with_name("killed")),
        "trainer=ddp_cpu",
        "logger=wandb",
        sessions(session),
        "-m",
        "seed=1,2",
    )
    killed = real(*command, cwd=tmp_path)
    assert killed.returncode == -9, killed.stderr
    assert processes_in(tmp_path) == []
    (sweep,) = (tmp_path / "multirun/train").iterdir()
    begun = [read_job(sweep / name) for name in "01"]

    again = real(*command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert processes_in(tmp_path) == []
    inside = {f"{job}{part}" for job in "01" for part in ("", "/checkpoints")}
    place = f"multirun/train/{sweep.name}"
    assert folders_in(tmp_path) == {"multirun", "multirun/train", place, *(f"{place}/{x}" for x in inside)}
    assert {path.name for path in tmp_path.iterdir()} == {"multirun"}
    jobs = [read_job(sweep / name) for name in "01"]
    assert [job.status for job in jobs] == ["finished"] * 2
    assert [job.id for job in jobs] == [job.id for job in begun]
    assert (again.stdout.count("finished before"), again.stderr.count("epoch 1/2")) == (1, 0)
    for name in "01":
        assert {path.name for path in (sweep / name).iterdir()} == {*FILES, "wandb"}
        assert_same_run(sweep / name, alone / name)
        ours, theirs = (RunFolder(root / name).read_summary()["value"] for root in (sweep, alone))
        assert ours == pytest.approx(theirs, rel=1e-3)

    told = [pieces(sweep / name) for name in "01"]
    assert [len(parts) for parts in told] == [1, 2]  # the second was resumed
    assert [{part.run["run_id"] for part in parts} for parts in told] == [{job.id} for job in jobs]
    assert {part.run["run_group"] for parts in told for part in parts} == {
        parts[0].run["run_group"] for parts in told
    }
    assert len({parts[0].run["run_group"] for parts in told}) == 1
    assert all("cells/found" in parts[-1].summary for parts in told)  # rank 0's own, while the other waits


def test_torchrun(session, alone, tmp_path):
    """Process 0 composes; the others take what it says, into its folder."""
    run = ("-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}")
    command = (
        "-m",
        "calcium_lightning.train",
        *PICTURED,
        sessions(session),
        "trainer=ddp_cpu",
        "-m",
        "seed=1",
    )
    outcome = finish(start(*run, *command, cwd=tmp_path))
    assert outcome.returncode == 0, outcome.stderr
    (sweep,) = (tmp_path / "multirun/train").iterdir()
    assert [path.name for path in sweep.iterdir() if path.is_dir()] == ["0"]
    assert {path.name for path in tmp_path.iterdir()} == {"multirun"}
    assert {path.name for path in (sweep / "0").iterdir()} == {*FILES, "figures"}
    assert_same_run(sweep / "0", alone / "0")
    assert processes_in(tmp_path) == []


def test_slurm(session, alone, tmp_path):
    """srun starts the command several times; the jobs, the one that fails too, are told by the first alone."""
    slurm = {"SLURM_NTASKS": "2", "SLURM_NNODES": "1", "SLURM_JOB_ID": str(free_port()), "SLURM_NODEID": "0"}
    slurm |= {"SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ears = ("+callbacks.ears._target_=helpers.breaking.Listening", f"+callbacks.ears.folder={tmp_path}")
    command = ("-m", "calcium_lightning.train", *TINY, *ears, sessions(session), "trainer=ddp_cpu")
    command = (*command, "-m", "seed=2")
    tasks = [
        start(*command, cwd=tmp_path, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank), **slurm)
        for rank in range(2)
    ]
    first, second = (finish(task) for task in tasks)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert (second.stdout, second.stderr) == ("", "")
    (sweep,) = (tmp_path / "multirun/train").iterdir()
    assert {path.name for path in (sweep / "0").iterdir()} == FILES
    assert_same_run(sweep / "0", alone / "1")
    assert heard_by(tmp_path) == {LOOPBACK}


def heard_by(folder: Path) -> set[str]:
    """Addresses that processes of a run listened on."""
    told = [file.read_text().split() for file in folder.glob("*.listening")]
    assert len(told) >= 3  # two processes, and the one that started each
    return {address.split(":")[0] for addresses in told for address in addresses}


def test_a_process_that_fails_ends_the_run(session, tmp_path):
    """And while it runs, nobody can come in from elsewhere."""
    fail = (
        "+callbacks.ears._target_=helpers.breaking.Listening",
        f"+callbacks.ears.folder={tmp_path}",
        "+callbacks.stop._target_=helpers.breaking.FailOn",
        "+callbacks.stop.step=2",
        "+callbacks.stop.rank=1",
    )
    outcome = real(*TINY, *fail, sessions(session), "trainer=ddp_cpu", "hydra.run.dir=run", cwd=tmp_path)
    assert outcome.returncode == 1
    assert "RuntimeError: this rank gives up" in outcome.stderr
    assert "in process 1:" in outcome.stderr
    assert processes_in(tmp_path) == []
    job = read_job(tmp_path / "run")
    assert (job.status, job.error) == ("failed", "this rank gives up")
    assert heard_by(tmp_path) == {LOOPBACK}


def test_a_process_that_is_killed_ends_the_run(session, tmp_path):
    kill = (*stop_at(2, "SIGKILL"), "+callbacks.stop.rank=1", "trainer=ddp_cpu", "hydra.run.dir=run")
    outcome = real(*TINY, *kill, sessions(session), cwd=tmp_path)
    assert outcome.returncode == 1
    assert "error: process 1 of 2 was ended by signal 9 (SIGKILL)" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert processes_in(tmp_path) == []
    assert read_job(tmp_path / "run").status == "failed"


def test_processes_stop_before_the_same_step_and_go_on(session, alone, tmp_path):
    """SIGTERM to one of them is enough, and workers that read ahead are no hindrance; no strategy is named."""
    command = (*TINY, *stop_at(4, "SIGTERM"), "+callbacks.stop.rank=1", "seed=3", sessions(session))
    command = (*command, "data.workers=1", "trainer.devices=2", "hydra.run.dir=run")
    stopped = real(*command, cwd=tmp_path)
    assert stopped.returncode == 143, stopped.stderr
    assert processes_in(tmp_path) == []
    assert read_job(tmp_path / "run").status == "interrupted"
    again = real(*command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "epoch 1/2" not in again.stderr
    assert_same_run(tmp_path / "run", alone / "2", resumed=True)


def test_bad_input_of_several_processes_is_told_once(session, tmp_path):
    outcome = real(*TINY, sessions(session), "cell_diameter=40", "trainer=ddp_cpu", cwd=tmp_path)
    assert outcome.returncode == 2
    assert outcome.stderr.count("error:") == 1
    assert "a smaller cell_diameter=" in outcome.stderr
