"""A command's config is composed once, and a mode that a config chooses holds."""

from __future__ import annotations

import importlib

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command import start as cli
from calcium_lightning.command.config_keys import conf_dir


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Run ``report`` with more arguments; the configs that its jobs were given."""
    importlib.import_module("calcium_lightning.report")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> list[DictConfig]:
        seen: list[DictConfig] = []
        assert cli.run("report", seen.append, ["cells=a.h5", *arguments]) == 0
        return seen

    return run


@pytest.fixture
def composed(monkeypatch):
    """The overrides of each config that Hydra composes."""
    seen = []
    load = ConfigLoaderImpl.load_configuration

    def counted(self, config_name, overrides, *arguments, **named):
        seen.append(list(overrides))
        return load(self, config_name, overrides, *arguments, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    return seen


def test_the_config_of_a_command_is_composed_once(jobs, composed):
    before = Hydra.get_mode
    assert [job.cells for job in jobs()] == ["a.h5"]
    assert len(composed) == 1
    assert Hydra.get_mode is before


def test_a_flag_and_the_mode_as_a_key_make_a_sweep(jobs):
    for how in ("-m", "hydra.mode=MULTIRUN"):
        assert [job.cells for job in jobs(how, "cells=b.h5,c.h5", "hydra.sweep.dir=sweep")] == [
            "b.h5",
            "c.h5",
        ]
    assert [job.cells for job in jobs("hydra.mode=RUN")] == ["a.h5"]


def test_a_config_that_was_brought_along_chooses_the_mode(jobs, tmp_path):
    folder = tmp_path / "mine/experiment"
    folder.mkdir(parents=True)
    (folder / "both.yaml").write_text(
        "# @package _global_\n"
        "hydra:\n  mode: MULTIRUN\n  sweep: {dir: sweep}\n  sweeper: {params: {output: 'b.html,c.html'}}\n"
    )
    found = jobs("--config-dir", str(tmp_path / "mine"), "+experiment=both")
    assert [job.output for job in found] == ["b.html", "c.html"]


def test_none_of_our_configs_chooses_a_mode():
    """What lets the arguments tell it."""
    files = list(conf_dir().rglob("*.yaml"))
    assert len(files) > 50
    for file in files:
        config = OmegaConf.load(file)
        if not isinstance(config, DictConfig):
            continue
        package = file.read_text().partition("\n")[0]
        here = config if "@package hydra" in package else config.get("hydra", {})
        assert "mode" not in here, file
