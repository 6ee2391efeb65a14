"""By which interface processes talk to each other."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from calcium_lightning.processes.environment import RankEnvironment
from calcium_lightning.processes.process import LocalMember, interface_to

PLACE = RankEnvironment(2, 1, 0, 0, node=0, address="127.0.0.1", port=1)

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows names its interfaces by words")


@pytest.fixture
def variables(monkeypatch):
    """The environment that a process would be started with."""

    def start(place):
        seen = {}

        def popen(command, env, **more):
            seen.update(env)
            raise InterruptedError

        monkeypatch.setattr(subprocess, "Popen", popen)
        with pytest.raises(InterruptedError):
            LocalMember(place, {}, True)
        return seen

    return start


def test_several_machines_talk_by_the_interface_that_leads_to_the_first(variables, monkeypatch):
    assert interface_to("127.0.0.1") == LOOPBACK
    monkeypatch.delenv("NCCL_SOCKET_IFNAME", raising=False)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")  # whoever knows better says so
    found = variables(PLACE)
    assert (found["GLOO_SOCKET_IFNAME"], found["NCCL_SOCKET_IFNAME"]) == ("eth7", LOOPBACK)


def test_one_machine_talks_to_itself_alone(variables, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    assert variables(dataclasses.replace(PLACE, local_size=2))["GLOO_SOCKET_IFNAME"] == LOOPBACK
