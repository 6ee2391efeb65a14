"""One device, one job: over real processes, with ids of devices that nobody has."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from calcium_lightning.sweeps.devices import visible_devices

#: claims devices, says which, and keeps them until its standard input ends
HOLDER = """
import sys
from calcium_lightning.sweeps.devices import claim
print(",".join(claim(sys.argv[2].split(","), int(sys.argv[1]))), flush=True)
sys.stdin.read()
"""

#: a sweep of jobs that note when they had which devices
SWEEP = """
import json, os, sys, time
import calcium_lightning.extract
from calcium_lightning.command import start as cli
from calcium_lightning.command.inputs import run_folder

def main(cfg):
    begun = time.monotonic()
    time.sleep(0.05)
    note = [os.environ["CUDA_VISIBLE_DEVICES"], begun, time.monotonic()]
    (run_folder() / "note.json").write_text(json.dumps(note))

if __name__ == "__main__":
    jobs = ["-m", "session=a.h5", "seed=range(6)", f"hydra.sweep.dir={sys.argv[1]}"]
    sys.exit(cli.run("extract", main, [*jobs, "launcher=joblib", "hydra.launcher.n_jobs=4"]))
"""


@pytest.fixture
def surroundings(tmp_path, monkeypatch) -> dict[str, str]:
    """An environment whose locks are this test's."""
    (tmp_path / "locks").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "locks"), "CUDA_VISIBLE_DEVICES": "7,GPU-a/b"}


def holder(surroundings, count: int = 1, devices: str = "7,GPU-a/b") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(count), devices]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=surroundings)


def line(stream) -> str:
    return stream.readline().strip()


def test_a_device_is_free_again_when_its_process_ends_however_it_ends(surroundings):
    one, two = holder(surroundings), holder(surroundings)
    first = line(one.stdout)
    assert {first, line(two.stdout)} == {"7", "GPU-a/b"}
    three = holder(surroundings)
    assert "waiting for 1 of the devices 7, GPU-a/b" in line(three.stderr)
    one.send_signal(signal.SIGKILL)
    assert line(three.stdout) == first
    both = holder(surroundings, count=2)
    assert "waiting for 2" in line(both.stderr)
    three.communicate("")  # one of two is not enough, and is not kept from others meanwhile
    four = holder(surroundings)
    assert line(four.stdout) == first
    for process in (two, four):
        process.communicate("")
    assert line(both.stdout) == "7,GPU-a/b"
    both.communicate("")
    one.communicate()


def test_more_than_there_are_is_refused(surroundings):
    process = holder(surroundings, count=3)
    assert "3 devices per job, and there are 2: 7, GPU-a/b" in process.communicate("")[1]


@pytest.mark.parametrize(
    ("listed", "expected"), [("0,1", ["0", "1"]), ("", []), ("-1", []), ("MIG-1, MIG-2", ["MIG-1", "MIG-2"])]
)
def test_visible_devices(monkeypatch, listed, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_devices() == expected


def test_jobs_of_a_sweep_never_share_a_device(surroundings, tmp_path):
    """Six jobs on two devices, though four processes are asked for."""
    (tmp_path / "sweep.py").write_text(SWEEP)
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "sweep.py", str(tmp_path / "many")],
        cwd=tmp_path,
        env={**surroundings, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "n_jobs=2" in done.stdout
    notes = sorted(json.loads(path.read_text()) for path in (tmp_path / "many").glob("*/note.json"))
    assert len(notes) == 6
    assert {note[0] for note in notes} <= {"7", "GPU-a/b"}
    for before, after in itertools.pairwise(notes):
        assert before[0] != after[0] or before[2] <= after[1]
