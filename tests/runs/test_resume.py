"""The same command again: what is finished is read, what was broken off goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tiny_session import make_session
from helpers.tiny_training import (
    TINY,
    finish,
    held_out,
    kill_once,
    real,
    same,
    sessions,
    start,
    stop_at,
    weights,
)

from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.jobs import Job, read_job


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return make_session(tmp_path_factory.mktemp("session") / "a.h5")


def jobs_in(folder: Path) -> dict[str, Job]:
    found = {str(path.parent.relative_to(folder)): read_job(path.parent) for path in folder.rglob("job.json")}
    return {name: job for name, job in sorted(found.items()) if job is not None}


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def table(sweep: Path) -> list[tuple[list[str], float]]:
    """Of each job: the course of its held-out error, and its result."""
    return [
        (held_out(sweep / name), RunFolder(sweep / name).read_summary()["value"]) for name in jobs_in(sweep)
    ]


def test_a_finished_run_is_read_and_not_run_again(run_command, session, tmp_path):
    command = (*TINY, "trainer.max_epochs=1", sessions(session))
    assert run_command("train", *command).status == 0
    ((folder, job),) = jobs_in(tmp_path / "outputs").items()
    assert (job.status, job.error, job.same_as, job.sweep) == ("finished", None, None, None)
    assert job.data == {str(session): job.data[str(session)]}
    before, written = files_in(tmp_path), (tmp_path / "outputs" / folder / "checkpoints/last.ckpt").stat()

    again = run_command("train", *command)
    assert (again.status, "finished before" in again.stdout) == (0, True)
    assert "best val/reconstruction" in again.stdout
    assert files_in(tmp_path) == before
    assert (tmp_path / "outputs" / folder / "checkpoints/last.ckpt").stat() == written
    assert jobs_in(tmp_path / "outputs") == {folder: job}

    # Where a folder is asked for, it holds what every run's folder holds.
    there = run_command("train", *command, "hydra.run.dir=there")
    assert (there.status, "finished before" in there.stdout) == (0, True)
    copy = read_job(tmp_path / "there")
    assert copy is not None
    assert (copy.same_as, copy.id) == (str(tmp_path / "outputs" / folder), job.id)
    assert same(weights(tmp_path / "there"), weights(tmp_path / "outputs" / folder))
    assert held_out(tmp_path / "there") == held_out(tmp_path / "outputs" / folder)
    summary = RunFolder(tmp_path / "there").read_summary()
    assert summary["checkpoint"] == str(tmp_path / "there/checkpoints/best.ckpt")
    assert summary["value"] == summary["best"]["val/reconstruction"]

    fresh = run_command("train", *command, "fresh=true", "hydra.run.dir=fresh")
    assert (fresh.status, "finished before" in fresh.stdout) == (0, False)
    new = read_job(tmp_path / "fresh")
    assert new is not None
    assert (new.hash, new.id != job.id) == (job.hash, True)
    refused = run_command("train", *command, "fresh=true", "hydra.run.dir=fresh")
    assert (refused.status, "overwrite=true" in refused.stderr) == (2, True)
    assert read_job(tmp_path / "fresh") == new


def test_a_killed_run_goes_on_with_the_same_command(run_command, session, tmp_path):
    command = (*TINY, *kill_once("run", 5, tmp_path / "killed"), sessions(session), "hydra.run.dir=run")
    assert real(*command, cwd=tmp_path).returncode == -9
    begun = read_job(tmp_path / "run")
    assert begun is not None
    assert begun.status == "running"
    assert not (tmp_path / "run/summary.json").exists()
    again = run_command("train", *command)
    assert again.status == 0, again.stderr
    assert "epoch 1/2" not in again.stderr
    ended = read_job(tmp_path / "run")
    assert ended is not None
    assert (ended.id, ended.started, ended.status) == (begun.id, begun.started, "finished")
    assert run_command("train", *TINY, sessions(session), "hydra.run.dir=unbroken").status == 0
    assert same(weights(tmp_path / "run"), weights(tmp_path / "unbroken"))
    assert held_out(tmp_path / "run") == held_out(tmp_path / "unbroken")


def test_a_run_that_is_broken_off_goes_on_in_its_folder_or_another(run_command, session, tmp_path):
    command = (*TINY, *stop_at(4, "SIGTERM"), sessions(session))
    assert run_command("train", *command).status == 143
    ((folder, job),) = jobs_in(tmp_path / "outputs").items()
    assert job.status == "interrupted"
    elsewhere = run_command("train", *command, "hydra.run.dir=elsewhere")
    assert elsewhere.status == 0, elsewhere.stderr
    moved = read_job(tmp_path / "elsewhere")
    assert moved is not None
    assert (moved.id, moved.status) == (job.id, "finished")
    assert len(held_out(tmp_path / "elsewhere")) == 2
    here = run_command("train", *command)
    assert here.status == 0, here.stderr
    assert list(jobs_in(tmp_path / "outputs")) == [folder]
    assert same(weights(tmp_path / "outputs" / folder), weights(tmp_path / "elsewhere"))


def test_a_failed_run_says_why_and_starts_anew(run_command, session, tmp_path):
    fail = (
        "+callbacks.fail._target_=helpers.breaking.FailOn",
        "+callbacks.fail.step=1",
        "+callbacks.fail.rank=0",
    )
    for _ in range(2):
        outcome = run_command("train", *TINY, *fail, sessions(session), "hydra.run.dir=run")
        assert outcome.status == 1
        job = read_job(tmp_path / "run")
        assert job is not None
        assert (job.status, job.error) == ("failed", "this rank gives up")
    corrected = run_command("train", *TINY, sessions(session), "hydra.run.dir=run", "cell_diameter=40")
    assert corrected.status == 2  # of another job, whose folder this isn't
    assert read_job(tmp_path / "run") == job


def test_a_run_in_the_way_of_another_is_left_alone(run_command, session, tmp_path):
    command = (*TINY, "trainer.max_epochs=1", sessions(session), "hydra.run.dir=run")
    assert run_command("train", *command).status == 0
    job = read_job(tmp_path / "run")
    refused = run_command("train", *command, "seed=1")
    assert (refused.status, "holds a run already" in refused.stderr) == (2, True)
    assert read_job(tmp_path / "run") == job
    assert run_command("train", *command, "seed=1", "overwrite=true").status == 0
    replaced = read_job(tmp_path / "run")
    assert replaced is not None
    assert job is not None
    assert replaced.hash != job.hash


def test_a_killed_sweep_goes_on_and_ends_like_an_unbroken_one(run_command, session, tmp_path):
    """Job 1 is not run again, job 2 goes on from its checkpoint under its id, in the same folder."""
    command = (*TINY, *kill_once("1", 5, tmp_path / "killed"), sessions(session), "-m", "seed=1,2,3")
    assert real(*command, cwd=tmp_path).returncode == -9
    (sweep,) = (tmp_path / "multirun/train").iterdir()
    begun = jobs_in(sweep)
    assert [(name, job.number, job.status) for name, job in begun.items()] == [
        ("0", 0, "finished"),
        ("1", 1, "running"),
    ]
    first = (sweep / "0/checkpoints/last.ckpt").stat()

    again = run_command("train", *command)
    assert again.status == 0, again.stderr
    assert list((tmp_path / "multirun/train").iterdir()) == [sweep]
    assert not (tmp_path / "outputs").exists()
    jobs = jobs_in(sweep)
    assert [job.status for job in jobs.values()] == ["finished"] * 3
    assert [jobs[name].id for name in ("0", "1")] == [begun[name].id for name in ("0", "1")]
    assert len({job.id for job in jobs.values()}) == 3
    assert {job.sweep for job in jobs.values()} == {str(sweep.relative_to(tmp_path))}
    assert (sweep / "0/checkpoints/last.ckpt").stat() == first
    assert again.stdout.count("finished before") == 1
    assert again.stderr.count("epoch 1/2") == 1  # of job 3 alone

    # Again: nothing is left to do. Afresh, elsewhere: an unbroken sweep, with the same results.
    before = files_in(sweep)
    nothing = run_command("train", *command)
    assert (nothing.status, nothing.stdout.count("finished before")) == (0, 3)
    assert files_in(sweep) == before
    unbroken = run_command("train", *command, "fresh=true", "hydra.sweep.dir=unbroken")
    assert (unbroken.status, "finished before" in unbroken.stdout) == (0, False)
    assert table(tmp_path / "unbroken") == table(sweep)
    assert len(table(sweep)) == 3


def test_a_sweep_takes_what_other_runs_have_done(run_command, session, tmp_path):
    single = (*TINY, "trainer.max_epochs=1", sessions(session))
    assert run_command("train", *single, "seed=2").status == 0
    sweep = run_command("train", *single, "-m", "seed=2,3")
    assert (sweep.status, sweep.stdout.count("finished before")) == (0, 1)
    jobs = jobs_in(tmp_path / "multirun/train")
    assert [bool(job.same_as) for job in jobs.values()] == [True, False]
    # Another recording under the same name is another sweep.
    make_session(session.with_name("b.h5"), seed=5)
    session.with_name("b.h5").rename(session)
    changed = run_command("train", *single, "-m", "seed=2,3")
    assert (changed.status, "finished before" in changed.stdout) == (0, False)
    assert len(jobs_in(tmp_path / "multirun/train")) == 4


def test_two_processes_do_not_run_the_same_job_at_once(session, tmp_path):
    """Whoever comes second waits, and reads the result."""
    command = ("-m", "calcium_lightning.train", *TINY, sessions(session))
    processes = [start(*command, cwd=tmp_path), start(*command, cwd=tmp_path)]
    outcomes = [finish(process) for process in processes]
    assert [outcome.returncode for outcome in outcomes] == [0, 0], [outcome.stderr for outcome in outcomes]
    assert sum("finished before" in outcome.stdout for outcome in outcomes) == 1
    assert sum("epoch 1/2" in outcome.stderr for outcome in outcomes) == 1
