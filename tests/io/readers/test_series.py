from pathlib import Path

import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.series import (
    check_copies,
    copies,
    others_of,
    recordings_of,
    repeated,
    series_of,
    stem,
)


def names(tmp_path, *files):
    return [[file.name for file in series.files] for series in series_of(tmp_path / name for name in files)]


@pytest.mark.parametrize(
    "files",
    [
        ["X.tif", "X-001.tif", "X-002.tif"],
        ["X.tif", "X (1).tif", "X (2).tif"],
        ["X.tif", "X_2.tif", "X_3.tif"],
        ["X.tif", "X1.tif", "X2.tif"],
        ["recording_20160613_105808.tif", "recording_20160613_105808-001.tif"],
        ["a_1.tif", "a_2.tif", "a_10.tif"],
        [f"{index}.avi" for index in range(12)],
        ["run_MMStack_Pos0.ome.tif", "run_MMStack_Pos0_1.ome.tif", "run_MMStack_Pos0_2.ome.tif"],
        ["file_00001_00001.tif", "file_00001_00002.tif"],
        ["X.tif", "X@0001.tif", "X@0002.tif"],
        ["X.tif", "X_X2.tif", "X_X3.tif", "X_X10.tif"],
    ],
    ids=str,
)
def test_one_recording_in_order_however_the_folder_lists_it(tmp_path, files):
    assert names(tmp_path, *reversed(files)) == [files]


@pytest.mark.parametrize(
    "files",
    [
        ["mouse.tif", "other.tif"],
        ["run_MMStack_Pos0.ome.tif", "run_MMStack_Pos1.ome.tif"],
        ["day1_part1.avi", "day2_part2.avi"],
    ],
    ids=str,
)
def test_several_recordings_stay_apart(tmp_path, files):
    assert sorted(names(tmp_path, *files)) == [[file] for file in files]


@pytest.mark.parametrize(
    ("files", "apart"),
    [
        (["mouse1.avi", "mouse2.avi"], True),
        (["Rat-7_x.avi", "Rat-8_x.avi"], True),
        (["m7_day1.tif", "m7_day2.tif", "m7_day5.tif"], True),
        (["sub-01_rec.h5", "sub-02_rec.h5"], True),
        (["cam0.avi", "cam1.avi"], True),
        (["m7_20260304.avi", "m7_20260305.avi"], True),
        (["260304 m7.avi", "260305 m7.avi"], True),
        (["m7_2026-03-04_1.avi", "m7_2026-04-04_1.avi"], True),
        (["rec_c1.h5", "rec_c2.h5", "rec_c3.h5"], True),
        (["m1_rec.tif", "m2_rec.tif"], True),
        (["A1_rec.tif", "A2_rec.tif"], True),
        (["WT1.avi", "WT2.avi"], True),
        (["G7_1.avi", "G8_1.avi"], True),
        (["rec_25uM.avi", "rec_50uM.avi"], True),
        (["GCaMP6f.tif", "GCaMP7f.tif"], True),
        (["plane1.tif", "plane2.tif"], True),
        (["ID-123_x.tif", "ID-124_x.tif"], True),
        (["msCam1_mc.avi", "msCam2_mc.avi"], False),
        (["part1_cropped.avi", "part2_cropped.avi"], False),
        (["X_1_crop.tif", "X_2_crop.tif"], False),
        (["0_resized.avi", "1_resized.avi"], False),
        (["A0001_x.tif", "A0002_x.tif"], False),
        ([f"A{number}_x.tif" for number in range(1, 30)], False),
        ([f"c{number}.avi" for number in range(1, 9)], False),
        (["rec_c10.avi", "rec_c11.avi"], False),
        (["rec_1.avi", "rec_2.avi"], False),
        (["msCam1.avi", "msCam2.avi"], False),
        (["behavCam1.avi", "behavCam2.avi"], False),
        (["mouse7_1.avi", "mouse7_2.avi"], False),
        (["20260304_1.avi", "20260304_2.avi"], False),
        (["2026-03-04T14_30_12.avi", "2026-03-04T14_31_12.avi"], False),
        (["frames_204817.avi", "frames_204818.avi"], False),
        (["day1.avi", "day1_2.avi"], False),
    ],
    ids=str,
)
def test_mice_days_cameras_and_channels_are_recordings(tmp_path, files, apart):
    paths = [tmp_path / name for name in files]
    assert len(recordings_of(paths)) == (len(files) if apart else 1)
    assert len(series_of(paths)) == 1  # single frames of a camera may be named so


def test_a_missing_part_is_named(tmp_path):
    (series,) = series_of(tmp_path / name for name in ("X.tif", "X-001.tif", "X-003.tif"))
    with pytest.raises(InputError, match=r"X-002.tif is missing between X-001.tif and X-003.tif.*join=true"):
        series.check_gaps()
    assert series.split


def test_times_of_day_are_no_counters(tmp_path):
    files = [tmp_path / f"2026-01-01-{time}.avi" for time in ("100000", "100500", "101000")]
    (series,) = series_of(files)
    with pytest.raises(
        InputError, match="are numbered as by a clock; give one as input=, or join them"
    ) as told:
        series.check_gaps()
    assert "missing" not in str(told.value)
    assert all(str(file) in str(told.value) for file in files)


def test_a_counter_may_begin_anywhere(tmp_path):
    (series,) = series_of(tmp_path / f"frames_{number}.avi" for number in (204817, 204818, 204819))
    series.check_gaps()


def test_copies_are_named_so_and_hold_the_same(tmp_path):
    for name, content in (("X.tif", b"a" * 99), ("X (1).tif", b"a" * 99), ("X (2).tif", b"b" * 99)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "X - Copy.tif").write_bytes(b"a" * 99)
    found = copies(sorted(tmp_path.iterdir()))
    assert [file.name for file in found] == ["X (1).tif", "X - Copy.tif"]


def test_a_copy_that_holds_something_else_is_asked_about_and_no_part_is_lost(tmp_path):
    for name, content in (("0.avi", b"a"), ("1.avi", b"b"), ("1 (1).avi", b"c"), ("2.avi", b"b")):
        (tmp_path / name).write_bytes(content)
    files = sorted(tmp_path.iterdir())
    with pytest.raises(
        InputError, match=r"1 \(1\)\.avi: named as a copy of 1\.avi, and holds something else"
    ):
        check_copies(files)
    check_copies([file for file in files if "(" not in file.name])
    check_copies([tmp_path / name for name in ("X.tif", "X (1).tif", "X (2).tif")])  # Windows splits so


def test_parts_that_hold_the_same_are_said(tmp_path):
    for name, content in (("0.avi", b"a"), ("1.avi", b"b"), ("2.avi", b"b"), ("3.avi", b""), ("4.avi", b"")):
        (tmp_path / name).write_bytes(content)
    assert repeated(sorted(tmp_path.iterdir())) == ["2.avi holds the same as 1.avi"]


def test_the_stem_of_a_double_ending():
    assert stem(Path("a/run.ome.tif")) == "run"
    assert stem(Path("a/run.1.tif")) == "run.1"


@pytest.mark.parametrize(
    ("files", "others"),
    [
        (["X.tif", "X-001.tif", "X-002.tif"], 2),
        (["0.avi", "1.avi"], 1),
        (["pal8.avi", "pal8_96.avi"], 0),
        (["t1.tif", "t2.tif", "t5.tif"], 0),
        (["0.avi", "1.avi", "other.avi"], 0),
        (["alone.tif"], 0),
        (["day1.tif", "day2.tif"], 0),
    ],
    ids=str,
)
def test_what_goes_on_from_a_file(tmp_path, files, others):
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    assert len(others_of(tmp_path / files[0])) == others
