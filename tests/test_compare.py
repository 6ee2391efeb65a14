"""The command: from run folders to a table, a CSV file and a page."""

from __future__ import annotations

import csv
import shlex

import pytest
from helpers.example_runs import HOSTILE, make_run, make_sweep
from helpers.tiny_session import make_session
from test_train import TINY, held_out, sessions


def test_a_sweep_becomes_a_table_a_csv_file_and_a_page(run_command, tmp_path):
    make_sweep(tmp_path / "my sweep", 9)
    outcome = run_command("compare", "runs='my sweep'", "output=out/page.html")
    assert outcome.status == 0, outcome.stderr
    assert "\npage: out/page.html\n" in outcome.stdout
    for part in ("optimizer.lr", "window.blind_spot", "pruned", "failed", "1 is the noise itself"):
        assert part in outcome.stdout
    assert "python -m calcium_lightning.train +experiment=unsupervised optimizer.lr=" in outcome.stdout
    assert "<title>my sweep: comparison</title>" in (tmp_path / "out/page.html").read_text()
    with (tmp_path / "out/page.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 9
    assert rows[-1]["error"] == f"data.crop=7: {HOSTILE}"
    values = [float(row["val/reconstruction"]) for row in rows[:-1]]
    assert values == sorted(values)
    assert rows[0]["seconds"] == "150.0"
    again = run_command("compare", "runs='my sweep'", "output=out/page.html")
    assert (again.status, "overwrite=true" in again.stderr) == (2, True)


def test_globs_and_lists_and_the_default_place(run_command, tmp_path):
    make_sweep(tmp_path / "one", 3)
    make_sweep(tmp_path / "two", 3)
    outcome = run_command(
        "compare", "runs=[one,two/[01]]", "hydra.run.dir=here", "table=t.csv", "metric=val/loss"
    )
    assert outcome.status == 0, outcome.stderr
    assert (tmp_path / "here/comparison.html").is_file()
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert len(lines) == 6
    assert sorted(line.split(",")[0] for line in lines[1:]) == ["one/0", "one/1", "one/2", "two/0", "two/1"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["runs=gone"], "runs=gone: no such folder"),
        (["runs=gone/*"], "runs=gone/*: no such folder"),
        (["runs=empty"], "no runs in there"),
        (["runs=[]"], "no runs"),
        (["runs=mixed"], "runs of extract and train have nothing to compare"),
        (["runs=mixed/0", "metric=val/los"], "no run has it; nearest: val/loss"),
        (["runs=mixed/0", "mode=least"], "mode=least: min or max"),
        (["rums=mixed"], "rums: no such key; nearest: runs"),
    ],
)
def test_bad_input_is_one_clear_line(run_command, tmp_path, overrides, message):
    (tmp_path / "empty").mkdir()
    make_run(tmp_path / "mixed/0", course=[1.0])
    make_run(tmp_path / "mixed/1", command="extract")
    outcome = run_command("compare", *overrides, "output=page.html")
    assert outcome.status == 2
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not list(tmp_path.glob("page.*"))


def test_the_best_of_a_real_sweep_is_repeated_by_its_command(run_command, tmp_path):
    place = sessions(make_session(tmp_path / "it's 1, x=1.h5"))
    given = [*TINY, "trainer.max_epochs=1", place, "optimizer.lr=0.001,0.01", "hydra.sweep.dir=many"]
    assert run_command("train", "-m", *given).status == 0
    outcome = run_command("compare", "runs=many", "output=page.html")
    assert outcome.status == 0, outcome.stderr
    (command,) = (line for line in outcome.stdout.splitlines() if line.startswith("  python -m "))
    with (tmp_path / "page.csv").open(newline="") as stream:
        best, other = csv.DictReader(stream)
    assert {best["optimizer.lr"], other["optimizer.lr"]} == {"0.001", "0.01"}
    assert (best["status"], other["status"]) == ("finished", "finished")
    _, _, module, *overrides = shlex.split(command)
    assert module == "calcium_lightning.train"
    repeated = run_command("train", *overrides, "hydra.run.dir=again")
    assert repeated.status == 0, repeated.stderr
    assert held_out(tmp_path / "again") == [best["val/reconstruction"]]


def test_runs_on_other_data_are_never_called_the_best(run_command, tmp_path):
    make_run(tmp_path / "one/0", ["seed=0"], course=[3.0, 2.0])
    make_run(tmp_path / "one/1", ["seed=1"], course=[3.0, 1.5], data={"b.h5": "ab" * 32})  # the same, moved
    together = run_command("compare", "runs=one", "output=one.html")
    assert "the best, 1, again:" in together.stdout
    assert "different data" not in together.stdout
    make_run(tmp_path / "one/2", ["data.sessions=[c.h5]"], course=[0.5, 0.1], data={"c.h5": "cd" * 32})
    apart = run_command("compare", "runs=one", "output=two.html")
    assert apart.status == 0, apart.stderr
    assert "1 run and 2 runs are on different data" in apart.stdout
    assert "the best" not in apart.stdout.replace("none is called the best", "")
    assert "different data" in (tmp_path / "two.html").read_text()
    assert "The best run" not in (tmp_path / "two.html").read_text()


def test_no_run_is_written_over(run_command, tmp_path):
    run = make_run(tmp_path / "one/0", course=[2.0, 1.0])
    before = (run / "summary.json").read_bytes()
    for target in ("output=one/0/summary.json", "table=one/0/metrics.csv"):
        refused = run_command("compare", "runs=one", target, "overwrite=true")
        assert refused.status == 2
        assert "is an input of this command" in refused.stderr
    assert (run / "summary.json").read_bytes() == before
    assert run_command("compare", "runs=one", "output=one/page.html").status == 0
    assert run_command("compare", "runs=one", "output=one/page.html", "overwrite=true").status == 0
