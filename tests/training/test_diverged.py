"""A training that has no result doesn't end as if it had one."""

import torch
from helpers.tiny_session import make_session
from helpers.tiny_training import TINY, sessions

from calcium_lightning.runs.jobs import read_job


def test_a_loss_that_is_no_number_ends_the_job(run_command, tmp_path):
    session = make_session(tmp_path / "s.h5")
    far = ("optimizer.lr=1e2", "trainer.max_epochs=6", "hydra.run.dir=run")
    done = run_command("train", *TINY, sessions(session), *far)
    assert done.status == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "diverged: the loss of step" in last
    assert "optimizer.lr= (it is 100)" in last  # not what the schedule has made of it
    assert not (tmp_path / "run/checkpoints/best.ckpt").exists()
    job = read_job(tmp_path / "run")
    assert job is None or job.status == "failed"


def test_fewer_epochs_than_done_and_weights_that_are_none(run_command, tmp_path):
    session = make_session(tmp_path / "s.h5")
    common = ("train", *TINY, sessions(session))
    assert run_command(*common, "hydra.run.dir=run").status == 0
    path = tmp_path / "run/checkpoints/last.ckpt"
    fewer = run_command(*common, "trainer.max_epochs=1", f"ckpt_path={path}", "hydra.run.dir=two")
    assert fewer.status == 2
    assert "has 2 epochs behind it; trainer.max_epochs=1 is fewer" in fewer.stderr
    state = torch.load(path, weights_only=True)
    name = next(iter(state["state_dict"]))
    state["state_dict"][name] = torch.full_like(state["state_dict"][name], torch.nan)
    torch.save(state, path)
    again = run_command(*common, f"weights={path}", "hydra.run.dir=three")
    assert again.status == 2
    assert "holds NaN or infinite weights" in again.stderr
