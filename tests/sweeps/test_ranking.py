"""A finished sweep says how its jobs rank, and how to see more of them."""

from __future__ import annotations

from helpers.example_runs import make_run

from calcium_lightning.command.failures import Failure
from calcium_lightning.sweeps.jobs import Result
from calcium_lightning.sweeps.ranking import tell_ranking


def test_the_best_is_first_and_the_command_stands_below(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sweep = tmp_path / "multirun/train/my sweep"
    for number, value in enumerate((3.0, 1.0, 2.0)):
        make_run(sweep / str(number), [f"seed={number}"], course=[4.0, value])
    results = [Result([f"seed={number}"], value) for number, value in enumerate((3.0, 1.0, 2.0))]
    tell_ranking("train", sweep, results)
    out = capsys.readouterr().out
    rows = [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")]
    assert rows == ["1", "2", "0"]
    assert "python -m calcium_lightning.compare 'runs=multirun/train/my sweep'" in out


def test_nothing_is_said_of_other_commands_or_of_failures_alone(tmp_path, capsys):
    make_run(tmp_path / "0", course=[2.0])
    tell_ranking("extract", tmp_path, [Result([], 1.0)])
    tell_ranking("train", tmp_path, [Result([], Failure("bad", 2))])
    tell_ranking("train", tmp_path / "gone", [Result([], 1.0)])
    assert capsys.readouterr().out == ""
