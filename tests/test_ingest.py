"""The command as a user types it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from helpers.recordings import cut, damage, movie, packets, write_video
from PIL import Image

from calcium_lightning.io.session import Session


def left_behind(folder: Path) -> list[str]:
    """Files that a failed command has no business leaving, hidden ones too."""
    return [str(path) for path in folder.rglob("*") if path.suffix == ".h5" or ".tmp" in path.name]


def refused(outcome, *words: str, status: int = 2) -> None:
    """Assert the contract's exit status and one clear line with the given words."""
    assert outcome.status == status, outcome
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1, outcome.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


def folder_of_pictures(path: Path, frames: np.ndarray, ending: str = "png") -> Path:
    path.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"frame_{index:04d}.{ending}")
    return path


def array(path: Path, frames: np.ndarray, name: str = "mov", **attributes: float) -> Path:
    with h5py.File(path, "w") as file:
        file[name] = frames
        file[name].attrs.update({"fps": 20.0, **attributes})
    return path


def test_a_video_to_a_session(run_command, tmp_path):
    frames = movie(30)
    write_video(tmp_path / "a.avi", frames, rate=15)
    outcome = run_command("ingest", "input=a.avi", "output=new/s.h5")
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout.strip().startswith("new/s.h5: 30 frames of 24 x 38 uint8, 15 Hz,")
    assert outcome.stdout.strip().endswith("MB")
    with Session(tmp_path / "new" / "s.h5") as session:
        assert np.array_equal(session.frames(), frames)


def test_every_option_at_once(run_command, tmp_path):
    frames = movie(30, dtype="uint16")
    array(tmp_path / "a.h5", frames)
    np.save(tmp_path / "m.npy", np.eye(20))
    outcome = run_command(
        "ingest", "input=a.h5", "output=s.h5", "key=mov", "fps=10", "pixel_size_um=1.5", "kind=dff", "motion_corrected=true",
        "crop=[2,22,4,38]", "bin=2", "temporal_bin=3", "start=2", "stop=29", "dtype=uint16", "truth=m.npy", "compression=gzip",
    )  # fmt: skip
    assert outcome.status == 0, outcome.stderr
    with Session(tmp_path / "s.h5") as session:
        assert session.shape == (9, 10, 17)
        assert (session.fps, session.pixel_size_um, session.kind, session.motion_corrected) == (
            pytest.approx(10 / 3),
            3,
            "dff",
            True,
        )
        expected = frames[2:29, 2:22, 4:38].reshape(9, 3, 10, 2, 17, 2).mean((1, 3, 5))
        assert np.abs(session.frames() - expected).max() <= 0.51
        assert session.truth.mask.shape == (20, 34)


def test_several_inputs_give_several_sessions(run_command, tmp_path):
    first, second = array(tmp_path / "one.h5", movie(5)), write_video(tmp_path / "two.avi", movie(6))
    outcome = run_command("ingest", f"input=[{first},{second}]", "output=sessions")
    assert outcome.status == 0, outcome.stderr
    assert [Session(tmp_path / "sessions" / name).n_frames for name in ("one.h5", "two.h5")] == [5, 6]
    assert outcome.stdout.splitlines()[2].strip() == "2 of 2 recordings"


def test_truths_go_with_their_inputs(run_command, tmp_path):
    inputs = [array(tmp_path / f"{name}.h5", movie(5)) for name in "ab"]
    masks = []
    for index, size in enumerate((10, 20)):
        masks.append(tmp_path / f"{index}.npy")
        np.save(masks[-1], np.eye(size))
    outcome = run_command(
        "ingest", f"input=[{inputs[0]},{inputs[1]}]", "output=s", f"truth=[{masks[0]},{masks[1]}]"
    )
    assert outcome.status == 0, outcome.stderr
    assert [Session(tmp_path / "s" / f"{name}.h5").truth.mask.shape for name in "ab"] == [(10, 10), (20, 20)]
    refused(
        run_command("ingest", f"input=[{inputs[0]},{inputs[1]}]", "output=t", f"truth={masks[0]}"),
        "1 files for 2 inputs",
    )
    outcome = run_command(
        "ingest", f"input=[{inputs[0]},{inputs[1]}]", "output=u", f"truth=[null,{masks[1]}]"
    )
    assert outcome.status == 0, outcome.stderr
    assert Session(tmp_path / "u" / "a.h5").truth is None


def test_a_mask_of_the_same_name_is_not_guessed(run_command, tmp_path):
    array(tmp_path / "a.h5", movie(5))
    np.save(tmp_path / "a.npy", np.eye(10))
    assert run_command("ingest", "input=a.h5", "output=s.h5").status == 0
    assert Session(tmp_path / "s.h5").truth is None


def test_without_output_the_session_is_where_the_user_stands_and_nothing_else(run_command, tmp_path):
    (tmp_path / "raw").mkdir()
    array(tmp_path / "raw" / "a.h5", movie(5))
    assert run_command("ingest", "input=raw/a.h5").status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "raw"]
    refused(run_command("ingest", "input=a.h5", "overwrite=true"), "a.h5: is an input of this command")


def test_paths_with_spaces_commas_and_equals_signs(run_command, tmp_path):
    folder_of_pictures(tmp_path / "my, frames=1", movie(5))
    outcome = run_command("ingest", 'input="my, frames=1"', 'output="s, t=1.h5"', "fps=5")
    assert outcome.status == 0, outcome.stderr
    assert Session(tmp_path / "s, t=1.h5").n_frames == 5


def test_a_session_as_input(run_command, tmp_path):
    array(tmp_path / "a.h5", movie(12))
    run_command("ingest", "input=a.h5", "output=s.h5", "pixel_size_um=2", "kind=dff")
    outcome = run_command("ingest", "input=s.h5", "output=t.h5", "bin=2", "stop=10")
    assert outcome.status == 0, outcome.stderr
    with Session(tmp_path / "t.h5") as session:
        assert (session.shape, session.pixel_size_um, session.kind) == ((10, 12, 19), 4, "dff")


def test_a_sweep_writes_into_its_job_folders(run_command, tmp_path):
    array(tmp_path / "a.h5", movie(9))
    assert run_command("ingest", "-m", "input=a.h5", "stop=4,7").status == 0
    assert sorted(Session(path).n_frames for path in (tmp_path / "multirun").rglob("*.h5")) == [4, 7]


def test_help_lists_the_keys(run_command):
    outcome = run_command("ingest", "--help")
    assert outcome.status == 0
    for key in ("input=", "fps=", "truth=", "temporal_bin=", "motion_corrected="):
        assert key in outcome.stdout


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


def test_time_stamps_that_appear_beside_a_recording_make_it_another(run_command, tmp_path):
    (tmp_path / "rec").mkdir()
    write_video(tmp_path / "rec" / "0.avi", movie(6))
    assert run_command("ingest", "input=rec", "output=s.h5").status == 0
    again = run_command("ingest", "input=rec", "output=s.h5")
    assert "there already" in again.stdout
    (tmp_path / "rec" / "timeStamps.csv").write_text(
        "Frame Number,Time Stamp (ms),Buffer Index\n" + "".join(f"{i},{i * 100},0\n" for i in range(6))
    )
    refused(run_command("ingest", "input=rec", "output=s.h5"), "exists")


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
    """Two million frames that take no space: of their chunks only the last was written."""
    with h5py.File(path, "w") as file:
        frames = file.create_dataset("mov", (2_000_000, 128, 128), "u1", chunks=(64, 128, 128))
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


def test_the_published_recording(run_command, tmp_path, magdeburg):
    outcome = run_command(
        "ingest", f"input={magdeburg}/8-16-17_preprocessed_dF", "output=x.h5", "fps=5", "kind=dff", "motion_corrected=true",
        f"truth={magdeburg}/masks/8-16-17.npy",
    )  # fmt: skip
    assert outcome.status == 0, outcome.stderr
    assert "664 frames of 200 x 197 uint8, 5 Hz" in outcome.stdout
    with Session(tmp_path / "x.h5") as session:
        assert (session.kind, session.motion_corrected, session.truth.mask.shape) == ("dff", True, (100, 100))
        picture = np.asarray(Image.open(magdeburg / "8-16-17_preprocessed_dF" / "frame_0317.jpg"))[..., 0]
        assert np.array_equal(session.frames(317, 318)[0], picture)


def test_raw_numbers_channels_and_what_was_noticed(run_command, tmp_path):
    frames = movie(12, dtype="uint16")
    frames.astype(">u2").tofile(tmp_path / "a.raw")
    outcome = run_command("ingest", "input=a.raw", "output=s.h5", "shape=[24,38]", "dtype='>u2'", "fps=20")
    assert outcome.status == 0, outcome.stderr
    assert np.array_equal(Session(tmp_path / "s.h5").frames(), frames)
    tifffile.imwrite(
        tmp_path / "c.tif", np.stack([frames, frames // 2], 1), imagej=True, metadata={"axes": "TCYX"}
    )
    refused(
        run_command("ingest", "input=c.tif", "output=t.h5", "fps=20"), "2 channels", "channel=0 to channel=1"
    )
    outcome = run_command("ingest", "input=c.tif", "output=t.h5", "fps=20", "channel=1")
    assert outcome.status == 0, outcome.stderr
    assert np.array_equal(Session(tmp_path / "t.h5").frames(), frames // 2)
    np.save(tmp_path / "black.npy", np.zeros((9, 24, 38), np.uint8))
    outcome = run_command("ingest", "input=black.npy", "output=u.h5", "fps=20")
    assert outcome.status == 0, outcome.stderr
    assert "black.npy: all black: every pixel of every frame is 0" in outcome.stdout


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda f: (f - f.mean(0)) / f.mean(0), "dff", "taken for ΔF/F"),
        (lambda f: f - 60.0, "raw", "background removed"),
        (lambda f: f * 1.0, "raw", None),
        (lambda f: f / 255, "raw", None),
    ],
)
def test_ratios_are_told_from_counts(run_command, tmp_path, change, kind, said):
    tifffile.imwrite(tmp_path / "a.tif", change(movie(30).astype(np.float64)).astype(np.float32))
    outcome = run_command("ingest", "input=a.tif", "output=s.h5", "fps=20")
    assert outcome.status == 0, outcome.stderr
    assert Session(tmp_path / "s.h5").kind == kind
    assert (said or "a.tif: ") in outcome.stdout or said is None
    assert run_command("ingest", "input=a.tif", "output=t.h5", "fps=20", "kind=raw").status == 0
    assert Session(tmp_path / "t.h5").kind == "raw"


def test_joined_recordings_are_one_session(run_command, tmp_path):
    scene = movie(1) + np.random.default_rng(0).integers(0, 5, (20, 24, 38)).astype(np.uint8)
    for name, part in (("a", scene[:12]), ("b", scene[12:])):
        tifffile.imwrite(tmp_path / f"{name}.tif", part, photometric="minisblack")
    outcome = run_command("ingest", "input=[a.tif,b.tif]", "output=day.h5", "join=true", "fps=20")
    assert outcome.status == 0, outcome.stderr
    with Session(tmp_path / "day.h5") as session:
        assert np.array_equal(session.frames(), scene)
        np.testing.assert_allclose(session.timestamps, np.arange(20) / 20)
    assert "2 recordings joined, 20 frames" in outcome.stdout


def test_what_a_session_knows_goes_along(run_command, tmp_path):
    frames = movie(12, dtype="float32")
    frames[:, :2], frames[4] = np.nan, np.nan
    tifffile.imwrite(tmp_path / "a.tif", frames)
    assert run_command("ingest", "input=a.tif", "output=s.h5", "fps=20").status == 0
    outcome = run_command("ingest", "input=s.h5", "output=t.h5", "crop=[0,24,4,38]", "bin=2", "start=2")
    assert outcome.status == 0, outcome.stderr
    with Session(tmp_path / "t.h5") as session:
        assert session.bad_frames.nonzero()[0].tolist() == [2]
        assert (~session.field).any(1).nonzero()[0].tolist() == [0]
