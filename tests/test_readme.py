"""What the README says works: its commands compose, its Python runs, its links and targets exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from helpers.example_cells import make_example
from hydra.core.override_parser.types import Override

from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.simulation import SceneSession, SceneSettings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PREFIX = "python -m calcium_lightning."


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def examples() -> list[str]:
    return [line for block in blocks("bash") for line in block.splitlines() if line.startswith(PREFIX)]


def test_there_are_examples_of_the_tour() -> None:
    names = [line.removeprefix(PREFIX).split()[0] for line in examples()]
    assert {"ingest", "extract", "report", "export", "train"} <= set(names)


def first_value(item: Override) -> str:
    """What is typed, or the first of the values that are swept."""
    if item.is_interval_sweep():
        return str(item.value().start)
    return (
        next(iter(item.sweep_string_iterator()))
        if item.is_sweep_override()
        else item.input_line.partition("=")[2]
    )


@pytest.mark.parametrize("line", examples())
def test_commands_compose(line: str) -> None:
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from calcium_lightning.sweeps.plugins import register

    register()
    name, *words = shlex.split(line.removeprefix(PREFIX))
    parsed = OverridesParser.create().parse_overrides([word for word in words if word != "-m"])
    sweeps = any(item.is_sweep_override() or item.key_or_group == "sweep" for item in parsed)
    assert sweeps == ("-m" in words)
    first = [f"{item.input_line.split('=')[0]}={first_value(item)}" for item in parsed]
    for command, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{command}_schema", node=schema)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose(name, first)
    for word in ("day 1, mouse=7.h5", "day 1.h5"):  # quoted paths arrive as they are
        if word in line:
            assert word in (cfg.get("session"), *(cfg.get("data", {}).get("sessions") or ()))


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    cells, _ = make_example()
    write_cells(tmp_path / "cells.h5", cells)
    scene = SceneSettings(height_px=60, width_px=84, seconds=8, cell_diameter_px=(9.0, 11.0), brightness=0.6)
    np.save(tmp_path / "frames.npy", SceneSession(scene, seed=4).frames())
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    for block in blocks("python"):
        names: dict = {}
        exec(compile(block, "README.md", "exec"), names)
        if "frames" in names:
            assert names["cells"].accepted.any()
            assert (tmp_path / "from_python.nwb").is_file()
        elif "traces" in names:
            assert names["traces"].shape == (int(cells.accepted.sum()), cells.n_frames)
        else:
            assert names["picture"].max() == 1
    printed = capsys.readouterr().out
    assert "of 12 cells accepted, 300 frames at 20 Hz" in printed
    assert "localisations, the first at y" in printed


def test_the_table_has_every_command() -> None:
    table = re.findall(rf"^\| `{re.escape(PREFIX)}(\w+)", README, re.MULTILINE)
    assert sorted(table) == sorted(SCHEMAS)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", text.lower()).strip().replace(" ", "-")
        for text in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert (ROOT / target).exists(), target
