"""The W&B workspace: printed, and saved on a server that speaks W&B's protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import wandb
from helpers.wandb_server import wandb_server

SECTION = "_target_:wandb_workspaces.workspaces.Section,name:mine"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch, tmp_path) -> Iterator[None]:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    wandb.teardown()
    yield
    wandb.teardown()


def panels(spec: dict, section: str) -> list[dict]:
    sections = spec["section"]["panelBankConfig"]["sections"]
    return next(item["panels"] for item in sections if item["name"].startswith(section))


def test_a_dry_run_prints_the_workspace(run_command):
    outcome = run_command(
        "dashboard", "dry_run=true", "parameters=[optimizer.lr,choices.encoder]", "group=multirun/x 1"
    )
    assert outcome.status == 0, outcome.stderr
    spec = json.loads(outcome.stdout)["spec"]
    curves = panels(spec, "Held-out frames")
    assert curves[0]["config"] | {"chartTitle": ""} == {
        "chartTitle": "",
        "xAxis": "trainer/global_step",
        "metrics": ["val/reconstruction"],
    }
    assert {"val/f1"} <= {name for panel in panels(spec, "Detection") for name in panel["config"]["metrics"]}
    sweep = panels(spec, "Sweep")[0]
    assert sweep["viewType"] == "Parallel Coordinates Plot"
    assert [column["accessor"] for column in sweep["config"]["columns"]] == [
        "config:optimizer.value.lr",
        "config:choices.value.encoder",
        "summary:val/f1.max",
        "summary:val/reconstruction.min",
    ]
    assert panels(spec, "Latest pictures")[0]["config"]["mediaKeys"] == ["pictures"]
    (runs,) = spec["section"]["runSets"]
    assert runs["filters"]["filters"][0]["value"] == "multirun/x 1"


def test_it_is_saved(run_command, monkeypatch):
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        outcome = run_command("dashboard", "project=mine", "entity=team", "name=Ablations")
    assert outcome.status == 0, outcome.stderr
    (view,) = server.views
    assert (view["entityName"], view["projectName"], view["displayName"]) == ("team", "mine", "Ablations")
    assert outcome.stdout.startswith(f"workspace: {server.url}/team/mine?nw=")


def test_a_report_to_fill_in_is_a_draft_with_the_same_panels(run_command, monkeypatch):
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        outcome = run_command("dashboard", "report=Two encoders", "entity=me", "group=multirun/x")
    assert outcome.status == 0, outcome.stderr
    (view,) = server.views
    assert (view["type"], view["displayName"]) == ("runs/draft", "Two encoders")
    blocks = json.loads(view["spec"])["blocks"]
    titles = [part["text"] for block in blocks if block["type"] == "heading" for part in block["children"]]
    assert titles[0] == "What was asked"
    assert {"Held-out frames", "Sweep", "What came out", "What follows"} <= set(titles)
    assert "multirun/x" in view["spec"]
    assert "val/reconstruction" in view["spec"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "no W&B API key"),
        (["url='https://wandb.ai/a/b?nw=c'"], "overwrite=true replaces this view"),
        (["dryrun=true"], "nearest: dry_run"),
        (["dry_run=true", f"sections=[{{{SECTION},panles:[]}}]"], "nearest: panels"),
        (["dry_run=true", f"sections=[{{{SECTION},is_open:maybe}}]"], "is_open"),
    ],
)
def test_bad_input_is_one_clear_line(run_command, overrides, message):
    outcome = run_command("dashboard", *overrides)
    assert outcome.status == 2, outcome.stderr
    (line,) = outcome.stderr.splitlines()
    assert message in line
