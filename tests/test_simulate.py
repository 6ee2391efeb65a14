"""The command ``simulate``."""

import subprocess
import sys
import time

import pytest

from calcium_lightning.command import config_keys
from calcium_lightning.io.session import Session
from calcium_lightning.simulation import Scene

PRESETS = sorted(path.stem for path in (config_keys.conf_dir() / "simulation").glob("*.yaml"))
TINY = ("simulation.height_px=40", "simulation.width_px=56", "simulation.seconds=2")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_writes_a_session(run_command, tmp_path, preset):
    outcome = run_command("simulate", "output=s.h5", f"simulation={preset}", *TINY)
    assert outcome.status == 0, outcome.stderr
    assert "cells in the truth" in outcome.stdout
    with Session(tmp_path / "s.h5") as session:
        assert session.shape[1:] == (40, 56)
        assert session.truth.footprints is not None


def test_own_keys_replace_the_preset(run_command, tmp_path):
    overrides = ("fps=10", "pixel_size_um=2", "cell_diameter_um=16", "compression=gzip", "seed=3")
    outcome = run_command("simulate", "output=s.h5", *overrides, *TINY)
    assert outcome.status == 0, outcome.stderr
    with Session(tmp_path / "s.h5") as session:
        assert (session.n_frames, session.fps, session.pixel_size_um) == (20, 10, 2)


def test_paths_may_hold_spaces_commas_and_equals_signs(run_command, tmp_path):
    assert run_command("simulate", 'output="a b, c=d.h5"', *TINY).status == 0
    assert (tmp_path / "a b, c=d.h5").is_file()


def test_a_session_goes_to_a_folder_or_to_where_the_user_stands(run_command, tmp_path):
    (tmp_path / "folder").mkdir()
    assert run_command("simulate", "output=folder", *TINY).status == 0
    assert (tmp_path / "folder" / "session.h5").is_file()
    assert run_command("simulate", "output=folder/new/", *TINY).status == 0
    assert (tmp_path / "folder" / "new" / "session.h5").is_file()
    assert run_command("simulate", *TINY).status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "session.h5"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("simulation.secnds=3", ["simulation.secnds", "simulation.seconds"]),
        ("simulation=miniscope_ca2", ["miniscope_ca2", "miniscope_ca1"]),
        ("simulation.fps=-3", ["simulation.fps=-3", "between"]),
        ("simulation.cell_diameter_px=[12,8]", ["cell_diameter_px", "[low, high]"]),
        ("cell_diameter=900", ["cell_diameter_px"]),
        ("seed=-1", ["seed=-1"]),
        ("compression=zip", ["compression=zip"]),
        ("fps=fast", ["fps"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run_command, tmp_path, override, words):
    outcome = run_command("simulate", "output=s.h5", *TINY, override)
    assert outcome.status == 2
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1, outcome.stderr
    for word in words:
        assert word in lines[0]
    assert not (tmp_path / "s.h5").exists()


def test_both_diameters_and_a_diameter_without_a_scale_are_refused(run_command):
    both = run_command("simulate", "output=s.h5", *TINY, "cell_diameter=12", "cell_diameter_um=20")
    assert both.status == 2
    assert "one of them" in both.stderr
    unknown = run_command("simulate", "output=s.h5", "simulation=dff_5fps", *TINY, "cell_diameter_um=20")
    assert unknown.status == 2
    assert "pixel_size_um" in unknown.stderr


def test_an_existing_output_is_replaced_only_on_request(run_command, tmp_path):
    (tmp_path / "s.h5").write_text("mine")
    assert run_command("simulate", "output=s.h5", *TINY).status == 2
    assert (tmp_path / "s.h5").read_text() == "mine"
    assert run_command("simulate", "output=s.h5", "overwrite=true", *TINY).status == 0
    assert Session(tmp_path / "s.h5").shape == (40, 40, 56)


def test_ctrl_c_ends_with_130_and_leaves_nothing(run_command, tmp_path, monkeypatch):
    def interrupted(self, start=0, stop=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Scene, "frames", interrupted)
    assert run_command("simulate", "output=s.h5", *TINY).status == 130
    assert not list(tmp_path.glob("*.h5"))
    assert not list(tmp_path.glob(".*.h5"))


def test_help_is_quick_and_lists_the_presets(tmp_path):
    begin = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "calcium_lightning.simulate", "--help"],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True,
    )  # fmt: skip
    assert time.monotonic() - begin < 10  # a second on an idle machine
    assert "miniscope_ca1 | miniscope_cortex" in result.stdout
    assert "torch" not in result.stderr


def test_days_of_one_animal_go_into_a_folder(run_command, tmp_path):
    days = ("days=several", "days.count=2", "days.drift_px=3", "days.turnover=0")
    days = (*days, "simulation.density_per_1000_px2=12")
    outcome = run_command("simulate", "output=animal", *days, *TINY)
    assert outcome.status == 0, outcome.stderr
    identities = []
    for number in (1, 2):
        with Session(tmp_path / "animal" / f"day{number}.h5") as session:
            assert session.shape[1:] == (40, 56)
            identities.append(session.truth.identity)
            assert len(identities[-1]) == session.truth.footprints.shape[0]
    assert len(set(identities[0]) & set(identities[1]))
    again = run_command("simulate", "output=animal", *days, *TINY)
    assert (again.status, "day1.h5: exists" in again.stderr) == (2, True)
    for wrong in ("days.count=0", "days.turnover=2", "days.drift_px=-1"):
        outcome = run_command("simulate", "output=other", "days=several", wrong, *TINY)
        assert (outcome.status, wrong.split("=")[0] in outcome.stderr) == (2, True)
    assert not (tmp_path / "other").exists()
