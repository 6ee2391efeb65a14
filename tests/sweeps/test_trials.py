"""A study that several processes work on, in a real SQLite file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution

from calcium_lightning.command.failures import Failure
from calcium_lightning.command.job import Stopped
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.storage import absolute, open_storage, shown
from calcium_lightning.sweeps.trials import RETRIES, Trials

SPACE = {"x": FloatDistribution(-1.0, 1.0)}


def study(folder: Path, name: str = "s", direction: str = "minimize", seed: int = 0) -> Trials:
    return Trials(
        f"sqlite:///{folder}/a, b.db",
        name,
        direction,
        lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=3),
        optuna.pruners.NopPruner(),
        seed,
    )


def states(trials: Trials) -> list[str]:
    return [trial.state.name for trial in trials.study.get_trials()]


def test_processes_share_one_count(tmp_path):
    """Two that begin the study and ask at the same time get different trials, and no more than there shall be."""
    taken: list[list[int]] = [[], []]
    begin = threading.Barrier(2, timeout=60)

    def work(index: int) -> None:
        begin.wait()
        part = study(tmp_path)
        begin.wait()
        while trial := part.claim(10, SPACE):
            taken[index].append(trial.number)
            part.finish(trial, trial.params["x"] ** 2)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = study(tmp_path)
    assert sorted(taken[0] + taken[1]) == list(range(10))
    assert states(trials) == ["COMPLETE"] * 10
    drawn = [trial.params["x"] for trial in trials.study.trials]
    assert len(set(drawn)) == 10


def test_a_seed_decides_the_proposals(tmp_path):
    drawn = []
    for folder, seed in (("one", 0), ("two", 0), ("three", 1)):
        trials = study(tmp_path / folder, seed=seed)
        while trial := trials.claim(6, SPACE):
            trials.finish(trial, trial.params["x"] ** 2)
        drawn.append([trial.params["x"] for trial in trials.study.trials])
    assert drawn[0] == drawn[1] != drawn[2]


def test_results_are_told_as_what_they_are(tmp_path):
    trials = study(tmp_path, direction="max")
    for value in (1.5, Stopped(), Failure("the session is gone", 2), float("nan"), None):
        trial = trials.claim(9, SPACE)
        trial.report(0.25, 3)
        trials.finish(trial, value, folder="f")
    told = trials.study.trials
    assert states(trials) == ["COMPLETE", "PRUNED", "FAIL", "FAIL", "FAIL"]
    assert [told[0].value, told[1].value] == [1.5, 0.25]
    assert [trial.user_attrs.get("error") for trial in told] == [
        None,
        None,
        "the session is gone",
        "nan is no result",
        "None is no result",
    ]
    assert {trial.user_attrs["folder"] for trial in told} == {"f"}
    assert len(Trials.counted(told)) == 5  # failures count: the same settings would fail again


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_trials import SPACE, study
trials = study(Path(sys.argv[1]))
print(trials.claim(3, SPACE).params["x"])
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_trial_of_a_killed_process_is_begun_anew(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)]
    killed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    trials = study(tmp_path)
    again = trials.claim(3, SPACE)
    assert (again.number, again.params["x"]) == (1, float(killed.stdout))
    assert states(trials) == ["FAIL", "RUNNING"]
    trials.finish(again, 0.0)
    while trial := trials.claim(3, SPACE):
        trials.finish(trial, 1.0)
    assert states(trials) == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert len(Trials.counted(trials.study.trials)) == 3


def test_a_living_process_keeps_its_trial_until_its_signs_of_life_end(tmp_path, monkeypatch):
    mine, other = study(tmp_path), study(tmp_path)
    trial = mine.claim(2, SPACE)
    elsewhere = {**mine.study.trials[0].user_attrs["owner"], "host": "another"}
    trial.set_user_attr("owner", elsewhere)
    assert other.claim(1, SPACE) is None
    assert states(other) == ["RUNNING"]
    trial.set_user_attr("owner", {**elsewhere, "time": elsewhere["time"] - 1000})
    assert other.claim(1, SPACE).params == trial.params
    mine.finish(trial, 1.0)  # it was only slow: its trial is another's now
    assert states(other) == ["FAIL", "RUNNING"]


def test_what_was_broken_off_goes_to_whoever_is_next_but_not_for_ever(tmp_path):
    trials = study(tmp_path)
    drawn = []
    while trial := trials.claim(1, SPACE):
        drawn.append(trial.params["x"])
        trials.give_back([trial])
    assert drawn == [drawn[0]] * (RETRIES + 1)
    assert "killed" in trials.study.trials[-1].user_attrs["error"]
    assert len(Trials.counted(trials.study.trials)) == 1


def test_a_search_that_was_broken_off_proposes_what_it_would_have(tmp_path):
    drawn = []
    for broken_at in (None, 4):
        trials = study(tmp_path / str(broken_at))
        while trial := trials.claim(8, SPACE):
            if trial.number == broken_at:
                trials.give_back([trial])
            else:
                trials.finish(trial, trial.params["x"] ** 2)
        drawn.append([trial.params["x"] for trial in Trials.counted(trials.study.trials)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 8


def test_signs_of_life_are_given(tmp_path, monkeypatch):
    from calcium_lightning.sweeps import trials as module

    monkeypatch.setattr(module, "BEAT_S", 0.01)
    trials = study(tmp_path)
    trial = trials.claim(1, SPACE)
    trial.set_user_attr("owner", None)
    with trials.alive([trial]):
        for _ in range(500):
            if owner := trials.study.trials[0].user_attrs["owner"]:
                break
    assert owner["pid"] == os.getpid()


def test_a_study_keeps_its_direction(tmp_path):
    study(tmp_path)
    with pytest.raises(InputError, match=r"the study s was begun to minimize; .*study_name="):
        study(tmp_path, direction="maximize")
    with pytest.raises(InputError, match="direction=up"):
        study(tmp_path, direction="up")


def test_databases(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///x/y.db") == f"sqlite:///{tmp_path}/x/y.db"
    assert absolute("postgresql://me:secret@host/name") == "postgresql://me:secret@host/name"
    assert "secret" not in shown("postgresql://me:secret@host/name")
    with pytest.raises(InputError, match="sqlite:///FILE or postgresql"):
        open_storage("mysql://me:secret@host/name")
    (tmp_path / "x.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(InputError, match=r"x\.db: can't be opened"):
        open_storage("sqlite:///x.db")
    for url in ("nonsense", "sqlite://"):  # a study in memory is nobody else's
        with pytest.raises(InputError, match="sqlite:///FILE or postgresql"):
            absolute(url)
