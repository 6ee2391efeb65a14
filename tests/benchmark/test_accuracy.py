"""The accuracy benchmark: its table of kinds, going on where it ended, peers from files, the table it writes.

Our own commands run, in this process; what they are asked for is small. No minisim, no Suite2p.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.example_cells import make_example, write_truth

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.cells_file import write_cells


@pytest.fixture
def bench(part, monkeypatch, run_command):
    """The command line, with processes that are counted and run here, on a tiny kind of its own."""
    kinds, steps, accuracy = part("kinds"), part("steps"), part("accuracy")
    small = ("simulation.height_px=64", "simulation.width_px=64", "simulation.seconds=6")
    tiny = kinds.Kind("tiny", "our simulator, tiny", kinds.OURS, ("simulation=demo", *small))
    monkeypatch.setitem(kinds.KINDS, "tiny", tiny)

    class Bench:
        def __init__(self) -> None:
            self.ran: list[str] = []
            self.breaks_at: int | None = None
            self.fails = ""

        def __call__(self, *arguments: str) -> bool:
            return accuracy.benchmark(accuracy.parser().parse_args([*arguments, "--kinds", "tiny"]))

        def run(self, command):
            if len(self.ran) == self.breaks_at:
                raise KeyboardInterrupt
            name = command[2].rpartition(".")[2] + ("_bandpass" if "detector=bandpass" in command else "")
            self.ran.append(name)
            if name == self.fails:
                sys.exit("it ended with 1:\nfirst line\nthe reason\n")
            outcome = run_command(name.partition("_")[0], *command[3:])
            assert outcome.status == 0, outcome.stderr
            return steps.Run(seconds=2.0, cpu_seconds=3.0, peak_mb=100.0)

    bench = Bench()
    monkeypatch.setattr(steps, "run", bench.run)
    return bench


def test_broken_off_it_goes_on_and_makes_nothing_twice(bench, tmp_path, capsys):
    bench.breaks_at = 2  # the recording and our cells are made, the baseline's are not
    with pytest.raises(KeyboardInterrupt):
        bench("--output", str(tmp_path), "--seeds", "7")
    assert [path.name for path in (tmp_path / "cells").glob("*.h5")] == ["tiny_7.this_project.h5"]
    bench.breaks_at = None
    left = tmp_path / "cells/.tiny_7.band_pass_baseline.0123abcd.tmp.h5"  # as a kill leaves it
    left.touch()
    assert bench("--output", str(tmp_path), "--seeds", "7")
    assert not left.exists()
    assert bench.ran == ["simulate", "extract", "extract_bandpass"]
    rows = json.loads((tmp_path / "accuracy.json").read_text())["recordings"]
    assert [row["method"] for row in rows] == ["this project", "band-pass baseline"]
    assert all(row["seconds"] == 2 and row["peak_mb"] == 100 for row in rows)
    assert {"f1", "both", "recall_border", "recall_dim", "motion_rmse"} <= set(rows[0]["figures"])
    assert (tmp_path / "pictures/tiny_7.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r"tiny_7 +this project +F1 [01]\.\d{3}.* 2 s, 100 MB", capsys.readouterr().out)
    again = tmp_path / "accuracy.md"
    again.unlink()
    assert bench("--output", str(tmp_path), "--table-only")
    assert len(bench.ran) == 3
    assert "| tiny | band-pass baseline | 1 |" in again.read_text()


def test_a_failure_is_told_and_the_rest_goes_on(bench, tmp_path):
    bench.fails = "extract"
    assert not bench("--output", str(tmp_path), "--seeds", "7")
    text = (tmp_path / "accuracy.md").read_text()
    assert "| tiny | this project | 0 of 1 |  |" in text
    assert "tiny_7, this project: the reason" in text
    assert re.search(r"\| tiny \| band-pass baseline \| 1 \| 0\.", text)


def test_kinds_cover_what_must_hold_without_a_setting(part):
    kinds = part("kinds")
    told = {name: kind.arguments[1:] for name, kind in kinds.KINDS.items() if kind.source == kinds.MINISIM}
    for region in ("ca1", "l23"):
        own = {
            " ".join(arguments)
            for name, arguments in told.items()
            if name.partition("_")[0] == region and name not in kinds.HARD
        }
        assert own == {
            *("", "--fps 10", "--fps 30", "--pixels 128", "--pixels 400"),
            *("--still", "--seconds 20", "--seconds 300"),
        }
    hard = {" ".join(told[name]) for name in kinds.HARD}
    assert hard == {
        *("--density 2.5", "--busy 3 --decay 1.5", "--light 0.2", "--neuropil 3"),
        "--density 2 --light 0.5 --neuropil 1.5 --busy 2",
    }
    names = {kind.name for kind in kinds.choose(None, minisim=False, published=False)}
    assert names == {*kinds.PRESETS}
    chosen = kinds.choose(["l23_1*", "ca1"], minisim=True, published=False)
    assert [kind.name for kind in chosen] == ["ca1", "l23_10fps", "l23_128px"]
    told_to_users = part("accuracy").parser().format_help()
    assert all(f"  {name} " in told_to_users for name in kinds.KINDS)
    with pytest.raises(InputError, match="no such kind; nearest: sim_ca1"):
        kinds.choose(["sim_ca"], False, False)


def test_every_preset_of_the_simulator_is_a_kind(part):
    presets = (Path(__file__).resolve().parents[2] / "conf/simulation").glob("*.yaml")
    assert {preset for preset, _ in part("kinds").PRESETS.values()} == {path.stem for path in presets}


def test_a_recording_of_minisim_needs_it(part, tmp_path):
    kinds = part("kinds")
    recording = kinds.Recording(kinds.KINDS["ca1_still"], "101")
    with pytest.raises(InputError, match="--minisim"):
        recording.command(tmp_path / "a.h5", None)
    command = recording.command(tmp_path / "a.h5", Path("/env/bin/python"))
    assert command[2:] == ["ca1", "101", str(tmp_path / "a.h5"), "--still"]


def test_cells_of_a_peer_come_from_its_files(part, tmp_path):
    kinds, methods, scores = part("kinds"), part("methods"), part("scores")
    folders = scores.Folders(tmp_path / "out")
    folders.recordings.mkdir(parents=True)
    cells, truth = make_example()
    write_truth(folders.session("tiny_7"), cells, truth)
    unknown = replace(cells, accepted=np.ones(len(cells), bool), shifts=np.full_like(cells.shifts, np.nan))
    write_cells(tmp_path / "peer_7.h5", unknown)
    recording = kinds.Recording(kinds.Kind("tiny", "", kinds.OURS), "7")
    peer = methods.peer(f"My Peer={tmp_path}/peer_{{seed}}.h5")
    row = scores.measure(folders, recording, peer)
    assert row["figures"]["f1"] == 1
    assert row["figures"]["motion_rmse"] is None  # not told
    assert row["seconds"] is None
    assert scores.read_all(folders) == [row]
    assert scores.measure(folders, replace(recording, seed="8"), peer) is None  # no file, no row
    changed = replace(unknown, accepted=np.arange(len(cells)) < 6)
    write_cells(tmp_path / "peer_7.h5", changed, overwrite=True)
    assert scores.measure(folders, recording, peer)["figures"]["recall"] == 0.5  # the file is newer


def test_methods_are_chosen_by_title(bench, tmp_path):
    assert bench("--output", str(tmp_path), "--seeds", "7", "--methods", "band*")
    assert "| band-pass baseline |" in (tmp_path / "accuracy.md").read_text()
    assert "| this project |" not in (tmp_path / "accuracy.md").read_text()
    with pytest.raises(InputError, match="no such method; nearest: Suite2p"):
        bench("--output", str(tmp_path), "--methods", "suite2p", "--suite2p", sys.executable)


@pytest.mark.parametrize("given", ["x", "=a_{seed}.h5", "x=a.h5", "x={recording}{other}.h5"])
def test_peers_that_make_no_sense_are_refused(part, given):
    with pytest.raises(InputError, match="--peer"):
        part("methods").peer(given)


def row(kind: str, seed: int | str, method: str, **figures) -> dict:
    cost = {"cpu_seconds": figures.pop("cpu_seconds", None), "peak_mb": figures.pop("peak_mb", None)}
    names = {"recording": f"{kind}_{seed}", "kind": kind, "seed": str(seed), "method": method}
    return {**names, "figures": figures, **cost}


def test_the_table_has_means_and_spreads_of_each_kind_and_method(part):
    summary = part("summary")
    rows = [row("ca1", seed, "Suite2p", f1=0.5, cpu_seconds=30.0) for seed in (1, 2)]
    rows += [row("ca1", seed, "this project", f1=f1, motion_rmse=None) for seed, f1 in ((1, 0.9), (2, 0.8))]
    rows += [{**row("ca1", 3, "Suite2p"), "error": "no cells"}, row("ca1_20s", 1, "Suite2p", f1=0.25)]
    text = summary.report(summary.in_order(reversed(rows)))
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:5] == "| ca1"
    ]
    assert [line[:4] for line in lines] == [
        ["ca1", "this project", "2", "0.850 ± 0.071"],
        ["ca1", "Suite2p", "2 of 3", "0.500 ± 0.000"],
        ["ca1_20s", "Suite2p", "1", "0.250"],
    ]
    header = next(line for line in text.splitlines() if line.startswith("| kind"))
    place = [cell.strip() for cell in header.split("|")[1:-1]].index("CPU s")
    assert [line[place] for line in lines] == ["", "30 ± 0", ""]
    assert "- ca1_3, Suite2p: no cells" in text


def test_published_recordings_have_a_line_each_and_sums_of_parts(part):
    summary = part("summary")
    rows = [
        row("published", name, "this project", mask_kappa=kappa, mask_parts_hit=hit, mask_parts=10)
        for name, kappa, hit in (("7-12-17", 0.3, 4), ("8-3-17", 0.5, 9))
    ]
    text = summary.report(rows)
    assert re.search(r"\| 8-3-17 \| this project \| 1 \|.* 0\.500 \| 9 \| 10 \|", text)
    assert re.search(r"\| all \| this project \| 2 \|.* 0\.400 ± 0\.141 \| 13 \| 20 \|", text)


def test_a_picture_tells_found_missed_and_false(part):
    overlays = part("overlays")
    cells, truth = make_example()
    assert cells.footprints.shape == truth.footprints.shape
    here = replace(cells, accepted=np.arange(len(cells)) < 8)  # four are missed
    moved = here.centers + np.where(np.arange(len(cells)) < 1, 400, 0)[:, None]  # and one is elsewhere
    shown = overlays.outlines(
        row("ca1", 1, "x", f1=0.7, true_cells=12.0), replace(here, centers=moved), truth, np.zeros(2)
    )
    assert {name: len(lines) for name, lines in shown.lines.items()} == {"found": 7, "missed": 5, "false": 1}
    assert "7 found, 5 missed, 1 false" in shown.title
    center = np.mean([line.mean(0) for line in shown.lines["found"]], 0)
    np.testing.assert_allclose(center[::-1], cells.centers[1:8].mean(0), atol=0.5)  # lines are (x, y)
