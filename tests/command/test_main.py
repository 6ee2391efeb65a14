"""All commands under one name, its help, and its tab completion in a real shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from calcium_lightning.command.completion import complete
from calcium_lightning.command.schemas import SCHEMAS

MODULE = [sys.executable, "-m", "calcium_lightning"]


def call(*arguments: str, cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MODULE, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, **options
    )


def test_without_a_command_all_are_listed_with_what_they_are_for(tmp_path):
    done = call(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name in SCHEMAS:
        assert f"\n  {name} " in done.stdout
    assert "Find the cells of one or many sessions" in done.stdout
    assert call("--help", cwd=tmp_path).stdout == done.stdout


def test_a_command_is_the_same_by_either_name(tmp_path):
    done = call("extract", "session=no where.h5", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: no where.h5: no such file\n")
    assert call("extract", "--help", cwd=tmp_path).stdout.startswith("calcium-lightning extract key=value")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_is_2_and_one_line(tmp_path):
    done = call("extrct", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: extrct: no such command; nearest: extract")


@pytest.mark.parametrize("arguments", [[], ["train", "--help"], ["extract", "session=a.h5", "--cfg", "job"]])
def test_a_closed_pipe_ends_quietly(tmp_path, arguments):
    code = f"import time, runpy, sys; sys.argv = ['x', *{arguments}]; time.sleep(0.5); runpy.run_module('calcium_lightning', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()  # before anything is printed
    assert process.stderr.read() == ""
    assert process.wait(120) in (0, 1)


def test_closed_and_narrow_outputs_are_no_failure(tmp_path):
    closed = f"'{sys.executable}' -m calcium_lightning train --help >&-"
    done = subprocess.run(["bash", "-c", closed], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = call(
        "simulate", "output=ü.h5", "simulation=demo", "simulation.seconds=1", cwd=tmp_path, env=ascii_only
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("\\xfc.h5: ")


def test_help_of_train_lists_experiments_and_ones_own(tmp_path):
    own = tmp_path / "mine/experiment/dim"
    own.mkdir(parents=True)
    (own / "cells.yaml").write_text("# @package _global_\n# Cells that one can hardly see.\nseed: 1\n")
    done = call("train", "--config-dir", "mine", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert any(
        line.split() == ["dim/cells", *["Cells", "that", "one", "can", "hardly", "see."]] for line in lines
    )
    assert any(line.startswith("  ablation/baseline ") for line in lines)
    for wrong in ("+experiment=dim/cell", "+experiment=ablation/baselin"):
        refused = call("train", "--config-dir=mine", wrong, "data.sessions=[a.h5]", cwd=tmp_path)
        assert refused.returncode == 2
        assert f"nearest: {wrong.partition('=')[2]}" in refused.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("calcium-lightning ex", ["export ", "extract "]),
        ("calcium-lightning extract sess", ["session="]),
        ("calcium-lightning extract session=", []),  # the shell's own files
        ("calcium-lightning extract session=a.h5 --mu", ["--multirun "]),
        ("calcium-lightning train trainer=dd", ["ddp", "ddp_cpu"]),
        (
            "calcium-lightning train +experiment=ablation/b",
            ["ablation/background_none", "ablation/baseline", "ablation/blind_spot_off", "ablation/both"],
        ),
        ("calcium-lightning train trainer.max_ep", ["trainer.max_epochs="]),
        ("calcium-lightning train trainer=gpu loss=lab", ["labels"]),
        ("calcium-lightning nothing a", []),
        ("calcium-light", []),
    ],
)
def test_completions(line, expected):
    assert complete(line) == expected


def test_other_commands_groups_are_not_offered():
    offered = complete("calcium-lightning extract ")
    assert {"session=", "localize.", "launcher="} <= set(offered)
    assert not {"encoder=", "+experiment="} & set(offered)
    assert complete("calcium-lightning train trainer=dd", breaks="") == ["trainer=ddp", "trainer=ddp_cpu"]


def test_completion_works_in_bash(tmp_path):
    """As bash does it: the installed function is called, and leaves its answers in COMPREPLY."""
    shim = tmp_path / "bin/calcium-lightning"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m calcium_lightning "$@"\n')
    shim.chmod(0o755)
    script = """
        eval "$(calcium-lightning -sc install=bash)"
        complete -p calcium-lightning
        COMP_LINE="calcium-lightning train trainer=dd" COMP_POINT=34
        _calcium_lightning
        printf '<%s>' "${COMPREPLY[@]}"
        eval "$(calcium-lightning -sc uninstall=bash)"
        complete -p calcium-lightning 2>/dev/null || echo gone
    """
    environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert "-F _calcium_lightning calcium-lightning" in done.stdout
    assert "<ddp><ddp_cpu>" in done.stdout
    assert done.stdout.endswith("gone\n")
    refused = call("-sc", "install=fish", cwd=tmp_path)
    assert (refused.returncode, "for bash or zsh" in refused.stderr) == (2, True)
