import json

import numpy as np
import pytest
from helpers.recordings import movie, read_all, write_video

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.clock import repair_first
from calcium_lightning.io.readers.formats import open_recording

V4 = {
    "ROI": {"height": 24, "leftEdge": 0, "topEdge": 0, "width": 38},
    "compression": "FFV1",
    "deviceID": 0,
    "deviceName": "My_V4",
    "deviceType": "Miniscope_V4_BNO",
    "ewl": 0,
    "frameRate": "20FPS",
    "framesPerFile": 1000,
    "gain": "Low",
    "led0": 10,
}
V3 = {
    "compression": "MJPG",
    "deviceDirectory": "x",
    "deviceID": 1,
    "deviceName": "scope",
    "deviceType": "Miniscope_V3",
    "excitation": 20,
    "exposure": 255,
    "frameRate": 20,
    "framesPerFile": 1000,
    "gain": "High",
}


def folder(path, frames, parts=(5, 5, 2), metadata=V4, times=None, first=None):
    """A folder as Miniscope-DAQ leaves it; the AVI's own rate (60 Hz) is wrong, as it is there."""
    path.mkdir(parents=True, exist_ok=True)
    begin = 0
    for index, count in enumerate(parts):
        write_video(path / f"{index}.avi", frames[begin : begin + count], rate=60)
        begin += count
    if metadata is not None:
        (path / "metaData.json").write_text(json.dumps(metadata))
    times = np.arange(len(frames)) * 50 + 7 if times is None else times
    stamps = [first if first is not None and index == 0 else int(time) for index, time in enumerate(times)]
    rows = "".join(f"{index},{stamp},0\n" for index, stamp in enumerate(stamps))
    (path / "timeStamps.csv").write_text("Frame Number,Time Stamp (ms),Buffer Index\n" + rows)
    return path


@pytest.mark.parametrize("metadata", [V4, V3])
def test_frames_rate_and_times(tmp_path, metadata):
    frames = movie(12)
    path = folder(tmp_path / "m", frames, metadata=metadata)
    assert np.array_equal(read_all(path), frames)
    with open_recording(path) as recording:
        assert recording.fps == 20
        assert np.allclose(recording.timestamps, np.arange(12) * 0.05 + 0.007)
        assert np.array_equal(np.concatenate(list(recording.blocks(3, 11, 4))), frames[3:11])


def test_eleven_videos_in_natural_order(tmp_path):
    frames = movie(22)
    assert np.array_equal(read_all(folder(tmp_path / "m", frames, parts=(2,) * 11)), frames)


@pytest.mark.parametrize("first", [-1, 4294967264, -43, 935703178])
def test_the_first_time_is_repaired(tmp_path, first):
    with open_recording(folder(tmp_path / "m", movie(12), first=first)) as recording:
        assert np.allclose(recording.timestamps, np.arange(12) * 0.05 + 0.007)


def test_a_row_before_the_first_frame_is_left_out(tmp_path):
    path = folder(tmp_path / "m", movie(12))
    header, rest = (path / "timeStamps.csv").read_text().split("\n", 1)
    (path / "timeStamps.csv").write_text(f"{header}\n-1,0,0\n{rest}")
    with open_recording(path) as recording:
        assert np.allclose(recording.timestamps, np.arange(12) * 0.05 + 0.007)


def test_good_times_stay(tmp_path):
    times = np.array([0.0, 0.05, 0.1, 0.4, 0.45])
    assert np.array_equal(repair_first(times), times)
    assert np.array_equal(repair_first(times[:2]), times[:2])


def test_the_measured_rate_overrules_a_wrong_nominal_one(tmp_path):
    path = folder(tmp_path / "m", movie(12), metadata={**V4, "frameRate": "60FPS"})
    with open_recording(path) as recording:
        assert recording.fps == pytest.approx(20)


def test_the_rate_comes_from_the_times_where_nothing_else_says(tmp_path):
    metadata = {key: value for key, value in V4.items() if key != "frameRate"}
    with open_recording(folder(tmp_path / "m", movie(12), metadata=metadata)) as recording:
        assert recording.fps == pytest.approx(20)


def test_a_session_folder_leads_to_its_scope(tmp_path):
    frames = movie(12)
    folder(tmp_path / "15_03_28" / "My_V4_Miniscope", frames)
    folder(
        tmp_path / "15_03_28" / "BehavCam_2",
        movie(12, 30, 30),
        metadata={"deviceType": "WebCam", "frameRate": "30FPS"},
    )
    assert np.array_equal(read_all(tmp_path / "15_03_28"), frames)


def test_two_scopes_are_not_guessed(tmp_path):
    for name in ("Miniscope_1", "Miniscope_2"):
        folder(tmp_path / "s" / name, movie(3), parts=(3,))
    with pytest.raises(InputError, match=r"several miniscopes \(Miniscope_1, Miniscope_2\)"):
        open_recording(tmp_path / "s")


def test_a_missing_video_is_named(tmp_path):
    path = folder(tmp_path / "m", movie(12))
    (path / "1.avi").unlink()
    with pytest.raises(InputError, match=r"1.avi is missing between 0.avi and 2.avi"):
        open_recording(path)


def test_videos_of_other_sizes(tmp_path):
    path = folder(tmp_path / "m", movie(12))
    write_video(path / "3.avi", movie(4, 20, 20))
    with pytest.raises(InputError, match=r"3.avi: frames of \(20, 20\).*0.avi has \(24, 38\)"):
        open_recording(path)


def test_damaged_metadata(tmp_path):
    path = folder(tmp_path / "m", movie(5), parts=(5,))
    (path / "metaData.json").write_text("{broken")
    with pytest.raises(InputError, match=r"metaData.json: not a JSON"):
        open_recording(path)


def test_times_without_the_column(tmp_path):
    path = folder(tmp_path / "m", movie(5), parts=(5,))
    (path / "timeStamps.csv").write_text("a,b\n1,2\n")
    with open_recording(path) as recording:
        assert "no column of rising times (there are: a, b)" in recording.clock_problem
        assert recording.n_frames == 5


def test_a_folder_of_the_older_software(tmp_path):
    frames = movie(11)
    write_video(tmp_path / "msCam1.avi", frames[:6])
    write_video(tmp_path / "msCam2.avi", frames[6:])
    write_video(tmp_path / "behavCam1.avi", movie(9, 30, 30))
    rows = [(0, n, 33 * n, 1) for n in range(1, 10)] + [
        (1, n, 50 * n if n > 1 else 4294967295, 1) for n in range(1, 12)
    ]
    lines = ["camNum\tframeNum\tsysClock\tbuffer", *("\t".join(map(str, row)) for row in rows)]
    (tmp_path / "timestamp.dat").write_text("\n".join(lines) + "\n")
    assert np.array_equal(read_all(tmp_path), frames)
    with open_recording(tmp_path) as recording:
        assert np.allclose(recording.timestamps, np.arange(1, 12) * 0.05)
        assert recording.fps == pytest.approx(20)


def test_several_unnumbered_videos_are_not_guessed(tmp_path):
    write_video(tmp_path / "left.avi", movie(3))
    write_video(tmp_path / "right.avi", movie(3))
    write_video(tmp_path / "top.avi", movie(3))
    advice = r"which video\? left.avi, right.avi.*input=\[\S+/left.avi,\S+/right.avi,\S+/top.avi\] join=true"
    with pytest.raises(InputError, match=advice):
        open_recording(tmp_path)


def test_a_part_that_is_short_loses_its_own_time_stamps_not_the_last(tmp_path):
    frames, times = movie(19), [50 * index for index in range(20)]
    path = folder(tmp_path / "s", frames, parts=(5, 4, 5, 5), times=times)
    with open_recording(path) as recording:
        expected = np.delete(np.arange(20), 9) * 0.05
        assert np.allclose(recording.timestamps, expected)
        assert any("1.avi has 4 frames, the others 5" in note for note in recording.notes)
    assert np.array_equal(read_all(path), frames)


def test_a_short_part_is_found_among_the_stamps_of_two_cameras(tmp_path):
    frames = movie(19)
    for index, (begin, stop) in enumerate(((0, 5), (5, 9), (9, 14), (14, 19))):
        write_video(tmp_path / f"msCam{index + 1}.avi", frames[begin:stop])
    rows = [f"0\t{index + 1}\t{40 * index}\t1" for index in range(23)]
    rows += [f"1\t{index + 1}\t{50 * index}\t1" for index in range(20)]
    (tmp_path / "timestamp.dat").write_text("\n".join(["camNum\tframeNum\tsysClock\tbuffer", *rows]))
    with open_recording(tmp_path) as recording:
        assert np.allclose(recording.timestamps, np.delete(np.arange(20), 9) * 0.05)
        assert any("msCam2.avi has 4 frames, the others 5" in note for note in recording.notes)
