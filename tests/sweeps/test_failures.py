"""A job that fails takes no other with it, and is named at the end."""

from __future__ import annotations

import importlib
import json

import pytest

from calcium_lightning.command import start as cli
from calcium_lightning.command.inputs import run_folder
from calcium_lightning.core.errors import InputError


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    for name in ("extract", "train"):  # commands bring their sweepers along
        importlib.import_module(f"calcium_lightning.{name}")
    monkeypatch.chdir(tmp_path)


def sweep(main, *arguments: str) -> int:
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    return cli.run("extract", main, ["-m", "session=a.h5", "hydra.sweep.dir=many", *arguments])


def write_seed(cfg):
    if cfg.seed == 13:
        raise InputError(f"seed={cfg.seed}: unlucky;\n  choose another")
    if cfg.seed == 14:
        raise KeyError("our own mistake")
    if cfg.seed == 15:
        raise KeyboardInterrupt
    (run_folder() / "result.json").write_text(json.dumps({"seed": cfg.seed}))


def results(folder) -> dict[str, int]:
    return {path.parent.name: json.loads(path.read_text())["seed"] for path in folder.glob("*/result.json")}


def test_bad_input_of_one_job(tmp_path, capfd):
    assert sweep(write_seed, "seed=1,13,3,4") == 2
    assert results(tmp_path / "many") == {"0": 1, "2": 3, "3": 4}
    told = capfd.readouterr().err
    assert "Traceback" not in told
    end = told[told.index("error: 1 of 4 jobs failed") :].splitlines()
    assert end[1:] == ["  seed=13 (many/1): seed=13: unlucky; choose another"]


def test_a_mistake_of_ours_has_its_traceback_and_status(tmp_path, capfd):
    assert sweep(write_seed, "seed=13,14,2") == 1
    assert results(tmp_path / "many") == {"2": 2}
    told = capfd.readouterr().err
    assert "error: 2 of 3 jobs failed" in told
    assert told.count("Traceback") == 1
    assert "KeyError: 'our own mistake'" in told.splitlines()[-1]


@pytest.mark.parametrize(
    ("impossible", "why"),
    [
        ("preprocess=default,nowhere", "preprocess=nowhere: no such choice"),
        ("seed=1,x", "Value 'x' of type 'str' could not be converted to Integer"),
    ],
)
def test_a_config_that_cannot_be_composed_is_a_failure_like_others(tmp_path, capfd, impossible, why):
    assert sweep(write_seed, impossible) == 2
    told = capfd.readouterr().err
    assert f"error: 1 of 2 jobs failed\n  {impossible.replace(',', ' ').split()[0][:4]}" in told
    assert why in told
    assert len(results(tmp_path / "many")) == 1


def test_a_refused_key_scatters_no_folders(tmp_path, monkeypatch):
    """Looking for the nearest key composes another config, in the middle of the sweep."""
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    assert cli.run("train", write_seed, ["-m", "seed=1,2", "+nokey=1"]) == 2
    (folder,) = (tmp_path / "multirun").glob("*/*")
    assert (folder.parent.name, {path.name for path in folder.iterdir()}) == (
        "train",
        {"0", "1", "multirun.yaml"},
    )


def test_ctrl_c_ends_the_sweep(tmp_path):
    assert sweep(write_seed, "seed=1,15,2") == 130
    assert results(tmp_path / "many") == {"0": 1}


def test_the_grid_can_come_from_a_file_and_the_command_line_wins(tmp_path):
    assert sweep(write_seed, "+hydra.sweeper.params.seed='5,6'") == 0
    assert results(tmp_path / "many") == {"0": 5, "1": 6}
    assert sweep(write_seed, "+hydra.sweeper.params.seed='5,6'", "seed=7") == 0
    assert results(tmp_path / "many") == {"0": 7, "1": 6}


def test_a_launcher_that_is_not_installed_names_its_extra(tmp_path, capfd, monkeypatch):
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    Plugins.instance()
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["launcher"], "ray.yaml")
    assert sweep(write_seed, "launcher=ray") == 2
    assert "pip install 'calcium-lightning[ray]'" in capfd.readouterr().err


def test_a_launcher_that_breaks_is_told_with_its_jobs(tmp_path, capfd, monkeypatch):
    """A worker was killed, a node went away: which jobs it had is all that is known."""
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    def launch(self, job_overrides, initial_job_idx):
        raise RuntimeError("a worker process was killed")

    monkeypatch.setattr(BasicLauncher, "launch", launch)
    assert sweep(write_seed, "seed=1,2") == 1
    told = capfd.readouterr().err
    assert "error: 2 of 2 jobs failed\n  seed=1 (no folder): the launcher lost its jobs" in told
    assert "a worker process was killed" in told
