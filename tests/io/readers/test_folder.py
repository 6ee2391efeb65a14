"""Folders as labs have them: what is taken, in which order, and what is said of the rest."""

import json
import re
import shutil

import numpy as np
import pytest
import tifffile
from helpers.recordings import advice, cut, damage, ingested, movie, packets, read_all, write_video

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording

FRAMES = movie(30)
NUMBERED = ("0.avi", "1.avi", "2.avi")


def tiffs(folder, *names):
    folder.mkdir(parents=True)
    for name, part in zip(names, np.array_split(FRAMES, len(names)), strict=True):
        tifffile.imwrite(folder / name, part, photometric="minisblack")
    return folder


def device(folder, names=NUMBERED, kind="Miniscope_V4_BNO", period=50, frames=FRAMES):
    """A device's folder as the DAQ leaves it; its videos' own rate is wrong."""
    folder.mkdir(parents=True)
    for name, part in zip(names, np.array_split(frames, len(names)), strict=True):
        write_video(folder / name, part, rate=60)
    (folder / "metaData.json").write_text(json.dumps({"deviceType": kind, "frameRate": "20FPS"}))
    rows = "".join(f"{index},{period * index + 7},0\n" for index in range(len(frames)))
    (folder / "timeStamps.csv").write_text("Frame Number,Time Stamp (ms),Buffer Index\n" + rows)
    return folder


def session(folder):
    """A whole session's: a scope, a camera, who and when."""
    device(folder / "My_V4_Miniscope")
    device(folder / "BehavCam", ("0.avi",), "WebCam-1080", frames=movie(9, 30, 30))
    began = {"year": 2022, "month": 9, "day": 19, "hour": 15, "minute": 3, "second": 28, "msec": 635}
    (folder / "metaData.json").write_text(
        json.dumps(
            {
                "animalName": "a1",
                "experimentName": "fear",
                "researcherName": "R. Searcher",
                "miniscopes": ["My V4 Miniscope"],
                "cameras": ["BehavCam"],
                "recordingStartTime": {**began, "msecSinceEpoch": 1663592608635},
            }
        )
    )
    return folder


def test_splits_come_after_their_base(tmp_path):
    folder = tiffs(tmp_path / "f", "X.tif", "X-001.tif", "X-002.tif")
    read, notes = ingested(folder, tmp_path, fps=20.0)
    assert np.array_equal(read.frames(), FRAMES)
    assert notes == ("3 files (X.tif to X-002.tif), 30 frames",)


def test_a_projection_and_a_copy_beside_a_stack_are_left_out(tmp_path):
    folder = tiffs(tmp_path / "f", "X.tif", "X-001.tif")
    tifffile.imwrite(folder / "AVG_X.tif", FRAMES.mean(0).astype(np.float32))
    shutil.copy(folder / "X-001.tif", folder / "X-001 (1).tif")
    read, notes = ingested(folder, tmp_path, fps=20.0)
    assert np.array_equal(read.frames(), FRAMES)
    assert notes == ("2 files (X.tif to X-001.tif), 30 frames; left out: AVG_X.tif, X-001 (1).tif",)


def test_stacks_of_several_recordings_are_not_mixed(tmp_path):
    folder = tiffs(tmp_path / "f", "mouse.tif", "other.tif")
    with pytest.raises(InputError, match=r"holds 2 recordings \(mouse.tif, other.tif\); give one as input="):
        open_recording(folder)


def test_recordings_of_mice_and_days_are_asked_for(tmp_path):
    tiffs(tmp_path / "mice", "mouse1.tif", "mouse2.tif")
    days = device(tmp_path / "days", ("m7_20260304.avi", "m7_20260305.avi"))
    array = tmp_path / "arrays"
    array.mkdir()
    for day in (1, 2):
        np.save(array / f"day{day}.npy", FRAMES)
    for folder, told in (
        ("mice", r"holds 2 recordings \(mouse1.tif, mouse2.tif\)"),
        ("days", r"which video\? m7_20260304.avi, m7_20260305.avi; give one .*join=true"),
        ("arrays", r"holds 2 recordings \(day1.npy, day2.npy\)"),
    ):
        with pytest.raises(InputError, match=told):
            open_recording(tmp_path / folder)
    for file, part in zip(sorted(days.glob("*.avi")), (1, 2), strict=True):
        file.rename(days / f"m7_20260304_part{part}.avi")
    with open_recording(days) as recording:
        assert recording.notes[0].startswith(
            "2 videos of days (m7_20260304_part1.avi to m7_20260304_part2.avi)"
        )


@pytest.mark.parametrize(
    "name",
    [
        "TSeries-001_Cycle00001_Ch{c}_{t:06}.tif",
        "img_channel{c:03}_position000_time{t:09}_z000.tif",
        "{t:06}_c{c}.tif",
        "C{c}-rec.tif",
        "rec_ch{c}.tif",
    ],
)
def test_channels_in_files_of_their_own(tmp_path, name):
    folder = tmp_path / "f"
    folder.mkdir()
    shown = (FRAMES, 255 - FRAMES)
    for c, frames in enumerate(shown):
        for t, part in enumerate(frames) if "{t" in name else [(0, frames)]:
            tifffile.imwrite(folder / name.format(c=c, t=t), part, photometric="minisblack")
    tifffile.imwrite(folder / "mask.tif", FRAMES[0])
    for c, frames in enumerate(shown):
        with open_recording(folder, channel=c) as recording:
            assert np.array_equal(np.concatenate(list(recording.blocks(0, 30, 7))), frames)
    with pytest.raises(InputError, match="channel=2: there are 2, from 0"):
        open_recording(folder, channel=2)
    (folder / "mask.tif").unlink()
    if name.startswith("{t"):  # they take turns, which the frames tell
        assert open_recording(folder).n_frames == 60
    else:
        with pytest.raises(InputError, match=r"holds 2 channels, as \S+0\S* \S+1\S* are named.*channel=0 to"):
            open_recording(folder)


def test_videos_of_channels_are_asked_for(tmp_path):
    for channel in (0, 1):
        write_video(tmp_path / f"rec_ch{channel}.avi", movie(3))
    with pytest.raises(InputError, match=r"which video\? rec_ch0.avi, rec_ch1.avi"):
        open_recording(tmp_path)
    assert open_recording(tmp_path / "rec_ch1.avi").notes == ()


def test_a_cut_part_counts_in_the_recordings_frames(tmp_path):
    folder = tiffs(tmp_path / "f", "X.tif", "X-001.tif", "X-002.tif")
    cut(folder / "X-001.tif", 0.5)
    with pytest.raises(
        InputError, match=r"X-001.tif: cut off.*stop=1\d takes .* and start=1\d the 10"
    ) as error:
        ingested(folder, tmp_path, fps=20.0)
    stop = advice(str(error.value))["stop"]
    assert stop > 10
    assert np.array_equal(ingested(folder, tmp_path, fps=20.0, stop=stop)[0].frames(), FRAMES[:stop])
    assert np.array_equal(ingested(folder, tmp_path, fps=20.0, start=stop)[0].frames(), FRAMES[20:])


@pytest.mark.parametrize("which", [1, 2])
def test_an_empty_part(tmp_path, which):
    folder = tiffs(tmp_path / "f", "X.tif", "X-001.tif", "X-002.tif")
    (folder / f"X-00{which}.tif").write_bytes(b"")
    if which == 2:
        read, notes = ingested(folder, tmp_path, fps=20.0)
        assert np.array_equal(read.frames(), FRAMES[:20])
        assert "left out: X-002.tif (empty)" in notes
    else:
        with pytest.raises(InputError, match=r"X-001.tif: is empty.*stop=10 takes"):
            ingested(folder, tmp_path, fps=20.0)


def test_a_single_video_with_its_side_files(tmp_path):
    folder = device(tmp_path / "v4", ("0.avi",), period=34)
    read, notes = ingested(folder, tmp_path)
    assert np.array_equal(read.frames(), FRAMES)
    assert read.fps == pytest.approx(1e3 / 34)
    assert read.about["device"] == "Miniscope_V4_BNO"
    assert notes[0] == "1 video of v4, 30 frames at 29.41 Hz"
    assert "29.41 Hz by the time stamps (nominal: 20 Hz)" in notes


def test_a_sessions_folder(tmp_path):
    read, notes = ingested(session(tmp_path / "15_03_28"), tmp_path)
    assert np.array_equal(read.frames(), FRAMES)
    assert read.about == {
        "session_start_time": "2022-09-19T15:03:28.635+02:00",
        "subject_id": "a1",
        "experiment": "fear",
        "experimenter": "R. Searcher",
        "device": "Miniscope_V4_BNO",
    }
    assert notes == ("3 videos of My_V4_Miniscope, 30 frames at 20 Hz; left out: BehavCam",)


def test_a_session_is_found_below_the_days_folder(tmp_path):
    session(tmp_path / "a1" / "2022_09_19" / "15_03_28")
    assert np.array_equal(ingested(tmp_path / "a1", tmp_path)[0].frames(), FRAMES)
    session(tmp_path / "a1" / "2022_09_19" / "16_00_00")
    with pytest.raises(InputError, match=r"folders: 15_03_28, 16_00_00.*input=\["):
        open_recording(tmp_path / "a1" / "2022_09_19")


def test_what_a_mac_puts_into_archives_is_no_recording(tmp_path):
    session(tmp_path / "zip" / "2026" / "a")
    shadow = tmp_path / "zip" / "__MACOSX" / "2026" / "a" / "My_V4_Miniscope"
    shadow.mkdir(parents=True)
    scope = tmp_path / "zip" / "2026" / "a" / "My_V4_Miniscope"
    for file in (shadow / "._0.avi", shadow / "._metaData.json", scope / "._0.avi"):
        file.write_bytes(b"\0\5\x16\7")
    assert np.array_equal(ingested(tmp_path / "zip", tmp_path)[0].frames(), FRAMES)
    assert any("one of 3 files" in note for note in open_recording(scope / "1.avi").notes)


def test_how_to_choose_one_of_several_scopes_works(tmp_path):
    folder = session(tmp_path / "s")
    device(folder / "Second_Scope", kind="Miniscope_V3")
    with pytest.raises(InputError, match=r"several miniscopes \(My_V4_Miniscope, Second_Scope\)") as error:
        open_recording(folder)
    chosen = str(error.value).rpartition("input=")[2]
    with open_recording(chosen) as recording:
        assert recording.n_frames == 30


def test_lossy_copies_beside_the_originals(tmp_path):
    folder = device(tmp_path / "d")
    for name in NUMBERED:
        write_video(folder / name.replace("avi", "mp4"), 255 - FRAMES[:10], "libx264", "yuv420p")
    write_video(folder / "all.avi", FRAMES)
    read, notes = ingested(folder, tmp_path)
    assert np.array_equal(read.frames(), FRAMES)
    assert "left out: all.avi, 0.mp4, 1.mp4, 2.mp4" in notes[0]


def test_copies_of_a_video(tmp_path):
    folder = device(tmp_path / "d")
    shutil.copy(folder / "1.avi", folder / "1 (1).avi")
    read, notes = ingested(folder, tmp_path)
    assert np.array_equal(read.frames(), FRAMES)
    assert notes[0].endswith("left out: 1 (1).avi")


def test_an_empty_last_video(tmp_path):
    folder = device(tmp_path / "d")
    (folder / "3.avi").write_bytes(b"")
    read, notes = ingested(folder, tmp_path)
    assert np.array_equal(read.frames(), FRAMES)
    assert notes[0].endswith("left out: 3.avi (empty)")


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("how", ["in a frame", "in the header"])
def test_what_is_advised_for_a_cut_video_works(tmp_path, which, how):
    folder = device(tmp_path / "d")
    bad = folder / f"{which}.avi"
    cut(bad, packets(bad)[6][0] + 9 if how == "in a frame" else 200)
    with pytest.raises(InputError, match=rf"{which}\.avi: ") as error:
        ingested(folder, tmp_path)
    ranges = advice(str(error.value))
    left = 10 * which + (6 if how == "in a frame" else 0)
    if left >= 2:
        assert ranges == {"start": 0, "stop": left}
        read = ingested(folder, tmp_path, **ranges)[0]
        assert np.array_equal(read.frames(), FRAMES[:left])
        np.testing.assert_allclose(read.timestamps, np.arange(left) * 0.05 + 0.007)
    if which < 2:
        start = int(re.search(r"start=(\d+) ", str(error.value))[1])
        assert start == max(left, 1)
        read, skipped = ingested(folder, tmp_path, start=start)[0], start - left
        assert np.array_equal(read.frames(), FRAMES[10 * which + 10 + skipped :])
        np.testing.assert_allclose(read.timestamps[0], (10 * which + 10 + skipped) * 0.05 + 0.007)


def test_times_that_do_not_fit_can_be_left_out_as_advised(tmp_path):
    folder = device(tmp_path / "d")
    (folder / "2.avi").unlink()
    with pytest.raises(InputError, match=r"30 time stamps for 20 frames; timestamps=false ingests"):
        ingested(folder, tmp_path)
    assert np.array_equal(ingested(folder, tmp_path, timestamps=False)[0].frames(), FRAMES[:20])


def test_a_first_video_that_is_missing_is_said(tmp_path):
    folder = device(tmp_path / "d")
    (folder / "0.avi").unlink()
    said = "begins with 1.avi; 0.avi, the recorder's first, isn't there"
    with pytest.raises(InputError, match=rf"30 time stamps for 20 frames \({said}\); timestamps=false"):
        ingested(folder, tmp_path)
    (folder / "timeStamps.csv").unlink()
    assert said in ingested(folder, tmp_path)[1]
    whole = device(
        tmp_path / "e", ("1.avi", "2.avi")
    )  # somebody's own numbers: there is a time for each frame
    assert not any("isn't there" in note for note in ingested(whole, tmp_path)[1])
    (tmp_path / "v3").mkdir()
    for part in (2, 3):
        write_video(tmp_path / "v3" / f"msCam{part}.avi", FRAMES)
    assert any("msCam1.avi, the recorder's first" in note for note in ingested(tmp_path / "v3", tmp_path)[1])


def test_a_gap_in_the_times_is_counted_and_marked(tmp_path):
    folder = device(tmp_path / "d")
    lines = (folder / "timeStamps.csv").read_text().splitlines()
    lines[13:] = [f"{i},{50 * i + 507},0" for i in range(12, 30)]
    (folder / "timeStamps.csv").write_text("\n".join(lines))
    read, notes = ingested(folder, tmp_path)
    assert read.bad_frames.nonzero()[0].tolist() == [12]
    assert any("1 gap" in note and "10 frames' time" in note for note in notes)


def test_one_video_of_a_recorders_folder_says_that_there_are_more(tmp_path):
    folder = device(tmp_path / "d", period=34)
    read, notes = ingested(folder / "0.avi", tmp_path)
    assert read.n_frames == 10
    assert read.fps == pytest.approx(1e3 / 34)
    assert f"input={folder} takes its time stamps along" in notes[0]
    assert notes[1] == f"one of 3 files (1.avi, 2.avi); input={folder} takes all of them"


def test_the_older_software(tmp_path):
    folder = tmp_path / "H13"
    folder.mkdir()
    for name, part in zip(("msCam1.avi", "msCam2.avi"), np.array_split(FRAMES, 2), strict=True):
        write_video(folder / name, part)
    write_video(folder / "behavCam1.avi", movie(9, 30, 30))
    rows = [f"1\t{n + 1}\t{50 * n if n else 4294967295}\t1" for n in range(30)]
    rows += [f"0\t{n + 1}\t{33 * n}\t1" for n in range(9)]
    (folder / "timestamp.dat").write_text("camNum\tframeNum\tsysClock\tbuffer\n" + "\n".join(rows))
    (folder / "settings_and_notes.dat").write_text("animal\texcitation\nm42\t10\n")
    read, notes = ingested(folder, tmp_path)
    assert np.array_equal(read.frames(), FRAMES)
    assert read.about == {"device": "Miniscope_V3", "subject_id": "m42"}
    (folder / "settings_and_notes.dat").write_text("animal\texcitation\n\t10\n")
    assert open_recording(folder).about == {"device": "Miniscope_V3"}
    assert notes[0].endswith("left out: behavCam1.avi")


def test_two_cameras_with_as_many_frames_tell_the_rate(tmp_path):
    for name in ("msCam1.avi", "behavCam1.avi"):
        write_video(tmp_path / name, FRAMES, rate=60)
    rows = "".join(f"0\t{n + 1}\t{50 * n + 7}\t1\n1\t{n + 1}\t{50 * n}\t1\n" for n in range(30))
    (tmp_path / "timestamp.dat").write_text(f"camNum\tframeNum\tsysClock\tbuffer\n{rows}")
    with pytest.raises(InputError, match=r"whose times .*camera 0 has 30, camera 1 has 30; timestamps=false"):
        ingested(tmp_path, tmp_path)
    read, notes = ingested(tmp_path, tmp_path, timestamps=False)
    assert read.fps == pytest.approx(20)
    assert "20 Hz by the time stamps (nominal: 60 Hz)" in notes
    (tmp_path / "timestamp.dat").write_text(f"camNum\tframeNum\tsysClock\tbuffer\n{rows}0\t31\t1507\t1\n")
    assert ingested(tmp_path, tmp_path)[0].timestamps[0] == 0


def test_a_video_with_a_table_of_dates(tmp_path):
    folder = tmp_path / "bonsai"
    folder.mkdir()
    write_video(folder / "scope.avi", FRAMES, rate=60)
    rows = [f"2024-01-02T10:00:{0.05 * i:010.7f}+01:00,{i}" for i in range(30)]
    (folder / "scope.csv").write_text("\n".join(rows))
    (folder / "quaternions.csv").write_text("a,b\n1,2\n")
    read, notes = ingested(folder, tmp_path)
    assert read.fps == pytest.approx(20)
    assert read.about["session_start_time"].startswith("2024-01-02T09:00:00")
    assert "times from scope.csv" in notes
    (folder / "scope.csv").write_text("\n".join([*rows, *rows[:20]]))
    assert "no times from scope.csv (50 time stamps for 30 frames)" in ingested(folder, tmp_path)[1]


def test_a_few_other_pictures_among_frames_are_left_out(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    for index, frame in enumerate(FRAMES):
        tifffile.imwrite(folder / f"frame_{index}.tif", frame)
    tifffile.imwrite(folder / "mask.tif", FRAMES[0])
    read, notes = ingested(folder, tmp_path, fps=20.0)
    assert np.array_equal(read.frames(), FRAMES)
    assert "left out: mask.tif" in notes


def test_an_inscopix_folder_with_its_log(tmp_path):
    name = "recording_20160613_105808"
    folder = tiffs(tmp_path / "f", f"{name}.tif", f"{name}-001.tif", f"{name}-002.tif")
    log = '<recording><attrs><attr name="fps" type="4">20</attr></attrs></recording>'
    (folder / f"{name}.xml").write_text(f'<?xml version="1.0"?>{log}')
    read, notes = ingested(folder, tmp_path)
    assert f"20 Hz by {name}.xml" in notes
    assert np.array_equal(read.frames(), FRAMES)
    assert read.fps == 20
    assert read.about["session_start_time"] == "2016-06-13T10:58:08"
    with open_recording(folder / f"{name}.tif") as recording:
        assert (recording.fps, recording.about) == (20, read.about)
    (folder / f"{name}.xml").write_text("<broken")
    with pytest.raises(InputError, match="says no frame rate"):
        ingested(folder, tmp_path)


def test_stacks_with_the_recorders_side_files(tmp_path):
    folder = tiffs(tmp_path / "f", "0.tif", "1.tif")
    rows = "".join(f"{index},{34 * index},0\n" for index in range(30))
    (folder / "timeStamps.csv").write_text("Frame Number,Time Stamp (ms),Buffer Index\n" + rows)
    read, _ = ingested(folder, tmp_path)
    assert np.array_equal(read.frames(), FRAMES)
    assert read.fps == pytest.approx(1e3 / 34)


@pytest.mark.parametrize("ending", ["csv", "txt", "tsv"])
def test_a_single_video_with_a_table_of_its_name(tmp_path, ending):
    write_video(tmp_path / "out_1.avi", FRAMES, rate=60)
    text = "".join(f"{index},{0.05 * index:.3f}\n" for index in range(30))
    (tmp_path / f"out_1_metadata.{ending}").write_text(text.replace(",", "\t") if ending == "tsv" else text)
    (tmp_path / "out_10_metadata.csv").write_text(text.replace(".", "7."))
    read, notes = ingested(tmp_path / "out_1.avi", tmp_path)
    assert read.fps == pytest.approx(20)
    assert f"times from out_1_metadata.{ending}" in notes
    assert ingested(tmp_path, tmp_path)[0].fps == pytest.approx(20)


def test_all_videos_of_a_recording_have_one_range_of_levels(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    frames = np.full((20, 32, 48), 120, np.uint8) + np.arange(48, dtype=np.uint8)
    frames[10:, 4:20, 4:20] = 250  # only the second video goes beyond the narrow range
    for name, part in (("0.avi", frames[:10]), ("1.avi", frames[10:])):
        write_video(folder / name, part, "libx264", "gray", qp="0")
    read, _ = ingested(folder, tmp_path)
    assert np.array_equal(read.frames(), frames)


def test_missing_pictures_are_spoken_of(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    for index, frame in enumerate(FRAMES):
        tifffile.imwrite(folder / f"frame_{index:04}.tif", frame)
    for index in (7, 8, 20):
        (folder / f"frame_{index:04}.tif").unlink()
    _, notes = ingested(folder, tmp_path, fps=20.0)
    assert notes == ("no pictures are numbered 7 to 8, 20",)


def test_a_damaged_frame_is_counted_in_the_recording(tmp_path):
    folder = device(tmp_path / "d")
    position, size = packets(folder / "1.avi")[4]
    damage(folder / "1.avi", position + size // 3, size // 2)
    with pytest.raises(
        InputError, match=r"d: frame 14 \(1.avi\) is corrupt.*; stop=14 takes the frames before"
    ):
        ingested(folder, tmp_path)
    read = ingested(folder, tmp_path, stop=14)[0]
    assert np.array_equal(read.frames(), FRAMES[:14])


def test_an_export_in_the_sessions_folder_is_not_the_recording(tmp_path):
    folder = session(tmp_path / "s")
    write_video(folder / "concat.avi", FRAMES[:7])
    read, notes = ingested(folder, tmp_path)
    assert np.array_equal(read.frames(), FRAMES)
    assert notes[0].endswith("left out: concat.avi, BehavCam")


def test_another_format_beside_is_left_out_and_said(tmp_path):
    folder = tiffs(tmp_path / "f", "X.tif")
    (folder / "X.h5").write_bytes(b"x")
    _, notes = ingested(folder, tmp_path, fps=20.0)
    assert notes == ("1 file, 30 frames; left out: X.h5",)


def test_numbered_arrays_are_parts_of_one_recording(tmp_path):
    frames = movie(30)
    for part in range(3):
        np.save(tmp_path / f"part_{part}.npy", frames[10 * part : 10 * part + 10])
    np.save(tmp_path / "times.npy", np.arange(30))
    with open_recording(tmp_path) as recording:
        assert np.array_equal(np.concatenate(list(recording.blocks(0, 30, 7))), frames)


def test_a_single_array_may_be_anything(tmp_path):
    np.save(tmp_path / "footprints.npy", movie(5))
    with pytest.raises(InputError, match="the folder holds no frames"):
        open_recording(tmp_path)


def test_a_stack_that_is_missing_is_asked_about_and_even_steps_are_not(tmp_path):
    frames = movie(12, dtype="uint16")
    for folder, numbers, whole in (("a", (1, 2, 4), False), ("b", (0, 4, 8), True)):
        (tmp_path / folder).mkdir()
        for index, number in enumerate(numbers):
            part = frames[4 * index : 4 * index + 4]
            tifffile.imwrite(tmp_path / folder / f"r_{number:03d}.tif", part, photometric="minisblack")
        if whole:
            assert np.array_equal(read_all(tmp_path / folder), frames)
        else:
            with pytest.raises(InputError, match=r"r_003\.tif is missing between r_002\.tif and r_004\.tif"):
                open_recording(tmp_path / folder)


def test_channels_and_planes_of_single_frames_are_told_by_their_names(tmp_path):
    frames = movie(6, dtype="uint16")
    for index, frame in enumerate(frames):
        for channel, word in enumerate(("GFP", "RFP")):
            for plane in range(2):
                name = f"img_{index:09d}_{word}_{plane:03d}.tif"
                tifffile.imwrite(tmp_path / name, frame + 100 * channel + 10 * plane)
    with pytest.raises(InputError, match=r"holds 2 channels of the same frames, as img_0+_GFP_000\.tif"):
        open_recording(tmp_path)
    with pytest.raises(InputError, match=r"holds 2 planes of the same frames.*plane=0 to plane=1"):
        open_recording(tmp_path, channel=1)
    assert np.array_equal(read_all(tmp_path, channel=1, plane=1), frames + 110)


def test_planes_that_names_number_are_told_apart_and_trials_are_not(tmp_path):
    frames = movie(6, dtype="uint16")
    for pattern, planes in (("rec_t{0:03d}_z{1}", True), ("trial{1}_{0:03d}", False)):
        folder = tmp_path / pattern[:3]
        folder.mkdir()
        for index, frame in enumerate(frames):
            for number in range(2):
                tifffile.imwrite(folder / f"{pattern.format(index, number)}.tif", frame + number)
        if planes:
            assert np.array_equal(read_all(folder, plane=1), frames + 1)
            with pytest.raises(InputError, match="holds 2 planes of the same frames"):
                open_recording(folder)
        else:
            assert np.array_equal(read_all(folder), np.concatenate([frames, frames + 1]))
