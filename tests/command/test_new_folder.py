"""Each run and sweep has a folder of its own, and what lies in it about its settings is of this run."""

from __future__ import annotations

import datetime
import importlib
import shutil
from pathlib import Path

import hydra.core.utils
import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from calcium_lightning.command import start as cli
from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.command.new_folder import new_folder, new_folders
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.version import __version__
from calcium_lightning.runs.folder import RunFolder


class Noon(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 3, 4, 12, 0, 0)


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Run ``train`` with another ``main``, always at noon, without loading its parts; its exit status."""
    importlib.import_module("calcium_lightning.train")  # which says that its parts are loaded elsewhere
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hydra.core.utils, "datetime", Noon)

    def run(main, *arguments: str) -> int:
        return cli.run("train", main, ["data.sessions=[a.h5]", "trainer=ddp_cpu", *arguments])

    return run


def leave_something(_) -> None:
    Path(HydraConfig.get().runtime.output_dir, "metrics.csv").touch()


def settings(folder: Path) -> list[str]:
    return list(OmegaConf.load(folder / ".hydra/overrides.yaml"))


def test_runs_and_sweeps_that_begin_in_one_second_have_folders_of_their_own(train, tmp_path):
    for seed in (1, 2):
        assert train(leave_something, f"seed={seed}") == 0
        assert train(leave_something, "-m", f"seed={seed},7") == 0
    names = ["2026-03-04_12-00-00", "2026-03-04_12-00-00_2"]
    runs, sweeps = tmp_path / "outputs/train", tmp_path / "multirun/train"
    assert sorted(path.name for path in runs.iterdir()) == names
    assert sorted(path.name for path in sweeps.iterdir()) == names
    for seed, name in enumerate(names, 1):
        assert f"seed={seed}" in settings(runs / name)
        assert f"seed={seed}" in settings(sweeps / name / "0")
        assert "seed=7" in settings(sweeps / name / "1")
        assert {path.name for path in (sweeps / name).iterdir()} == {"0", "1", "multirun.yaml"}


def test_nothing_is_made_where_nothing_is_run(train, tmp_path, capsys):
    assert train(leave_something, "--cfg", "hydra", "--resolve") == 0
    assert "outputs/train/2026-03-04_12-00-00\n" in capsys.readouterr().out
    assert train(leave_something, "trainer.max_epoch=1") == 2
    assert train(leave_something, "-m", "trainer.max_epochs=1,") == 2
    assert not (tmp_path / "outputs").exists()


def test_a_folder_that_cant_be_made_is_left_to_be_told_of(tmp_path):
    (tmp_path / "outputs").touch()
    with new_folders():
        assert new_folder(f"{tmp_path}/outputs/now") == f"{tmp_path}/outputs/now"
    (tmp_path / "file").touch()
    with new_folders():
        assert new_folder(f"{tmp_path}/file") == f"{tmp_path}/file_2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "outputs"]


def test_a_run_that_is_refused_leaves_the_settings_of_what_is_there(train, tmp_path):
    def claim(cfg) -> None:
        RunFolder(Path("there")).claim(bool(cfg.overwrite))
        (tmp_path / "there/metrics.csv").touch()

    def refuse(_) -> None:
        raise InputError("no")

    assert train(claim, "hydra.run.dir=there", "seed=1") == 0
    files = {".hydra", "metrics.csv", "train.log"}
    for main, *arguments in ((claim,), (refuse, "overwrite=true"), (claim, "trainer.max_epoch=1")):
        assert train(main, "hydra.run.dir=there", "seed=2", *arguments) == 2
        assert "seed=1" in settings(tmp_path / "there")
        assert {path.name for path in (tmp_path / "there").iterdir()} == files
    (tmp_path / "there/.hydra.new-1").mkdir()  # of a process that was killed
    assert train(claim, "hydra.run.dir=there", "seed=3", "overwrite=true") == 0
    assert "seed=3" in settings(tmp_path / "there")
    assert {path.name for path in (tmp_path / "there").iterdir()} == files


def test_an_experiment_without_its_first_line_is_said_to_lack_it(train, tmp_path, capsys):
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/x.yaml").write_text("optimizer:\n  lr: 1e-3\n", encoding="utf-8")
    assert train(leave_something, "--config-dir", "mine", "+experiment=x") == 2
    assert "first line be # @package _global_" in capsys.readouterr().err


def test_an_own_file_that_the_packages_hides_is_refused_and_a_mere_copy_is_not(train, tmp_path, capsys):
    (tmp_path / "mine/experiment").mkdir(parents=True)
    own = tmp_path / "mine/experiment/unsupervised.yaml"
    shutil.copy(conf_dir() / "experiment/unsupervised.yaml", own)
    assert train(leave_something, "--config-dir", "mine", "+experiment=unsupervised") == 0
    own.write_text(own.read_text(encoding="utf-8").replace("40", "7"), encoding="utf-8")
    capsys.readouterr()
    assert train(leave_something, "--config-dir", "mine", "+experiment=unsupervised") == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {own}: never read")
    assert "experiment/my_unsupervised.yaml" in line
    own.rename(own.with_stem("my_unsupervised"))
    seen = []
    assert train(seen.append, "--config-dir", "mine", "+experiment=my_unsupervised") == 0
    assert seen[0].trainer.max_epochs == 7


def test_the_version_is_the_packages_own(train, capsys):
    assert train(leave_something, "--version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"
