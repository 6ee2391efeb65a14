"""Which settings differ, which run is the best, and how to repeat it."""

from __future__ import annotations

import math
import shlex

import pytest
from helpers.example_runs import HOSTILE, make_run
from hydra.core.override_parser.overrides_parser import OverridesParser

from calcium_lightning.comparison.compare import command_of, compare_runs
from calcium_lightning.comparison.runs import Run, read_run, read_runs
from calcium_lightning.core.errors import InputError

QUOTED = '"' + HOSTILE.replace('"', r"\"") + '"'


def runs_of(folder, *overrides: list[str], courses=None) -> list[Run]:
    for number, given in enumerate(overrides):
        make_run(folder / str(number), given, [2.0 - number] if courses is None else courses[number])
    return read_runs([folder])


def test_only_settings_that_differ_are_parameters(tmp_path):
    runs = runs_of(
        tmp_path,
        ["seed=0", "+experiment=adapt", "window.taps=5", "logger=csv"],
        ["seed=1", "encoder=u_shape_tiny", "window.taps=5", "logger=wandb", "overwrite=true"],
    )
    comparison = compare_runs(runs)
    found = {item.name: item.values for item in comparison.parameters}
    # The best first; what wasn't typed has its default, where the config tells it.
    assert found == {"seed": (1, 0), "encoder": ("u_shape_tiny", "u_shape"), "experiment": (None, "adapt")}


def test_defaults_and_typed_values_are_the_same_setting(tmp_path):
    comparison = compare_runs(runs_of(tmp_path, ["optimizer.lr=0.002"], [], ["optimizer.lr=2e-3"]))
    assert comparison.parameters == []


def test_config_files_that_have_changed_are_told(tmp_path):
    make_run(tmp_path / "0", ["seed=1"], [1.0])
    make_run(tmp_path / "1", ["seed=2"], [1.1], settings={"optimizer": {"lr": 0.1}})
    comparison = compare_runs(read_runs([tmp_path]))
    assert [item.name for item in comparison.parameters] == ["seed"]
    assert [(item.name, item.values) for item in comparison.others] == [("optimizer.lr", (0.002, 0.1))]


def test_without_overrides_the_config_tells(tmp_path):
    make_run(tmp_path / "0", [], [1.0])
    make_run(tmp_path / "1", [], [1.1], settings={"optimizer": {"lr": 0.1}})
    comparison = compare_runs(read_runs([tmp_path]))
    assert [item.name for item in comparison.parameters] == ["optimizer.lr"]
    assert comparison.others == []


def test_the_best_is_first_and_finished(tmp_path):
    make_run(tmp_path / "0", course=[1.4, 1.2, 1.9])
    make_run(tmp_path / "1", course=[0.5], status="pruned")
    make_run(tmp_path / "2", status="failed")
    make_run(tmp_path / "3", course=[1.3, math.nan])
    comparison = compare_runs(read_runs([tmp_path]))
    assert comparison.names == ["1", "0", "3", "2"]
    assert comparison.values[:3] == [0.5, 1.2, 1.3]
    assert math.isnan(comparison.values[3])
    assert comparison.best == 1
    most = compare_runs(read_runs([tmp_path]), mode="max")
    assert [most.names[0], most.values[0]] == ["0", 1.9]


def test_other_results_are_of_the_same_epoch(tmp_path):
    comparison = compare_runs([read_run(make_run(tmp_path / "0", course=[3.0, 1.0, 2.0]))])
    assert comparison.results[0]["val/loss"] == pytest.approx(0.1)
    assert comparison.metrics[0] == "val/reconstruction"


def test_metrics_are_chosen_by_what_the_runs_have(tmp_path):
    runs = runs_of(tmp_path, ["seed=0"], ["seed=1"])
    assert compare_runs(runs, "val/loss").metric.mode == "min"
    assert compare_runs(runs, "lr-AdamW", "max").metric.mode == "max"
    with pytest.raises(InputError, match="metric=val/los: no run has it; nearest: val/loss"):
        compare_runs(runs, "val/los")
    with pytest.raises(InputError, match="lr-AdamW: is less better, or more"):
        compare_runs(runs, "lr-AdamW")
    with pytest.raises(InputError, match="mode=least: min or max"):
        compare_runs(runs, mode="least")


def test_experiments_of_different_monitors_are_compared_by_what_they_share(tmp_path):
    labelled = {"callbacks": {"best": {"monitor": "val/f1", "mode": "max"}}}
    for number in range(3):
        make_run(
            tmp_path / str(number), [f"seed={number}"], [1.0 + number], settings=labelled if number else None
        )
    comparison = compare_runs(read_runs([tmp_path]))
    assert comparison.metric.name == "val/reconstruction"


def test_runs_without_results_can_be_compared(tmp_path):
    make_run(tmp_path / "0", ["seed=1"], status="running")
    make_run(tmp_path / "1", ["seed=2"], status="failed")
    comparison = compare_runs(read_runs([tmp_path]))
    assert (comparison.metric, comparison.best, comparison.metrics) == (None, None, [])
    assert len(comparison.parameters) == 1


def test_names_tell_sweeps_apart(tmp_path):
    for name in ("one/0", "two/0", "two/1"):
        make_run(tmp_path / name, course=[1.0])
    assert sorted(compare_runs(read_runs([tmp_path])).names) == ["one/0", "two/0", "two/1"]
    assert compare_runs(read_runs([tmp_path / "one"])).names == ["0"]


def test_the_command_repeats_the_run_and_nothing_else(tmp_path):
    overrides = [
        "sweep=ablations", "hydra/launcher=joblib", "+callbacks.prune.trial=7", "+experiment=adapt",
        """data.sessions=["it's, a=1 $HOME `x`.h5"]""", "weights=" + QUOTED, "~callbacks.pictures", "sweeper=mine",
    ]  # fmt: skip
    words = shlex.split(command_of(read_run(make_run(tmp_path / "0", overrides, [1.0]))))
    assert words == ["python", "-m", "calcium_lightning.train", *overrides[3:], "fresh=true"]
    parsed = OverridesParser.create().parse_overrides(words[3:])
    assert parsed[1].value() == ["it's, a=1 $HOME `x`.h5"]
    assert parsed[2].value() == HOSTILE


def test_the_command_names_the_users_own_config(tmp_path):
    from omegaconf import OmegaConf

    folder = make_run(tmp_path / "0", ["+experiment=mine"], [1.0])
    hydra = OmegaConf.load(folder / ".hydra/hydra.yaml")
    hydra.hydra.runtime.config_sources = [
        {"path": "/somewhere/my conf", "schema": "file", "provider": "command-line"},
        {"path": "/package/conf", "schema": "file", "provider": "main"},
    ]
    OmegaConf.save(hydra, folder / ".hydra/hydra.yaml")
    mine = ["--config-dir", "/somewhere/my conf"]
    assert shlex.split(command_of(read_run(folder)))[3:] == [*mine, "+experiment=mine", "fresh=true"]
    hydra.hydra.job.config_name = "best"
    OmegaConf.save(hydra, folder / ".hydra/hydra.yaml")
    mine += ["--config-name", "best"]
    assert shlex.split(command_of(read_run(folder)))[3:] == [*mine, "+experiment=mine", "fresh=true"]
