"""Who starts the processes of a training loads nothing of it; they check what its components take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.composed import composed
from helpers.tiny_session import make_session
from helpers.tiny_training import TINY, sessions

from calcium_lightning.core.errors import InputError
from calcium_lightning.training.task import train_job

STARTING = """
import sys
from calcium_lightning import train
from calcium_lightning.command import start
from calcium_lightning.runs import run
run.launch = lambda *job: print("asked for", job[4], "loaded", "torch" in sys.modules)
run.RunFolder.read_summary = lambda self: dict(value=None, **dict.fromkeys(("checkpoint", "metrics", "figures")))
sys.exit(start.run("train", train.main.__wrapped__, sys.argv[1:]))
"""


def test_who_starts_processes_loads_nothing_of_the_training(tmp_path: Path) -> None:
    command = (*TINY, sessions(make_session(tmp_path / "a.h5")), "trainer=ddp_cpu")
    done = subprocess.run(
        [sys.executable, "-c", STARTING, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.startswith("asked for 2 loaded False"), done.stderr


def test_each_process_checks_what_components_take(tmp_path: Path) -> None:
    cfg = composed("train", *TINY, "data.sessions=[a.h5]", "+loss.evidence.foo=1")
    with pytest.raises(InputError, match=r"loss\.evidence\.foo: .* has no such setting"):
        train_job(cfg, tmp_path, {}, ranked=True)


@pytest.mark.parametrize("typed", ["callbacks.best=null", "~callbacks.best"])
def test_who_keeps_no_best_weights_can_train(typed: str) -> None:
    cfg = composed("train", *TINY, "data.sessions=[a.h5]", typed)
    assert cfg.callbacks.prune.monitor == "val/reconstruction"
    assert (
        composed("train", *TINY, "callbacks.best.monitor=val/evidence").callbacks.prune.monitor
        == "val/evidence"
    )
