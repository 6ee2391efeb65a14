"""Processes that meet in a store which takes what anyone sends. Real stores, and a real process that follows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from torch.distributed import PrefixStore, TCPStore

from calcium_lightning.core.errors import InputError
from calcium_lightning.processes import rendezvous
from calcium_lightning.processes.environment import RankEnvironment
from calcium_lightning.processes.process import loopback

FOLLOW = (
    "import sys; from calcium_lightning.processes.environment import started_by_others;"
    "from calcium_lightning.processes.rendezvous import follow; sys.exit(follow(started_by_others()))"
)


def follower(port: int, folder, **variables: str) -> subprocess.Popen[str]:
    """Process 1 of 2, of its own secret."""
    environment = {**os.environ, "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CALCIUM_LIGHTNING_SECRET": "ours"}
    return subprocess.Popen(
        [sys.executable, "-c", FOLLOW],
        cwd=folder,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_order_of_a_stranger_is_refused(tmp_path):
    """Who can reach the store can write into it; nothing that he names is imported or called."""
    listening = loopback()
    port = listening.getsockname()[1]
    store = PrefixStore(
        "calcium_lightning/0",
        TCPStore(
            "127.0.0.1",
            port,
            is_master=True,
            wait_for_workers=False,
            timeout=timedelta(seconds=60),
            master_listen_fd=listening.detach(),
        ),
    )
    process = follower(port, tmp_path)
    order = {"task": "pathlib:Path.touch", "config": "{}", "folder": str(tmp_path / "pwned"), "job": {}}
    order |= {"modules": [str(tmp_path)], "address": "127.0.0.1", "port": 1}
    store.set("1/0/order", json.dumps(order))
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2, told
    assert told.count("error:") == 1
    assert "isn't signed" in told
    assert store.get("1/0/answer") == rendezvous.REFUSED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("theirs", "status"), [("ours", 7), ("another", 2)])
def test_leader_and_follower_must_know_the_same_secret(theirs, status, tmp_path, monkeypatch):
    monkeypatch.setenv("CALCIUM_LIGHTNING_SECRET", "ours")
    with loopback() as free:
        port = free.getsockname()[1]
    process = follower(port, tmp_path, CALCIUM_LIGHTNING_SECRET=theirs)
    leader = rendezvous.Leader(RankEnvironment(2, 2, 0, 0, 0, "127.0.0.1", port))
    if theirs == "ours":
        leader._await("drawn")
        leader.dismiss(7)
    else:
        with pytest.raises(InputError, match="CALCIUM_LIGHTNING_SECRET"):
            leader.call({"address": "127.0.0.1", "port": 1})
    assert process.wait(timeout=60) == status


def test_processes_that_don_t_come_are_told(monkeypatch):
    monkeypatch.setattr(rendezvous, "ARRIVAL_S", 0.3)
    with loopback() as free:
        port = free.getsockname()[1]
    leader = rendezvous.Leader(RankEnvironment(3, 3, 0, 0, 0, "127.0.0.1", port))
    began = time.monotonic()
    with pytest.raises(InputError, match=r"processes \[1, 2\] of 3 haven't come"):
        leader.call({})
    assert time.monotonic() - began < 30
