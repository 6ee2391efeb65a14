"""Every cell of the ablations is what its name says, and trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.tiny_session import make_session
from omegaconf import OmegaConf
from test_train import sessions

from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.comparison.runs import read_runs

FOLDER = conf_dir() / "experiment/ablation"
#: cell -> what it changes of the baseline, and nothing else
CHANGES: dict[str, dict[str, Any]] = {
    "baseline": {},
    "coordinates_off": {"encoder.coordinates": False},
    "window_single": {"window.taps": 1, "window.blind_spot": False},
    "window_short": {"window.seconds": 0.5},
    "window_long": {"window.seconds": 2.0},
    "blind_spot_off": {"window.blind_spot": False},
    "splat_isotropic": {"decoder.shape": "isotropic"},
    "splat_fixed": {"decoder.shape": "fixed"},
    "background_none": {"background._target_": "calcium_lightning.nn.background.NoBackground"},
}
#: cells that start from the weights of the package are an experiment each
PRETRAINED = ("pretrained", "both")


def cells_of_the_sweep() -> list[str]:
    listed = OmegaConf.load(conf_dir() / "sweep/ablations.yaml").hydra.sweeper.params["+experiment"]
    return [name.strip().removeprefix("ablation/") for name in listed.split(",")]


def flat(command: Any, name: str) -> dict[str, Any]:
    outcome = command("train", f"+experiment=ablation/{name}", "data.sessions=[a.h5]", "--cfg", "job")
    assert outcome.status == 0, outcome.stderr

    def leaves(node: Any, prefix: str = "") -> dict[str, Any]:
        if not isinstance(node, dict):
            return {prefix: node}
        return {
            name: leaf
            for key in node
            for name, leaf in leaves(node[key], f"{prefix}.{key}".lstrip(".")).items()
        }

    return leaves(OmegaConf.to_container(OmegaConf.create(outcome.stdout), resolve=False))


def test_the_sweep_has_every_cell_and_every_cell_asks_a_question() -> None:
    assert sorted(cells_of_the_sweep()) == sorted(path.stem for path in FOLDER.glob("*.yaml"))
    assert set(cells_of_the_sweep()) == {*CHANGES, *PRETRAINED}
    for path in (*FOLDER.glob("*.yaml"), *FOLDER.parent.glob("*.yaml")):
        comments = [line for line in path.read_text().splitlines() if line.startswith("# ")]
        assert "?" in " ".join(comments), f"{path.name}: which question does it ask?"


@pytest.fixture(scope="module")
def baseline() -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "baseline"])
def test_a_cell_differs_in_one_thing(run_command, baseline, name) -> None:
    baseline = baseline or flat(run_command, "baseline")
    cell = flat(run_command, name)
    changed = {key: cell.get(key) for key in {*baseline, *cell} if baseline.get(key) != cell.get(key)}
    if name == "background_none":  # whose settings go with it
        changed = {key: value for key, value in changed.items() if value is not None}
    assert changed == CHANGES[name]


def test_every_cell_trains(run_command, tmp_path: Path) -> None:
    """One command runs them all: real, with the networks as they are, two steps each."""
    place = sessions(make_session(tmp_path / "a.h5", frames=90))
    short = (
        "cell_diameter=6", "data.crop=24", "data.block=4", "data.batch_size=4", "data.steps_per_epoch=1",
        "data.validation_steps=1", "trainer.max_epochs=1", "loss.evidence.splats=16", "data.labels=true",
        "callbacks.pictures=null", "callbacks.localizations=null",
    )  # fmt: skip
    outcome = run_command("train", "-m", "sweep=ablations", *short, place, "hydra.sweep.dir=all")
    assert outcome.status == 0, outcome.stderr
    runs = read_runs([tmp_path / "all"])
    assert {run.choices["experiment"].removeprefix("ablation/") for run in runs} == set(cells_of_the_sweep())
    for run in runs:
        assert run.status == "finished"
        assert {"val/reconstruction", "val/f1"} <= set(run.courses)
    compared = run_command("compare", "runs=all", "output=page.html")
    assert compared.status == 0, compared.stderr
    assert compared.stdout.count("│ ablation/") == len(runs)
