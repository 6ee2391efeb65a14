"""Runs are read back whatever state they are in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.example_runs import make_run

from calcium_lightning.comparison.runs import read_run, read_runs
from calcium_lightning.core.errors import InputError


def test_a_finished_run(tmp_path):
    run = read_run(make_run(tmp_path / "3", ["optimizer.lr=0.1"], [1.5, 1.2, 1.3], git_commit="abc"))
    assert (run.command, run.status, run.seconds, run.error) == ("train", "finished", 150.0, None)
    assert run.overrides == ("optimizer.lr=0.1",)
    assert run.settings["encoder.features"] == [8, 12]
    assert run.choices["encoder"] == "u_shape"
    assert run.monitor == ("val/reconstruction", "min")
    assert run.courses["val/reconstruction"].dropna().tolist() == [1.5, 1.2, 1.3]
    assert run.figures["val/reconstruction"] == 1.2
    assert "epochs" not in run.figures
    assert run.pictures == {"epoch": tmp_path / "3/figures/epoch_0010.png"}
    assert run.origin == {"git_commit": "abc", "cwd": str(tmp_path)}


@pytest.mark.parametrize(
    ("status", "course", "shown"),
    [
        (None, [1.0], "unfinished"),
        ("running", [], "running"),
        ("failed", [], "failed"),
        ("pruned", [2.0], "pruned"),
    ],
)
def test_runs_that_are_not_finished(tmp_path, status, course, shown):
    folder = make_run(tmp_path / "0", course=course, status=status, error="x" if status == "failed" else None)
    run = read_run(folder)
    assert run.status == shown
    assert (run.error == "x") == (status == "failed")
    assert len(run.courses) == (3 if course else 0)


def test_older_runs_have_no_job(tmp_path):
    folder = make_run(tmp_path / "0", ["seed=3"], [1.0], status=None)
    (folder / "summary.json").write_text('{"val/reconstruction": 1.0}')
    run = read_run(folder)
    assert (run.status, run.seconds, run.overrides, run.data) == ("finished", None, ("seed=3",), {})


@pytest.mark.parametrize("content", ["", "{", "- [", "\x00\x01", "a,b\n1", '"text"'])
def test_damaged_files_are_left_out(tmp_path, content):
    folder = make_run(tmp_path / "0", ["seed=3"], [1.0])
    for name in (
        "summary.json",
        "metrics.csv",
        "metrics.json",
        "job.json",
        ".hydra/hydra.yaml",
        ".hydra/config.yaml",
    ):
        (folder / name).write_text(content)
    run = read_run(folder)
    assert run.figures == {}
    assert run.status == "finished"  # there is a summary
    assert run.overrides == ()


def test_a_result_that_was_taken_over_tells_the_time_it_took_first(tmp_path):
    first = make_run(tmp_path / "a/0", course=[1.0])
    again = {"started": "2026-01-02T00:00:00+00:00", "finished": "2026-01-02T00:00:01+00:00"}
    assert read_run(make_run(tmp_path / "b/0", course=[1.0], same_as=str(first), **again)).seconds == 150
    gone = make_run(tmp_path / "c/0", course=[1.0], same_as=str(tmp_path / "gone"), **again)
    assert read_run(gone).seconds == 1


def test_figures_of_evaluate_are_results(tmp_path):
    folder = make_run(tmp_path / "0", command="extract", status=None)
    (folder / "a.cells.h5").touch()
    figures = {"format": "calcium-lightning-metrics", "version": 1, "together": {"f1": 0.9, "both": None}}
    (folder / "metrics.json").write_text(json.dumps(figures))
    run = read_run(folder)
    assert (run.command, run.status, run.figures) == ("extract", "finished", {"f1": 0.9})


def test_places_are_folders_sweeps_globs_and_lists(tmp_path, monkeypatch):
    for name in ("a/0", "a/1", "a/2", "a/10", "b [1]/0"):
        make_run(tmp_path / name, course=[1.0])
    make_run(tmp_path / "compare/0", command="compare", status=None)
    (tmp_path / "a/0/wandb/run/.hydra").mkdir(parents=True)
    (tmp_path / "a/0/wandb/run/.hydra/config.yaml").touch()  # what is inside a run is no run
    (tmp_path / "a/multirun.yaml").touch()
    monkeypatch.chdir(tmp_path)

    def names(*places: str) -> list[str]:
        return [str(run.folder) for run in read_runs(places)]

    assert names("a") == ["a/0", "a/1", "a/2", "a/10"]
    assert names("a/1?") == ["a/10"]
    assert names("a/*") == names("a")  # the sweep's own files aside
    assert names("b [1]") == ["b [1]/0"]
    assert names("a/2", "a", "b*") == ["a/2", "a/0", "a/1", "a/10", "b [1]/0"]
    assert names(".") == ["a/0", "a/1", "a/2", "a/10", "b [1]/0"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("gone", "runs=gone: no such folder"),
        ("x*", r"runs=x\*: no such folder"),
        ("file", "runs=file: a file, not a folder"),
        ("empty", "runs=empty: no runs in there"),
        ("reports", "runs=reports: 1 runs, none of train or extract"),
        ("both", "runs of extract and train have nothing to compare"),
    ],
)
def test_what_holds_no_runs_is_refused(tmp_path, monkeypatch, place, message):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("empty/inner").mkdir(parents=True)
    make_run(Path("reports/0"), command="report", status=None)
    make_run(Path("both/0"), command="extract")
    make_run(Path("both/1"), command="train")
    with pytest.raises(InputError, match=message):
        read_runs([place])
