"""``extract`` as the user types it."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import yaml
from helpers.tiny_network import make_network

from calcium_lightning import __version__
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.nn.checkpoint import save_network
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.simulation import Scene, SceneSettings, write_session

BANDPASS = ("detector=bandpass", "cell_diameter=10")


def simulate(path: Path, seconds: float = 12, seed: int = 1, **options) -> Path:
    settings = SceneSettings(
        height_px=60, width_px=80, seconds=seconds, fps=20, cell_diameter_px=(9.0, 11.0), brightness=0.5
    )
    scene = Scene(settings, seed)
    with SessionWriter(path, 60, 80, "uint8", 20.0, motion_corrected=False, **options) as writer:
        writer.append(scene.frames())
        writer.set_shifts(scene.truth.shifts)
        writer.set_truth(scene.truth)
    return path


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return simulate(tmp_path_factory.mktemp("sessions") / "my session, no=1.h5", pixel_size_um=2.0)


def quoted(*paths: Path) -> str:
    texts = ",".join(f'"{path}"' for path in paths)
    return f"session=[{texts}]" if len(paths) > 1 else f"session={texts}"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in ("outputs", "multirun"))


def test_every_dataset_of_the_contract_is_written_with_real_values(run_command, session, tmp_path):
    outcome = run_command("extract", quoted(session), 'output="out, 1/cells=1.h5"', *BANDPASS)
    assert outcome.status == 0, outcome.stderr
    assert "cells accepted of" in outcome.stdout
    assert outcome.stderr == ""
    path = tmp_path / "out, 1" / "cells=1.h5"
    with h5py.File(path) as file:
        count, length = file["traces"].shape
        spots = len(file["localizations/frame"])
        assert count > 3
        assert length == 240
        assert spots > 50
        real = np.dtype("float32")
        shapes = {
            **{name: ((count, length), real) for name in ("traces", "denoised", "spikes")},
            **{name: ((count, 2), real) for name in ("centers", "center_std")},
            **{f"quality/{name}": ((count,), real) for name in ("snr", "score")},
            **{
                f"localizations/{name}": ((spots,), real)
                for name in ("y", "x", "amplitude", "y_std", "x_std")
            },
            **{f"localizations/{name}": ((spots,), np.dtype("int32")) for name in ("frame", "cell")},
            **{f"images/{name}": ((60, 80), real) for name in ("mean", "max")},
            "accepted": ((count,), np.dtype(bool)),
            "baseline": ((count,), real),
            "shifts": ((length, 2), real),
            "timestamps": ((length,), np.dtype("float64")),
        }
        assert {name: (file[name].shape, file[name].dtype) for name in shapes} == shapes
        for name in shapes:
            assert np.isfinite(file[name][...]).all(), name
            assert np.ptp(file[name][...].astype(float)) > 0 or name == "accepted", name
        assert file["footprints"].attrs["shape"].tolist() == [count, 60, 80]
        assert len(file["footprints/indptr"]) == count + 1
        attributes = dict(file.attrs)
    assert attributes["format"] == "calcium-lightning-cells"
    assert (attributes["fps"], attributes["kind"], attributes["pixel_size_um"]) == (20.0, "raw", 2.0)
    assert attributes["session"] == str(session)
    assert len(attributes["session_sha256"]) == 64
    config = yaml.safe_load(attributes["config"])
    assert (config["cell_diameter"], config["session"]) == (10, str(session))
    assert config["detector"]["_target_"].endswith(".BandpassDetector")
    assert config["localize"]["gather"]["separation"] == 1.4
    assert left_in(tmp_path) == ["out, 1"]


def test_the_same_call_gives_the_same_cells(run_command, session, tmp_path):
    for name in ("a", "b"):
        assert run_command("extract", quoted(session), f"output={name}.h5", *BANDPASS).status == 0
    with h5py.File(tmp_path / "a.h5") as one, h5py.File(tmp_path / "b.h5") as two:
        for name in ("centers", "traces", "localizations/x", "quality/score"):
            np.testing.assert_array_equal(one[name], two[name])


def test_several_sessions_go_to_a_folder_and_none_named_to_the_runs(run_command, session, tmp_path):
    other = simulate(tmp_path / "other.h5", seconds=4, seed=2)
    outcome = run_command("extract", quoted(session, other), "output=all of them", *BANDPASS)
    assert outcome.status == 0, outcome.stderr
    assert left_in(tmp_path / "all of them") == ["my session, no=1.cells.h5", "other.cells.h5"]
    assert read_cells(tmp_path / "all of them" / "other.cells.h5").n_frames == 80
    outcome = run_command("extract", quoted(other), *BANDPASS, "hydra.run.dir=run")
    assert outcome.status == 0
    assert (tmp_path / "run" / "other.cells.h5").is_file()


def test_a_sweep_keeps_its_jobs_apart(run_command, tmp_path):
    simulate(tmp_path / "a.h5", seconds=4)
    outcome = run_command("extract", "session=a.h5", *BANDPASS, "seed=1,2", "-m", "hydra.sweep.dir=sweep")
    assert outcome.status == 0, outcome.stderr
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("sweep/*/*.h5")) == [
        "sweep/0/a.cells.h5",
        "sweep/1/a.cells.h5",
    ]


def test_frame_rate_and_scale_can_be_told(run_command, session, tmp_path):
    outcome = run_command(
        "extract",
        quoted(session),
        "output=c.h5",
        "detector=bandpass",
        "cell_diameter_um=30",
        "pixel_size_um=3",
        "fps=10",
    )
    assert outcome.status == 0, outcome.stderr
    assert "cell diameter 10.0 px" in outcome.stdout
    cells = read_cells(tmp_path / "c.h5")
    assert (cells.fps, cells.pixel_size_um) == (10.0, 3.0)
    np.testing.assert_allclose(np.diff(cells.timestamps), 0.1)


def test_an_existing_output_is_replaced_only_on_request(run_command, session, tmp_path):
    (tmp_path / "c.h5").write_text("precious")
    outcome = run_command("extract", quoted(session), "output=c.h5", *BANDPASS)
    assert (outcome.status, outcome.stderr) == (2, "error: c.h5: exists; overwrite=true replaces it\n")
    assert (tmp_path / "c.h5").read_text() == "precious"
    assert run_command("extract", quoted(session), "output=c.h5", *BANDPASS, "overwrite=true").status == 0
    assert len(read_cells(tmp_path / "c.h5")) > 0


def test_a_run_that_was_broken_off_goes_on_with_the_rest(run_command, session, tmp_path):
    other = simulate(tmp_path / "b.h5", seed=2)
    assert run_command("extract", quoted(other), "output=cells/", *BANDPASS).status == 0
    first = tmp_path / "cells/b.h5"
    before = first.stat().st_mtime_ns
    swept = ["-m", f'session="{session}","{other}"', "output=cells/", *BANDPASS]
    outcome = run_command("extract", *swept)
    assert outcome.status == 0, outcome.stderr
    assert first.stat().st_mtime_ns == before
    assert f"{Path('cells/b.h5')}: there already" in outcome.stdout
    assert len(read_cells(tmp_path / "cells" / f"{session.stem}.h5")) > 0
    # Other settings, or another recording of the same name, make other cells.
    for change in ("localize.rounds=1", "seed=3"):
        refused = run_command("extract", quoted(other), "output=cells/", *BANDPASS, change)
        assert (refused.status, refused.stderr.count("exists; overwrite=true replaces it")) == (2, 1)
    with h5py.File(first, "r+") as file:
        config, file.attrs["config"] = file.attrs["config"], "a: [b"  # a stranger's, and no YAML
    refused = run_command("extract", quoted(other), "output=cells/", *BANDPASS)
    assert (refused.status, "exists; overwrite=true" in refused.stderr) == (2, True)
    with h5py.File(first, "r+") as file:
        file.attrs["config"] = config
    with h5py.File(first, "r+") as file:  # as other code made them, in a checkout of the same version
        made_by, file.attrs["package_version"] = file.attrs["package_version"], f"{__version__}+0123456789ab"
    assert run_command("extract", quoted(other), "output=cells/", *BANDPASS).status == 2
    with h5py.File(first, "r+") as file:
        file.attrs["package_version"] = made_by
    assert run_command("extract", quoted(other), "output=cells/", *BANDPASS).status == 0
    simulate(other.with_name("new.h5"), seed=3).replace(other)
    assert run_command("extract", quoted(other), "output=cells/", *BANDPASS).status == 2
    assert run_command("extract", quoted(other), "output=cells/", *BANDPASS, "overwrite=true").status == 0
    assert first.stat().st_mtime_ns > before


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_constant_frames_hold_no_cells_and_that_is_a_result(run_command, tmp_path, dtype):
    with SessionWriter(tmp_path / "a.h5", 60, 80, dtype, 20.0) as writer:
        writer.append(np.full((80, 60, 80), 9, dtype))
    for diameter in ("10", "null"):
        outcome = run_command(
            "extract",
            "session=a.h5",
            "output=c.h5",
            "detector=bandpass",
            f"cell_diameter={diameter}",
            "overwrite=true",
        )
        assert outcome.status == 0, outcome.stderr
        assert "0 cells accepted of 0 found" in outcome.stdout
        cells = read_cells(tmp_path / "c.h5")
        assert (len(cells), cells.n_frames, len(cells.localizations)) == (0, 80, 0)
        assert (cells.mean_image == 9).all()


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory) -> Path:
    """A folder with a good session and some bad ones."""
    folder = tmp_path_factory.mktemp("bad")
    simulate(folder / "a.h5", seconds=2)
    for name, length in (("short", 5), ("one", 1), ("nan", 60)):
        with SessionWriter(folder / f"{name}.h5", 60, 80, "float32", 20.0) as writer:
            writer.append(np.random.default_rng(0).normal(size=(length, 60, 80)).astype(np.float32))
    with h5py.File(folder / "nan.h5", "r+") as file:
        file["frames"][31, 3, 4] = np.nan
    (folder / "cut.h5").write_bytes((folder / "a.h5").read_bytes()[:9000])
    return folder


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["session=nowhere.h5"], "nowhere.h5: no such file"),
        (["session=none*.h5"], "session=none*.h5: nothing matches"),
        (["cell_diameter=0.5"], "cell_diameter=0.5 px: between 2 and"),
        (["cell_diameter=500"], "cell_diameter=500 px: between 2 and"),
        (["cell_diameter=40"], "check cell_diameter="),
        (["cell_diameter=wide"], "cell_diameter=wide: a number above 0"),
        (["cell_diameter_um=20"], "give one of them"),
        (["cell_diameter=null", "cell_diameter_um=20"], "needs the pixel size"),
        (["fps=0"], "fps=0"),
        (["fps=-3"], "fps=-3"),
        (["fps=fast"], "fps=fast"),
        (["pixel_size_um=-1"], "pixel_size_um=-1"),
        (
            ["detector=netwrk"],
            "detector=netwrk: no such choice; there are bandpass, network; nearest: network",
        ),
        (["device=gpu"], "device=gpu: auto, cpu, cuda, mps"),
        (["detector=network", "checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt: no such file"),
        (["detector=network", "checkpoint=a.h5"], "checkpoint=a.h5: not a checkpoint"),
        (["session=short.h5"], "short.h5: 5 frames are fewer than a window of 0.5 s (10 frames at 20 Hz)"),
        (["session=one.h5"], "one.h5: 1 frames are fewer"),
        (["session=cut.h5"], "cut.h5: a truncated HDF5 file"),
        (["session=nan.h5"], "nan.h5: /frames 31 holds NaN or infinite values"),
        (["localize.threshold=0"], "threshold"),
        (["localize.threshold=2"], "threshold"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run_command, bad_files, overrides, line):
    before = left_in(bad_files)
    outcome = run_command("extract", "session=a.h5", "output=c.h5", *BANDPASS, *overrides, cwd=bad_files)
    assert outcome.status == 2, outcome
    assert line in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert left_in(bad_files) == before


def test_the_network_of_a_checkpoint_is_used(run_command, session, tmp_path):
    """With random weights it finds nothing to speak of, but the whole way is walked."""
    save_network(tmp_path / "w.safetensors", make_network(), WindowSettings(taps=5, seconds=0.4))
    outcome = run_command(
        "extract", quoted(session), "output=c.h5", "checkpoint=w.safetensors", "cell_diameter=10"
    )
    assert outcome.status == 0, outcome.stderr
    assert read_cells(tmp_path / "c.h5").n_frames == 240


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "calcium_lightning.extract", *overrides]


def test_ctrl_c_is_130_and_leaves_nothing(tmp_path):
    simulate(tmp_path / "a.h5", seconds=30)
    process = subprocess.Popen(
        command("session=a.h5", "output=out/c.h5", *BANDPASS, "hydra.run.dir=run"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The folder appears when the arguments are checked: from there on it reads, computes, writes.
    deadline = time.monotonic() + 120
    while not (tmp_path / "run").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, ""), err
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    assert left_in(tmp_path) == ["a.h5", "run"]


def test_a_full_disk_is_one_line_and_1(tmp_path):
    """A limit on the size of files stands for the disk: the operating system refuses the bytes alike."""
    simulate(tmp_path / "a.h5", seconds=4)
    limit = 60_000

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    (tmp_path / "scratch").mkdir()
    done = subprocess.run(
        command("session=a.h5", "output=c.h5", *BANDPASS, "hydra.run.dir=run"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=small_disk,
        env={**os.environ, "TMPDIR": str(tmp_path / "scratch")},
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "free some space and run again" in done.stderr
    assert left_in(tmp_path) == ["a.h5", "run", "scratch"]
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.fixture(scope="module")
def bending(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bending") / "bending.h5"
    settings = SceneSettings(
        height_px=84,
        width_px=96,
        seconds=8,
        cell_diameter_px=(9.0, 11.0),
        brightness=0.6,
        motion_nonrigid_px=0.8,
    )
    write_session(path, settings, seed=2)
    return path


def test_motion_that_differs_over_the_field_is_told_and_removed(run_command, bending, tmp_path):
    plain = run_command(
        "extract", f"session={bending}", "output=a.h5", *BANDPASS, "preprocess.motion.patches=null"
    )
    asked = run_command(
        "extract", f"session={bending}", "output=b.h5", *BANDPASS, "preprocess.motion.patches=[2,2]"
    )
    seen = run_command("extract", f"session={bending}", "output=d.h5", *BANDPASS)
    for outcome in (plain, asked, seen):
        assert outcome.status == 0, outcome.stderr
    assert "px that differs over the field removed" in seen.stdout
    assert "px that differs over the field left" in plain.stdout
    assert "px that differs over the field removed" in asked.stdout
    rigid, piecewise = (read_cells(tmp_path / name) for name in ("a.h5", "b.h5"))
    assert rigid.patch_shifts is None
    np.testing.assert_array_equal(read_cells(tmp_path / "d.h5").patch_shifts, piecewise.patch_shifts)
    assert piecewise.patch_shifts.shape == (160, 2, 2, 2)
    # Both tell of the 0.8 px along each axis; the cells took up some of what was left.
    assert 0.3 < rigid.nonrigid < 1.8
    assert 0.5 < piecewise.nonrigid < 1.8
    assert piecewise.n_frames == 160
    page = run_command("report", "cells=b.h5", "output=b.html")
    assert page.status == 0, page.stderr
    assert "2 × 2 places" in (tmp_path / "b.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("patches", ["[9,9]", "many"])
def test_patches_that_do_not_fit_are_one_line(run_command, bending, tmp_path, patches):
    outcome = run_command(
        "extract", f"session={bending}", "output=c.h5", *BANDPASS, f"preprocess.motion.patches={patches}"
    )
    assert outcome.status == 2
    assert "preprocess.motion.patches=" in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1
    assert left_in(tmp_path) == []


def test_a_recording_in_the_place_of_a_session_is_told_the_way(run_command, tmp_path):
    rng = np.random.default_rng(3)
    frames = rng.poisson(60, (60, 64, 64)).astype(np.uint8)
    (tmp_path / "my day").mkdir()
    for name in ("one.tif", "my day/0.tif"):
        tifffile.imwrite(tmp_path / name, frames, photometric="minisblack")
    for given in ("one.tif", "my day/0.tif", "my day"):
        refused = run_command("extract", f"session={given}", "output=c.h5", *BANDPASS)
        assert refused.status == 2
        assert refused.stderr.count("\n") == 1
        advice = refused.stderr.split("; ")[-1]
        assert advice.endswith(" makes a session of a recording\n")
        python, flag, command, *arguments = shlex.split(
            advice.removesuffix(" makes a session of a recording\n")
        )
        assert (python, flag, command) == ("python", "-m", "calcium_lightning.ingest")
        ingested = run_command("ingest", *arguments, "fps=20", "overwrite=true")
        assert ingested.status == 0, ingested.stderr
    outcome = run_command("extract", "session=SESSION.h5", "output=c.h5", *BANDPASS)
    assert outcome.status == 0, outcome.stderr
