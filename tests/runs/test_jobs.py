"""What a job is, where it is found, and who started its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from omegaconf import OmegaConf

from calcium_lightning.core import hashing as fingerprint
from calcium_lightning.core.errors import InputError
from calcium_lightning.processes.environment import RankEnvironment, started_by_others
from calcium_lightning.runs.identity import identify
from calcium_lightning.runs.jobs import Job, find_jobs, job_folders, read_job, write_job


@pytest.fixture
def config(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"frames")
    return OmegaConf.create(
        {
            "seed": 1,
            "fresh": False,
            "overwrite": False,
            "ckpt_path": None,
            "weights": None,
            "data": {"sessions": [str(tmp_path / "a.h5")], "workers": 0, "crop": 64},
            "logger": {},
            "callbacks": {"pictures": {"samples": 3}, "best": {"monitor": "val/loss"}},
            "trainer": {"max_epochs": 2},
        }
    )


def job_of(config, **changes) -> Job:
    changed = OmegaConf.merge(config, OmegaConf.from_dotlist([f"{k}={v}" for k, v in changes.items()]))
    return identify(changed, changed.data.sessions)


def test_a_job_is_read_as_it_was_written(tmp_path):
    job = Job(hash="ab" * 32, id="x", overrides=["seed=1"], data={"a, b=1.h5": "cd"}, sweep="multirun/x")
    write_job(tmp_path / "deep/er", job)
    assert read_job(tmp_path / "deep/er") == job
    write_job(tmp_path / "deep/er", job.replace(status="finished"))
    assert read_job(tmp_path / "deep/er") == job.replace(status="finished")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"id": "x"}', "\x00"])
def test_what_is_no_job_is_none(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    assert read_job(tmp_path) is None
    assert list(find_jobs([tmp_path], "ab")) == []


def test_keys_of_a_later_version_are_ignored(tmp_path):
    (tmp_path / "job.json").write_text('{"hash": "ab", "id": "x", "planet": "mars"}')
    assert read_job(tmp_path) == Job(hash="ab", id="x")


def test_jobs_are_found_at_any_depth_the_last_begun_first(tmp_path):
    for name, digest, started in (("a/b", "1", "2026-01-01"), ("c", "1", "2026-01-02"), ("d", "2", "2026")):
        write_job(tmp_path / name, Job(hash=digest, id=name, started=started))
    write_job(tmp_path / ".hidden/e", Job(hash="1", id="e"))
    assert [job.id for _, job in find_jobs([tmp_path, tmp_path / "a", tmp_path / "no"], "1")] == ["c", "a/b"]
    assert len(list(job_folders(tmp_path))) == 3


def test_what_cannot_change_the_result_is_the_same_job(config, tmp_path):
    job = job_of(config)
    assert job_of(config).hash == job.hash
    assert job_of(config).id != job.id
    (tmp_path / "elsewhere.h5").write_bytes(b"frames")
    for key, value in {
        "fresh": True,
        "logger.project": "x",
        "callbacks.pictures.samples": 1,
        "data.workers": 2,
        "data.sessions": f"[{tmp_path}/elsewhere.h5]",
    }.items():
        assert job_of(config, **{key: value}).hash == job.hash, key


def test_what_can_change_the_result_is_another_job(config, tmp_path):
    (tmp_path / "b.h5").write_bytes(b"other frames")
    hashes = {job_of(config).hash}
    for key, value in {
        "seed": 2,
        "trainer.max_epochs": 3,
        "callbacks.best.monitor": "val/f1",
        "data.sessions": f"[{tmp_path}/b.h5]",
        "weights": "default",
    }.items():
        hashes.add(job_of(config, **{key: value}).hash)
    (tmp_path / "a.h5").write_bytes(b"new frames under the old name")
    hashes.add(job_of(config).hash)
    assert len(hashes) == 7


def test_going_on_from_ones_own_checkpoint_is_the_same_job(config, tmp_path):
    job = job_of(config)
    last = tmp_path / "run/checkpoints/last.ckpt"
    last.parent.mkdir(parents=True)
    last.write_bytes(b"half way")
    foreign = job_of(config, ckpt_path=last)
    assert foreign.hash != job.hash
    write_job(tmp_path / "run", job)
    assert job_of(config, ckpt_path=last).hash == job.hash
    last.write_bytes(b"further")
    write_job(tmp_path / "run", job.replace(hash="0"))
    assert job_of(config, ckpt_path=last).hash not in (job.hash, foreign.hash)


def test_weights_that_are_not_there_are_told(config, tmp_path):
    with pytest.raises(InputError, match=r"weights=.*: no such file"):
        job_of(config, weights=tmp_path / "no.ckpt")


def test_big_files_are_hashed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "a.h5"
    path.write_bytes(b"frames")
    long_ago = time.time() - 100
    os.utime(path, (long_ago, long_ago))
    value = fingerprint.sha256_of(path, least=1)
    with path.open("r+b") as stream:  # behind the clock's back
        stream.write(b"FRAMES")
    os.utime(path, (long_ago, long_ago))
    assert fingerprint.sha256_of(path, least=1) == value
    os.utime(path)
    changed = fingerprint.sha256_of(path, least=1)
    assert changed != value
    path.write_bytes(b"again!")  # too soon after the last change to be trusted
    assert fingerprint.sha256_of(path, least=1) not in (value, changed)


def test_a_cache_that_cannot_be_written_is_no_loss(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file in its place")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.h5").write_bytes(b"frames")
    os.utime(tmp_path / "a.h5", (1, 1))
    with pytest.raises(FileNotFoundError):
        fingerprint.sha256_of(tmp_path / "b.h5")
    assert len(fingerprint.sha256_of(tmp_path / "a.h5", least=1)) == 64


@pytest.mark.parametrize(
    ("variables", "environment"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_ID": "1"}, None),  # salloc's shell
        ({"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),  # srun -n 1
        (
            {
                "RANK": "3",
                "WORLD_SIZE": "4",
                "LOCAL_RANK": "1",
                "LOCAL_WORLD_SIZE": "2",
                "GROUP_RANK": "1",
                "MASTER_ADDR": "node-a",
                "MASTER_PORT": "1234",
                "TORCHELASTIC_USE_AGENT_STORE": "True",
            },
            RankEnvironment(4, 2, 3, 1, 1, "node-a", 1234, external_store=True),
        ),
        (
            {
                "SLURM_NTASKS": "4",
                "SLURM_NNODES": "2",
                "SLURM_PROCID": "2",
                "SLURM_LOCALID": "0",
                "SLURM_NODEID": "1",
                "SLURM_NODELIST": "gpu[07-08]",
                "SLURM_JOB_ID": "20042",
            },
            RankEnvironment(4, 2, 2, 0, 1, "gpu07", 15042),
        ),
        (  # srun --gpus-per-task=1
            {
                "SLURM_NTASKS": "4",
                "SLURM_PROCID": "3",
                "SLURM_LOCALID": "3",
                "SLURM_JOB_ID": "20042",
                "CUDA_VISIBLE_DEVICES": "3",
            },
            RankEnvironment(4, 1, 3, 0, 3, "127.0.0.1", 15042),
        ),
    ],
)
def test_who_started_the_processes(monkeypatch, variables, environment):
    for name in list(os.environ):
        if (
            name.startswith(("SLURM_", "TORCHELASTIC_", "MASTER_", "CUDA_"))
            or "RANK" in name
            or "WORLD" in name
        ):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert started_by_others() == environment


def test_unequal_machines_are_refused(monkeypatch):
    for name, value in {"SLURM_NTASKS": "3", "SLURM_NNODES": "2", "SLURM_PROCID": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="--ntasks-per-node"):
        started_by_others()


def test_a_rank_ends_when_nobody_is_left_to_listen_to():
    code = "import time; from calcium_lightning.processes.rank import watch_parent; watch_parent(); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=30) == -9
