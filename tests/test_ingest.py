"""The command as a user types it."""

import numpy as np
import pytest
import tifffile
from helpers.ingesting import array, folder_of_pictures, refused
from helpers.recordings import movie, write_video
from PIL import Image

from calcium_lightning.io.session import Session


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
