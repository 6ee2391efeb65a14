"""The command: agrees with the benchmark's referee, handles every kind of truth, refuses what doesn't fit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.example_cells import make_example, take, write_truth

from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.session import Truth
from calcium_lightning.io.session_writer import SessionWriter

REFEREE = Path(__file__).resolve().parents[2] / "shared" / "tools" / "referee.py"


@pytest.fixture
def files(tmp_path):
    """A cells file with errors in it, and the session with its truth."""
    cells, truth = make_example(count=20)
    rng = np.random.default_rng(3)
    found = take(cells, np.concatenate([np.arange(15), [0, 1]]))  # five missed, two reported twice
    noise = rng.normal(0, 1, (17, 2)) + np.array([5, -7])
    noisy = found.denoised + rng.uniform(0, 12, (17, 1)) * rng.normal(size=found.denoised.shape)
    noisy[3] = 0
    shifts = cells.shifts + rng.normal(0, (0.2, 0.1), cells.shifts.shape) + (5, -7)
    found = replace(found, centers=found.centers + noise, denoised=noisy, shifts=shifts)
    write_cells(tmp_path / "cells.h5", found)
    write_truth(tmp_path / "truth.h5", cells, truth)
    return tmp_path


def make_mask(path: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    np.save(path, (rng.random((100, 140)) < 0.45).astype(np.uint8))
    return path


def figures(folder: Path, name: str = "m.json") -> dict:
    return json.loads((folder / name).read_text())


def referee(*arguments) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, str(REFEREE), *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return {
        key.strip(): float(value)
        for key, value in re.findall(r"([A-Za-z][A-Za-z1 ]*?) (-?[\d.]+|nan)", run.stdout.replace(" px", ""))
    }


needs_referee = pytest.mark.skipif(
    not REFEREE.is_file(), reason=f"the benchmark's referee is not here ({REFEREE})"
)


@needs_referee
@pytest.mark.parametrize("everything", [False, True])
def test_agrees_with_the_referee_on_simulated_truth(files, run_command, everything):
    result = run_command("evaluate", "cells=cells.h5", "truth=truth.h5", "output=m.json", f"all={everything}")
    assert result.status == 0, result.stderr
    ours, theirs = figures(files)["together"], referee("cells.h5", "truth.h5", *["--all"] * everything)
    names = {"precision": "precision", "recall": "recall", "F1": "f1", "centre error": "center_error", "r": "correlation",
             "both": "both", "cells": "cells"}  # fmt: skip
    assert {name: round(ours[key], 3) for name, key in names.items()} == pytest.approx(
        {name: theirs[name] for name in names}, abs=5e-4
    )
    assert 0 < ours["both"] < ours["f1"] < 1  # the example is neither trivial nor hopeless


@needs_referee
@pytest.mark.parametrize("unknown", [False, True])
def test_agrees_with_the_referee_on_masks(files, run_command, unknown):
    mask, left_out = make_mask(files / "mask.npy"), make_mask(files / "unknown.npy", 1)
    ours_more, theirs_more = ([f"unknown={left_out}"], ["--unknown", left_out]) if unknown else ([], [])
    result = run_command("evaluate", "cells=cells.h5", f"truth={mask}", "output=m.json", *ours_more)
    assert result.status == 0, result.stderr
    ours, theirs = figures(files)["together"], referee("cells.h5", "--mask", mask, *theirs_more)
    names = {
        "cells": "cells",
        "precision": "precision",
        "chance": "chance",
        "kappa": "kappa",
        "parts hit": "parts_hit",
    }
    for name, key in names.items():
        assert ours[f"mask_{key}"] == pytest.approx(theirs[name], abs=5.1e-4)


def test_recall_by_place_and_motion(files, run_command):
    result = run_command("evaluate", "cells=cells.h5", "truth=truth.h5", "output=m.json", "all=true")
    ours = figures(files)["together"]
    assert {"recall_inner", "recall_border", "recall_dim", "recall_bright"} <= set(ours)
    assert ours["motion_rmse_y"] == pytest.approx(0.2, rel=0.2)
    assert ours["motion_rmse_x"] == pytest.approx(0.1, rel=0.2)
    assert figures(files)["recordings"][0]["figures"]["offset_y"] == pytest.approx(-5, abs=0.7)
    assert "motion y px" in result.stdout


def test_a_session_with_only_a_mask(files, run_command):
    mask = np.load(make_mask(files / "mask.npy"))
    with SessionWriter(files / "annotated.h5", 60, 84, "uint8", 5.0) as writer:
        writer.append(np.zeros((300, 60, 84), np.uint8))
        writer.set_truth(Truth(mask=mask))
    run_command("evaluate", "cells=cells.h5", "truth=mask.npy", "output=a.json")
    result = run_command("evaluate", "cells=cells.h5", "truth=annotated.h5", "output=b.json")
    assert "kappa" in result.stdout
    assert "F1" not in result.stdout
    assert figures(files, "a.json")["together"] == figures(files, "b.json")["together"]


def test_a_mask_as_a_picture(files, run_command):
    from skimage.io import imsave

    mask = np.load(make_mask(files / "mask.npy"))
    imsave(files / "mask.png", mask * 255, check_contrast=False)
    run_command("evaluate", "cells=cells.h5", "truth=mask.npy", "output=a.json")
    result = run_command("evaluate", "cells=cells.h5", "truth=mask.png", "output=b.json")
    assert result.status == 0, result.stderr
    assert figures(files, "a.json")["together"] == figures(files, "b.json")["together"]


def test_several_pairs_are_pooled(files, run_command):
    cells, _ = make_example(count=20)
    write_cells(files / "perfect.h5", replace(cells, accepted=np.ones(20, bool)))
    result = run_command(
        "evaluate", "cells=[cells.h5,perfect.h5]", "truth=[truth.h5,truth.h5]", "output=m.json", "all=true"
    )
    assert result.status == 0, result.stderr
    report = figures(files)
    first, second = (item["figures"] for item in report["recordings"])
    assert second["f1"] == second["both"] == 1
    assert second["center_error"] == pytest.approx(0, abs=1e-4)
    assert report["together"]["recall"] == pytest.approx((first["recall"] + 1) / 2)
    assert "together" in result.stdout
    one_truth = run_command("evaluate", "cells=[cells.h5,perfect.h5]", "truth=truth.h5")
    assert one_truth.status == 0


def test_a_broken_file_stops_no_other(files, run_command):
    (files / "broken.h5").write_bytes((files / "cells.h5").read_bytes()[:3000])
    result = run_command(
        "evaluate", "cells=[broken.h5,cells.h5,gone.h5]", "truth=truth.h5", "output=m.json", "all=true"
    )
    assert result.status == 2
    lines = result.stderr.splitlines()
    assert [line.startswith("error: ") for line in lines] == [True] * 3
    assert lines[-1] == "error: 2 of 3 cells files failed: broken, gone"
    report = figures(files)
    alone = run_command("evaluate", "cells=cells.h5", "truth=truth.h5", "output=one.json", "all=true")
    assert alone.status == 0
    assert report["together"] == figures(files, "one.json")["together"]
    assert sorted(report["failed"]) == ["broken.h5", "gone.h5"]
    nothing = run_command("evaluate", "cells=[broken.h5,gone.h5]", "truth=truth.h5", "output=n.json")
    assert nothing.status == 2
    assert not (files / "n.json").exists()


def test_no_cells_is_an_answer(files, run_command):
    cells, _ = make_example(count=20)
    write_cells(files / "none.h5", take(cells, np.zeros(0, int)))
    result = run_command("evaluate", "cells=none.h5", "truth=truth.h5", "output=m.json")
    assert result.status == 0, result.stderr
    assert figures(files)["together"]["recall"] == 0
    assert figures(files)["together"]["center_error"] is None  # JSON knows no NaN
    make_mask(files / "mask.npy")
    assert run_command("evaluate", "cells=none.h5", "truth=mask.npy").status == 0


def spoil(files, case):
    """Make the files of a bad call; returns the overrides and what the message must name."""
    if case == "missing":
        return ["cells=gone.h5", "truth=truth.h5"], "gone.h5"
    if case == "a session in place of cells":
        return ["cells=truth.h5", "truth=truth.h5"], "calcium-lightning-session"
    if case == "newer version":
        with h5py.File(files / "cells.h5", "a") as file:
            file.attrs["version"] = 99
        return ["cells=cells.h5", "truth=truth.h5"], "version 99"
    if case == "session without truth":
        with SessionWriter(files / "bare.h5", 60, 84, "uint8", 5.0) as writer:
            writer.append(np.zeros((2, 60, 84), np.uint8))
        return ["cells=cells.h5", "truth=bare.h5"], "without /truth"
    if case == "another field":
        other, its_truth = make_example(height=70, count=4)
        write_truth(files / "other.h5", other, its_truth)
        return ["cells=cells.h5", "truth=other.h5"], "don't fit"
    if case == "another length":
        other, its_truth = make_example(length=200, count=20)
        write_truth(files / "other.h5", other, its_truth)
        return ["cells=cells.h5", "truth=other.h5"], "200 frames"
    if case == "mask that fits nothing":
        np.save(files / "mask.npy", np.eye(50, 200))
        return ["cells=cells.h5", "truth=mask.npy"], "doesn't fit a field"
    if case == "mask of nothing":
        np.save(files / "mask.npy", np.zeros((60, 84)))
        return ["cells=cells.h5", "truth=mask.npy"], "marks nothing"
    if case == "not an array":
        (files / "mask.npy").write_text("no")
        return ["cells=cells.h5", "truth=mask.npy"], "not a NumPy array"
    if case == "three dimensions":
        np.save(files / "mask.npy", np.zeros((3, 60, 84)))
        return ["cells=cells.h5", "truth=mask.npy"], "two dimensions"
    if case == "unknown without mask":
        make_mask(files / "mask.npy")
        return ["cells=cells.h5", "truth=truth.h5", "unknown=mask.npy"], "no mask"
    if case == "numbers of files":
        return ["cells=[cells.h5,cells.h5,cells.h5]", "truth=[truth.h5,truth.h5]"], "2 files for 3"
    if case == "output exists":
        (files / "m.json").write_text("mine")
        return ["cells=cells.h5", "truth=truth.h5", "output=m.json"], "overwrite=true"
    if case == "unknown key":
        return ["cells=cells.h5", "truth=truth.h5", "radios=3"], "radius"
    if case == "radius":
        return ["cells=cells.h5", "truth=truth.h5", "radius=0"], "radius=0"
    raise AssertionError(case)


@pytest.mark.parametrize(
    "case",
    [
        "missing", "a session in place of cells", "newer version", "session without truth", "another field",
        "another length", "mask that fits nothing", "mask of nothing", "not an array", "three dimensions",
        "unknown without mask", "numbers of files", "output exists", "unknown key", "radius",
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(files, run_command, case):
    overrides, expected = spoil(files, case)
    if not any(item.startswith("output=") for item in overrides):
        overrides = [*overrides, "output=new.json"]
    result = run_command("evaluate", *overrides)
    assert result.status == 2, result.stderr
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (files / "new.json").exists()
    if case == "output exists":
        assert (files / "m.json").read_text() == "mine"
        assert run_command("evaluate", *overrides, "overwrite=true").status == 0
