"""A Ray of one's own is nobody else's; one that is named by its address is left as it was set up."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.sweeps.local_ray import keep_local


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """As in a process that hasn't met Ray."""
    monkeypatch.setattr(os, "environ", {"TMPDIR": "/tmp"})
    monkeypatch.delitem(sys.modules, "ray", raising=False)


def launcher(address: str | None) -> Any:
    return SimpleNamespace(ray_cfg=OmegaConf.create({"init": {"address": address}}))


def test_it_keeps_to_this_machine_and_asks_for_a_token():
    shipped = OmegaConf.load(conf_dir() / "launcher/ray.yaml").hydra.launcher.ray.init.address
    keep_local(launcher(shipped))
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert (os.environ["RAY_AUTH_MODE"], len(os.environ["RAY_AUTH_TOKEN"])) == ("token", 64)
    assert os.stat(os.environ["RAY_TMPDIR"]).st_mode & 0o077 == 0


@pytest.mark.parametrize("address", [None, "auto", "10.0.0.1:6379"])
def test_a_cluster_is_left_as_it_is(address):
    keep_local(launcher(address))
    keep_local(SimpleNamespace())  # any other launcher
    assert not any(name.startswith("RAY_") for name in os.environ)


def test_what_the_user_has_set_stays():
    os.environ["RAY_TMPDIR"] = "/mine"
    keep_local(launcher("local"))
    assert os.environ["RAY_TMPDIR"] == "/mine"
