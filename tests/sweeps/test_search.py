"""Searches through the command line: a real SQLite study, real trainings, two processes at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import optuna
import pytest
from helpers.tiny_session import make_session
from helpers.tiny_training import TINY, finish, sessions, start
from omegaconf import OmegaConf

from calcium_lightning.command import start as cli
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.plugins import register
from calcium_lightning.sweeps.pruning import TrialAddress

OPTUNA = ("-m", "sweep=optuna", "hydra.sweeper.study_name=s")
TRAINING = (
    *(part for part in TINY if not part.startswith(("trainer.", "callbacks."))),
    *(
        "trainer.max_epochs=3",
        "callbacks.pictures=null",
        "callbacks.localizations=null",
        "callbacks.cells=null",
    ),
    *OPTUNA,
    "hydra.sweeper.n_trials=12",
    "hydra.sweeper.pruner.n_startup_trials=2",
    "hydra.sweeper.pruner.n_warmup_steps=0",
    "optimizer.lr=tag(log, interval(1e-4, 1e-1))",
    "encoder.features=choice([4,6],[8,12])",
)
#: the key that conf/sweep/optuna.yaml makes
TRIAL = "+hydra.job.env_set.CALCIUM_LIGHTNING_TRIAL=''"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def search(main, *arguments: str) -> int:
    """Search with ``extract``'s config, and a function in place of what it does."""
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    register()  # as train does
    conf = [
        "hydra.sweeper.direction=max",
        "hydra.sweep.dir=many",
        "hydra.sweeper.storage=sqlite:///many/study.db",
    ]
    sampler = ["+hydra.sweeper.sampler._target_=optuna.samplers.RandomSampler"]
    pruner = ["+hydra.sweeper.pruner._target_=optuna.pruners.NopPruner"]
    given = ["-m", "hydra/sweeper=study", TRIAL, "session=a.h5", *conf, *sampler, *pruner, *arguments]
    return cli.run("extract", main, given)


def study(folder: Path, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/study.db")


def test_two_processes_search_together_and_the_best_can_be_run_again(run_command, tmp_path):
    session = make_session(tmp_path / "a.h5")
    together = ("+callbacks.wait._target_=helpers.waiting.WaitForOthers", "+callbacks.wait.count=2")
    place = f"+callbacks.wait.folder={tmp_path}/begun"
    command = ("-m", "calcium_lightning.train", *TRAINING, *together, place, sessions(session))
    both = [start(*command, cwd=tmp_path) for _ in range(2)]
    ended = [finish(process) for process in both]
    assert [process.returncode for process in ended] == [0, 0], ended

    folder = tmp_path / "multirun/train/s"
    trials = study(folder, "s").trials
    assert [trial.number for trial in trials] == list(range(12))
    jobs = {int(path.parent.name): json.loads(path.read_text()) for path in folder.glob("*/job.json")}
    assert sorted(jobs) == list(range(12))
    names = {"COMPLETE": "finished", "PRUNED": "pruned"}
    assert [jobs[trial.number]["status"] for trial in trials] == [names[trial.state.name] for trial in trials]
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    assert len({trial.user_attrs["owner"]["pid"] for trial in trials}) == 2
    for trial in trials:
        settings = OmegaConf.load(folder / f"{trial.number}/.hydra/config.yaml")
        assert settings.optimizer.lr == trial.params["optimizer.lr"]
        assert (folder / f"{trial.number}/summary.json").is_file() == (trial.state.name == "COMPLETE")
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "begun", "multirun"}

    best = study(folder, "s").best_trial
    results = OmegaConf.load(folder / "optimization_results.yaml")
    assert (results.best.value, results.best.trial) == (best.value, best.number)
    assert results.trials.complete + results.trials.pruned == 12
    again = run_command("train", "-cd", folder, "-cn", "best", "fresh=true", "hydra.run.dir=again")
    assert again.status == 0, again.stderr
    assert json.loads((tmp_path / "again/summary.json").read_text())["value"] == pytest.approx(
        best.value, rel=1e-5
    )


def test_the_best_is_run_again_with_parts_of_ones_own(tmp_path, monkeypatch):
    for name, text in (
        ("lab_best.py", "class Mine: pass\n"),
        ("detector/mine.yaml", "_target_: lab_best.Mine\n"),
    ):
        path = tmp_path / "my lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before, seen = [*sys.path], []

    def main(cfg):
        seen.append((cfg.seed, cfg.detector._target_))
        return float(cfg.seed)

    monkeypatch.setattr(sys, "path", [*before])
    own = ("--config-dir", "my lab", "detector=mine")
    assert search(main, *own, "seed=5,6", "hydra.sweeper.n_trials=2") == 0
    # As in a new process, in another folder.
    sys.path[:] = before
    del sys.modules["lab_best"]
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert cli.run("extract", main, ["-cd", str(tmp_path / "many"), "-cn", "best"]) == 0
    assert seen[-1] == (6, "lab_best.Mine")
    del sys.modules["lab_best"]


def test_failures_are_trials_too(tmp_path, capfd):
    def main(cfg):
        if cfg.seed == 2:
            raise InputError("two is too many")
        return cfg.seed

    assert search(main, "seed=range(1,4)", "hydra.sweeper.n_trials=9") == 2
    trials = study(tmp_path / "many", "many").trials
    assert len(trials) == 9
    states = {trial.params["seed"]: trial.state.name for trial in trials}
    assert states == {1: "COMPLETE", 2: "FAIL", 3: "COMPLETE"}
    told = capfd.readouterr()
    failed = [trial for trial in trials if trial.state.name == "FAIL"]
    assert f"error: {len(failed)} of 9 jobs failed" in told.err
    assert f"seed=2 (many/{failed[0].number}): two is too many" in told.err
    assert failed[0].user_attrs["error"] == "two is too many"
    assert "best of study many: 3, trial" in told.out


def test_a_search_that_was_broken_off_goes_on(tmp_path):
    seen = []

    def main(cfg):
        seen.append(cfg.cell_diameter)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return cfg.cell_diameter

    command = ("cell_diameter=interval(4,20)", "hydra.sweeper.n_trials=5")
    assert search(main, *command) == 130
    assert search(main, *command) == 0
    assert seen[3] == seen[2]
    trials = study(tmp_path / "many", "many").trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * 3]
    assert len(seen) == 6
    assert search(main, *command) == 0
    assert len(seen) == 6


def test_a_search_space_may_be_in_a_file(tmp_path):
    seen = []

    def main(cfg):
        seen.append((cfg.seed, cfg.device))
        return 0.0

    space = "+hydra.sweeper.params.seed='range(5,7)'"
    assert search(main, space, "device=cpu", "hydra.sweeper.n_trials=4") == 0
    assert set(seen) <= {(5, "cpu"), (6, "cpu")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=1"], "nothing to search"),
        (["seed=1,2", "hydra.sweeper.n_trials=0"], "n_trials=0"),
        (["seed=1,2", "hydra.sweeper.storage=mysql://a/b"], "sqlite:///FILE or postgresql://"),
        (["seed=1,2", "hydra.sweeper.direction=up"], "direction=up"),
        (["seed=glob(*)"], "seed: no search space"),
        (["seed=1,2", "hydra.sweeper.n_trails=3"], "n_trails"),
    ],
)
def test_what_cannot_be_searched_is_one_line(capfd, arguments, message):
    assert search(lambda cfg: 0.0, *arguments) == 2
    told = capfd.readouterr().err
    assert message in told
    assert told.count("error:") == 1
    assert "Traceback" not in told


def test_without_optuna_the_extra_is_named(capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search(lambda cfg: 0.0, "seed=1,2") == 2
    assert "pip install 'calcium-lightning[optuna]'" in capfd.readouterr().err


def test_a_job_knows_its_trial_by_its_environment(tmp_path):
    """Quotes, spaces and what else a URL may hold arrive as they are."""
    odd = 'sqlite:////tmp/it\'s a \\ "place"/{x}, y=1.db'
    address = TrialAddress(odd, "a 'study'", 3, {"_target_": "optuna.pruners.NopPruner"})
    seen = []
    assert (
        cli.run(
            "extract",
            lambda cfg: seen.append(TrialAddress.of_this_job()),
            ["session=a.h5", TRIAL, address.as_override()],
        )
        == 0
    )
    assert seen == [address]
    assert TrialAddress.of_this_job() is None
