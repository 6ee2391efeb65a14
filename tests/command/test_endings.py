"""How commands end: nothing written over what they read, nothing left behind, signals heard."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.tiny_session import make_session
from hydra.core.global_hydra import GlobalHydra

from calcium_lightning import extract
from calcium_lightning.command import start

BANDPASS = ("detector=bandpass", "cell_diameter=6")


@pytest.fixture(scope="module")
def cells_of_it(tmp_path_factory) -> Path:
    """A session and its cells, made once."""
    folder = tmp_path_factory.mktemp("once")
    make_session(folder / "a.h5")
    GlobalHydra.instance().clear()
    with contextlib.chdir(folder):
        arguments = ["session=a.h5", "output=cells.h5", *BANDPASS]
        assert start.run("extract", extract.main.__wrapped__, arguments) == 0
    return folder


@pytest.fixture
def made(cells_of_it, tmp_path) -> Path:
    """A folder with a session, a recording, cells and what else commands read."""
    for name in ("a.h5", "cells.h5"):
        shutil.copyfile(cells_of_it / name, tmp_path / name)
    with h5py.File(tmp_path / "raw.hdf5", "w") as file:
        file["movie"] = np.zeros((8, 24, 24), np.uint8) + np.arange(8, dtype=np.uint8)[:, None, None]
    np.save(tmp_path / "mask.npy", np.eye(48))
    (tmp_path / "link.h5").symlink_to("cells.h5")
    os.link(tmp_path / "a.h5", tmp_path / "twin.h5")
    (tmp_path / "sub").mkdir()
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("ingest", ["input=raw.hdf5", "output=raw.hdf5", "fps=5"]),
        ("ingest", ["input=raw.hdf5", "output=sub/../raw.hdf5", "fps=5"]),
        ("ingest", ["input=raw.hdf5", "output=t.h5", "fps=5", "truth=mask.npy", "output=mask.npy"]),
        ("extract", ["session=a.h5", "output=a.h5", *BANDPASS]),
        ("extract", ["session=a.h5", "output=twin.h5", *BANDPASS]),
        ("extract", ["session=a.h5", "checkpoint=mask.npy", "output=mask.npy"]),
        ("evaluate", ["cells=cells.h5", "truth=a.h5", "output=a.h5"]),
        ("evaluate", ["cells=cells.h5", "truth=a.h5", "output=link.h5"]),
        ("export", ["cells=cells.h5", "output=link.h5", "format=nwb"]),
        ("report", ["cells=cells.h5", "output=cells.h5"]),
    ],
)
def test_an_output_is_never_an_input(run_command, made, command, arguments):
    before = content(made)
    outcome = run_command(command, *arguments, "overwrite=true")
    assert outcome.status == 2, outcome.stdout
    assert "is an input of this command" in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert content(made) == before


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("/dev/null", "is no regular file"),
        ("sub", None),
        (f"{'n' * 260}.h5", "File name too long"),
        ("cells.h5/deeper/x.h5", "can't be made a folder"),
        ("/proc/x.h5", "can't be written"),
    ],
)
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("ingest", ["input=raw.hdf5", "fps=5"]),
        ("extract", ["session=a.h5", *BANDPASS]),
        ("evaluate", ["cells=cells.h5", "truth=a.h5"]),
        ("export", ["cells=cells.h5", "format=nwb"]),
        ("report", ["cells=cells.h5"]),
        ("simulate", ["simulation=demo", "simulation.seconds=1"]),
    ],
)
def test_what_cannot_be_written_is_told_in_one_line(run_command, made, command, arguments, output, why):
    if why is None and command != "evaluate":
        pytest.skip("a folder is where the result goes")
    before = content(made)
    outcome = run_command(command, *arguments, f"output={output}", "overwrite=true")
    assert outcome.status == 2, (outcome.stdout, outcome.stderr)
    assert (why or "is a folder") in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert content(made) == before


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("ingest", ["input=raw.hdf5", "fps=5", "output=s.h5"]),
        ("extract", ["session=a.h5", "output=c.h5", *BANDPASS]),
        ("evaluate", ["cells=cells.h5", "truth=a.h5"]),
        ("export", ["cells=cells.h5", "output=c.nwb"]),
        ("report", ["cells=cells.h5", "output=c.html"]),
    ],
)
def test_nothing_but_the_result_is_left(run_command, made, command, arguments):
    before = set(content(made))
    assert run_command(command, *arguments).status == 0
    result = {item.removeprefix("output=") for item in arguments if item.startswith("output=")}
    assert set(content(made)) - before == result


def test_in_a_sweep_each_job_has_a_folder_of_its_own(run_command, made):
    outcome = run_command("report", "-m", "cells=cells.h5,link.h5")
    assert outcome.status == 0, outcome.stderr
    pages = sorted(path.relative_to(made).parts[3:] for path in (made / "multirun/report").rglob("*.html"))
    assert pages == [("0", "cells.html"), ("1", "link.html")]
    assert len(list((made / "multirun").rglob(".hydra/config.yaml"))) == 2
    assert not (made / "outputs").exists()


def test_a_training_with_bad_input_leaves_no_folder(run_command, tmp_path):
    tiny = ("data.crop=16", "encoder=u_shape_tiny", "trainer.max_epochs=1", "cell_diameter=6")
    make_session(tmp_path / "short.h5", frames=3)
    make_session(tmp_path / "a.h5")
    for arguments in (
        ["data.sessions=[gone.h5]"],
        ["data.sessions=[short.h5]", *tiny],
        ["data.sessions=[a.h5]", *tiny, "data.crop=-1"],
        ["data.sessions=[a.h5]", *tiny, "weights=gone.ckpt"],
        ["data.sessions=[a.h5]", *tiny, "+nokey=1"],
        ["data.sessions=[a.h5]", *tiny, "cell_diameter=500"],
    ):
        outcome = run_command("train", *arguments)
        assert outcome.status == 2, (arguments, outcome)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "short.h5"], arguments
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/precious").touch()
    assert run_command("train", "data.sessions=[gone.h5]", "hydra.run.dir=mine").status == 2
    assert (tmp_path / "mine/precious").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_command_and_removes_its_temporaries(tmp_path, number):
    arguments = ("simulation=demo", "simulation.seconds=2000", "output=out.h5")
    process = subprocess.Popen(
        [sys.executable, "-m", "calcium_lightning.simulate", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out.*.tmp.h5")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, "")
    assert err.splitlines()[-1] == ("interrupted" if number == signal.SIGINT else "terminated")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_that_a_library_makes_an_error_of_is_still_one(monkeypatch, capsys, number, word):
    def dispatch(*_):
        try:
            signal.raise_signal(number)
        except BaseException as error:
            raise ImportError("partially initialised") from error

    monkeypatch.setattr(start, "_dispatch", dispatch)
    assert start.run("extract", lambda cfg: None, []) == 128 + number
    assert capsys.readouterr().err == f"{word}\n"


def test_a_signal_that_was_to_be_ignored_stays_ignored(tmp_path):
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from calcium_lightning.command.interrupts import heard\n"
        "with heard(): signal.raise_signal(signal.SIGHUP)\n"
        "print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "went on\n")
