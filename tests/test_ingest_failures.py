"""What the command refuses, and what it leaves when it can't go on."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.ingesting import array, folder_of_pictures, left_behind, refused
from helpers.recordings import cut, damage, movie, packets, write_video
from PIL import Image

from calcium_lightning.io.session import Session


def test_a_mask_of_the_same_name_is_not_guessed(run_command, tmp_path):
    array(tmp_path / "a.h5", movie(5))
    np.save(tmp_path / "a.npy", np.eye(10))
    assert run_command("ingest", "input=a.h5", "output=s.h5").status == 0
    assert Session(tmp_path / "s.h5").truth is None


def test_refusals(run_command, tmp_path):
    """Bad input: one clear line, exit status 2, nothing left behind."""
    pictures = folder_of_pictures(tmp_path / "pictures", movie(12))
    (tmp_path / "empty").mkdir()
    mixed = folder_of_pictures(tmp_path / "mixed", movie(6))
    Image.fromarray(movie(1, 20, 20)[0]).save(mixed / "frame_0004.png")
    corrupt = folder_of_pictures(tmp_path / "corrupt", movie(12), "jpg")
    cut(corrupt / "frame_0007.jpg", 0.5)
    damaged = write_video(tmp_path / "damaged.avi", movie(30))
    position, size = packets(damaged)[17]
    damage(damaged, position + size // 3, size // 2)
    truncated = write_video(tmp_path / "truncated.avi", movie(30))
    cut(truncated, packets(truncated)[20][0])
    unknown = write_video(tmp_path / "unknown.avi", movie(5))
    unknown.write_bytes(unknown.read_bytes().replace(b"FFV1", b"QZX9"))
    (tmp_path / "notes.txt").write_text("not a recording")
    (tmp_path / "text.avi").write_text("not a recording")
    (tmp_path / "vendor/pgm").mkdir(parents=True)
    for name in (
        "a.nd2",
        "vendor/a.czi",
        "a.isxc",
        "a.tif.gz",
        "a.pkl",
        "a.h264",
        "a.gif",
        "vendor/pgm/0.pgm",
    ):
        (tmp_path / name).write_bytes(bytes(range(100)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("frame.tif", bytes(100))
    infinite = movie(9, dtype="float32")
    infinite[4, 3, 2] = np.inf
    data = tmp_path / "data"
    data.mkdir()
    array(data / "good.hdf5", movie(9))
    array(data / "infinite.hdf5", infinite)
    array(data / "flat.hdf5", movie(1)[0])
    array(data / "one.hdf5", movie(1))
    array(data / "strings.hdf5", movie(4).astype("S3"))
    cut(array(data / "cut.hdf5", movie(60)), 0.6)
    np.save(tmp_path / "narrow.npy", np.eye(10, 90))
    np.save(tmp_path / "blank.npy", np.zeros((10, 10)))
    cases = [
        (["input=pictures"], ["says no frame rate", "fps="]),
        (["input=picture", "fps=5"], ["no such file or folder", "nearest: pictures"]),
        (["input=empty", "fps=5"], ["the folder is empty"]),
        (["input=mixed", "fps=5"], ["frame 4", "(20, 20)"]),
        (["input=corrupt", "fps=5"], ["frame 7 (frame_0007.jpg)"]),
        (["input=damaged.avi"], ["frame 17 is corrupt"]),
        (["input=truncated.avi"], ["promises 30 frames and 20 are there"]),
        (["input=unknown.avi"], ["codec is unknown"]),
        (["input=notes.txt"], ["not a recording of a known format"]),
        (["input=text.avi"], ["not a video"]),
        (["input=a.nd2"], ["a.nd2: a microscope's own format", "Bio-Formats"]),
        (["input=vendor"], ["a.czi: a microscope's own format", "Bio-Formats"]),
        (["input=a.isxc"], ["decompress it to .isxd"]),
        (["input=a.tif.gz"], ["an archive; unpack it"]),
        (["input=a.zip"], ["not a zarr store", "if pictures or a video are in it, unpack it"]),
        (["input=a.pkl"], ["may hold code", "numpy.save"]),
        (["input=a.gif"], ["an animation", "ffmpeg -i"]),
        (["input=vendor/pgm"], ["0.pgm: a picture of a kind that isn't read", "mogrify -format png"]),
        (["input=a.h264"], ["a stream without times", "ffmpeg -framerate 20"]),
        (["input=data/good.hdf5", "key=mow"], ["no dataset mow; nearest: mov"]),
        (["input=data/infinite.hdf5"], ["frame 4 holds infinite"]),
        (["input=data/flat.hdf5"], ["no dataset of three dimensions"]),
        (["input=data/flat.hdf5", "key=mov"], ["shape (24, 38), expected three dimensions"]),
        (["input=data/strings.hdf5", "key=mov"], ["type |S3"]),
        (["input=data/one.hdf5"], ["1 frame", "at least 2"]),
        (["input=data/cut.hdf5"], ["truncated HDF5"]),
        (["input=data/good.hdf5", "truth=narrow.npy"], ["narrow.npy", "doesn't fit a field of (24, 38)"]),
        (["input=data/good.hdf5", "truth=blank.npy"], ["blank.npy", "everywhere"]),
        (["input=data/good.hdf5", "truth=gone.npy"], ["gone.npy: no such file"]),
        (["input=data/good.hdf5", "crop=[0,9]"], ["crop=", "[y0,y1,x0,x1]"]),
        (["input=data/good.hdf5", "crop=[0,99,0,9]"], ["outside a field of 24 x 38"]),
        (["input=data/good.hdf5", "stop=10"], ["outside the recording's 9 frames"]),
        (["input=data/good.hdf5", "dtype=int7"], ["dtype=int7"]),
        (["input=data/good.hdf5", "kind=green"], ["kind=green"]),
        (["input=data/good.hdf5", "compresion=gzip"], ["compresion", "nearest: compression"]),
        (["input=data/good.hdf5", "fps=fast"], ["fps"]),
        ([], ["input="]),
    ]
    for overrides, words in cases:
        several = any("[data" in item for item in overrides)
        refused(run_command("ingest", *overrides, "output=new" if several else "output=new.h5"), *words)
        assert left_behind(tmp_path) == [], overrides
    assert len(list(pictures.iterdir())) == 12


def test_an_existing_output_is_kept_unless_told_otherwise(run_command, tmp_path):
    array(tmp_path / "a.h5", movie(5))
    (tmp_path / "s.h5").write_bytes(b"precious")
    refused(run_command("ingest", "input=a.h5", "output=s.h5"), "s.h5: exists", "overwrite=true")
    assert (tmp_path / "s.h5").read_bytes() == b"precious"
    refused(run_command("ingest", "input=a.h5", "output=s.h5", "stop=99", "overwrite=true"), "outside")
    assert (tmp_path / "s.h5").read_bytes() == b"precious"  # a failure keeps it too
    assert run_command("ingest", "input=a.h5", "output=s.h5", "overwrite=true").status == 0
    assert Session(tmp_path / "s.h5").n_frames == 5


def test_all_inputs_are_looked_at_before_the_first_is_written(run_command, tmp_path):
    first, second = array(tmp_path / "a.h5", movie(5)), array(tmp_path / "b.h5", movie(5))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.h5").write_bytes(b"precious")
    outcome = run_command("ingest", f"input=[{first},{second}]", "output=out")
    assert outcome.status == 2
    lines = outcome.stderr.splitlines()
    assert "b.h5: exists" in lines[0]  # before the work on the first
    assert lines[-1] == "error: 1 of 2 recordings failed: b"
    assert (tmp_path / "out" / "b.h5").read_bytes() == b"precious"
    assert Session(tmp_path / "out" / "a.h5").n_frames == 5


def test_a_batch_goes_on_where_it_was_broken_off(run_command, tmp_path):
    for name in ("a", "b"):
        array(tmp_path / f"{name}.h5", movie(5))
    assert run_command("ingest", "input=a.h5", "output=out/").status == 0
    before = (tmp_path / "out" / "a.h5").stat().st_mtime_ns
    outcome = run_command("ingest", "input=[a.h5,b.h5]", "output=out")
    assert outcome.status == 0, outcome.stderr
    assert "out/a.h5: 5 frames" in outcome.stdout
    assert "there already" in outcome.stdout
    assert (tmp_path / "out" / "a.h5").stat().st_mtime_ns == before
    assert Session(tmp_path / "out" / "b.h5").n_frames == 5
    # neither another recording, nor other settings, pass for what is there
    refused(run_command("ingest", "input=a.h5", "output=out/a.h5", "stop=4"), "exists", "overwrite=true")
    array(tmp_path / "a.h5", movie(6))
    refused(run_command("ingest", "input=a.h5", "output=out/a.h5"), "exists", "overwrite=true")
    assert run_command("ingest", "input=a.h5", "output=out/a.h5", "overwrite=true").status == 0
    assert Session(tmp_path / "out" / "a.h5").n_frames == 6


def test_two_inputs_of_one_name(run_command, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        array(tmp_path / folder / "a.h5", movie(5))
    assert run_command("ingest", "input=[x/a.h5,y/a.h5]", "output=out").status == 0
    assert [Session(tmp_path / "out" / name / "a.h5").n_frames for name in ("x", "y")] == [5, 5]
    write_video(tmp_path / "x" / "a.avi", movie(6))
    assert run_command("ingest", "input=x/a.*", "output=both").status == 0
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["a.avi.h5", "a.h5.h5"]
    refused(run_command("ingest", "input=[x/a.h5,x/a.h5]", "output=o"), "two inputs would be written to a.h5")


def command(*overrides: str, cwd: Path, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    arguments = [sys.executable, "-m", "calcium_lightning.ingest", *overrides]
    return subprocess.Popen(
        arguments,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def endless(path: Path) -> Path:
    """Two million frames in one piece that take no space: of their pixels only the last was written."""
    with h5py.File(path, "w") as file:
        frames = file.create_dataset("mov", (2_000_000, 128, 128), "u1")
        frames.attrs["fps"] = 20.0
        frames[-1, 0, 0] = 1
    return path


def test_ctrl_c_leaves_nothing(tmp_path):
    endless(tmp_path / "a.hdf5")
    process = command("input=a.hdf5", "output=out/s.h5", "compression=gzip", cwd=tmp_path)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("out/.s.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert left_behind(tmp_path) == []


def limit_file_size() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_file_system_that_takes_no_more_is_one_line(tmp_path):
    """HDF5 crashes the process on its way out when it can't flush a file: ours must not."""
    endless(tmp_path / "a.hdf5")
    process = command("input=a.hdf5", "output=s.h5", cwd=tmp_path, preexec_fn=limit_file_size)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert [line for line in stderr.splitlines() if "rror" in line] == stderr.strip().splitlines()[-1:]
    assert "File too large; free some space" in stderr
    assert left_behind(tmp_path) == []


def test_a_full_disk_is_one_line(run_command, tmp_path, monkeypatch):
    def full(self, data, /):
        raise OSError(28, "No space left on device")

    array(tmp_path / "a.hdf5", movie(9))
    monkeypatch.setattr("calcium_lightning.io.session_writer.SessionWriter.append", full)
    refused(run_command("ingest", "input=a.hdf5", "output=s.h5"), "No space left on device", status=1)
    assert left_behind(tmp_path) == []
