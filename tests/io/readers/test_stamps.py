import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.stamps import measured_rate, read_stamps

N = 40
TIMES = np.arange(N) * 0.05 + 0.017
HEADER = "Frame Number,Time Stamp (ms),Buffer Index\n"


def rows(pattern, frames=range(N), milliseconds=lambda i: 17 + 50 * i):
    return "".join(pattern.format(i=i, ms=milliseconds(i), s=(17 + 50 * i) / 1e3) for i in frames)


def read(tmp_path, text, count=N, nominal=None):
    (tmp_path / "t.csv").write_text(text)
    return read_stamps(tmp_path / "t.csv", count, nominal)


@pytest.mark.parametrize(
    "text",
    [
        HEADER + rows("{i},{ms},0\n"),
        "Frame Number;Time Stamp (ms);Buffer Index\n" + rows("{i};{ms};0\n"),
        "Frame Number;Time Stamp (s)\n" + rows("{i};{s}\n").replace(".", ","),
        "frameNum\tsysClock\n" + rows("{i}\t{ms}\n"),
        "Frame\tTime (s)\n" + rows("{i}\t{s}\n").replace(".", ","),
        "\ttime\tstamp\n" + rows("{i}\t{s}\t{i}\n"),
        " time\n" + rows("  {i}  {s}\n"),
        "Frame,Time (s)\n" + rows('{i},"{s}"\n').replace(".", ","),
        rows('"{i}","{s}"\n').replace(".", ","),
        rows("{i} {s}\n").replace(".", ","),
        rows("{i};{s};0\n").replace(".", ","),
        "Frame Number,Time Stamp (ms)\n" + rows("{ms},{i}\n"),
        "time_s\n" + rows("{s}\n"),
        rows("{i} {ms}\n"),
        rows("{s}\n"),
        rows("{i},{ms}000\n"),
        HEADER + "-1,0,0\n" + rows("{i},{ms},0\n"),
        HEADER + rows("{i},{ms},0\n", range(17)) + rows("{i},{ms},0\n", range(17, N)).rstrip() + "\n\n",
        '"' + HEADER.strip().replace(",", '","') + '"\n' + rows('"{i}","{ms}","0"\n'),
    ],
    ids=str,
)
def test_any_layout_gives_the_same_times(tmp_path, text):
    found = read(tmp_path, text)
    np.testing.assert_allclose(found.times, TIMES, atol=1e-9)
    assert not found.after_gap.any()


def test_unix_milliseconds_and_dates(tmp_path):
    for text in (
        rows("{i},{ms}\n", milliseconds=lambda i: 1663592608635 + 50 * i),
        rows("2022-09-19T15:03:{ms},{i}\n", milliseconds=lambda i: f"{28 + (635 + 50 * i) / 1e3:.7f}+02:00"),
    ):
        found = read(tmp_path, text)
        np.testing.assert_allclose(found.times, np.arange(N) * 0.05, atol=1e-5)
        assert found.start == pytest.approx(1663592608.635)


@pytest.mark.parametrize("pattern", ["14:30:{s:09.6f}", "03/04/2026 14:30:{s:09.6f}", "2:30:{s:09.6f} PM"])
@pytest.mark.parametrize(
    "header", ["Frame Number,Time Stamp (ms),Buffer Index\n", "", "frame,clock,buffer\n"]
)
def test_times_of_day(tmp_path, pattern, header):
    """Of a date whose month may be its day only the time counts."""
    for comma in (False, True):
        text = header + rows(f'{{i}},"{pattern}",0\n')
        found = read(tmp_path, text.replace(".", ",") if comma else text)
        np.testing.assert_allclose(np.diff(found.times), 0.05, atol=1e-6)
        assert (found.times[0], found.start) == (pytest.approx(14.5 * 3600 + 0.017), None)


def test_a_day_written_with_strokes(tmp_path):
    found = read(tmp_path, rows("2026/03/04 14:30:{s:09.6f},{i}\n"))
    np.testing.assert_allclose(found.times, np.arange(N) * 0.05, atol=1e-6)
    assert found.start is not None


@pytest.mark.parametrize("tail", ["39,19", "39,1967", "39", "39,,", "39,nan,0"])
def test_a_half_written_last_row(tmp_path, tail):
    found = read(tmp_path, HEADER + rows("{i},{ms},0\n", range(N - 1)) + tail)
    np.testing.assert_allclose(found.times, TIMES, atol=1e-9)
    assert "1 of 40 time stamps is missing" in found.notes[0]


def test_lost_first_rows_are_told_by_the_numbers(tmp_path):
    found = read(tmp_path, "7,0\n" + rows("{i},{ms},0\n", range(8, N)))
    np.testing.assert_allclose(found.times, TIMES, atol=1e-9)
    assert "8 of 40" in found.notes[0]


def test_a_few_rows_too_many_are_said(tmp_path):
    found = read(tmp_path, HEADER + rows("{i},{ms},0\n", range(N + 3)))
    np.testing.assert_allclose(found.times, TIMES, atol=1e-9)
    assert "last 3 time stamps have no frame" in found.notes[0]


@pytest.mark.parametrize("count", [20, 34, 90])
def test_many_too_many_or_too_few_are_refused(tmp_path, count):
    with pytest.raises(InputError, match=rf"40 (time stamps for|of) {count}|times for 40 of {count}"):
        read(tmp_path, HEADER + rows("{i},{ms},0\n"), count)


@pytest.mark.parametrize("lost", [1, 2, 3, 20, 400])
@pytest.mark.parametrize("begin", [0, 1, 7000])
@pytest.mark.parametrize("more", [0, 1])
def test_numbers_that_jump_where_frames_were_dropped(tmp_path, lost, begin, more):
    """The video holds what arrived, a row for each."""
    numbers = np.arange(N) + lost * (np.arange(N) >= N // 2)
    text = HEADER + "".join(f"{begin + number},{17 + 50 * number},0\n" for number in numbers)
    found = read(tmp_path, text, N - more)
    np.testing.assert_allclose(found.times, (0.017 + 0.05 * numbers)[: N - more], atol=1e-9)
    assert np.flatnonzero(found.after_gap).tolist() == [N // 2]
    assert f"about {lost} frames' time is missing" in found.notes[-1]


def test_rows_of_an_earlier_recording_are_left_out(tmp_path):
    text = HEADER + rows("{i},{ms},0\n", range(25)) + rows("{i},{ms},0\n")
    found = read(tmp_path, text)
    np.testing.assert_allclose(found.times, TIMES, atol=1e-9)
    assert "25 rows of an earlier recording" in found.notes[0]


def test_units_that_contradict_the_header_are_said(tmp_path):
    found = read(tmp_path, "Frame Number,Time Stamp (ms)\n" + rows("{i},{s}\n"), nominal=20)
    np.testing.assert_allclose(found.times, TIMES, atol=1e-9)
    assert "units of 1 s" in found.notes[0]


def test_buffers_of_a_wireless_scope(tmp_path):
    lines = [
        f"{i + 100},{3 * i + j},{1.7e9 + 0.1 * i + 0.01 * j:.3f},{i}\n" for i in range(N) for j in range(3)
    ]
    header = "frame_num,buffer_count,buffer_recv_unix_time,reconstructed_frame_index\n"
    found = read(tmp_path, header + "".join(lines))
    np.testing.assert_allclose(found.times, np.arange(N) * 0.1, atol=1e-5)


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n5,1\n2,2\n9,0\n", "Frame Number,Time Stamp (ms)\n", f'"{"long" * 50000}\n{"x" * 9}\n'],
    ids=len,
)
def test_what_holds_no_times_is_refused(tmp_path, text):
    with pytest.raises(
        InputError, match=r"is empty|no rows|no column of rising times \(there are: (a, b|long)"
    ):
        read(tmp_path, text)


def test_the_rate_of_a_whole_file(tmp_path):
    (tmp_path / "t.csv").write_text(HEADER + rows("{i},{ms},0\n", milliseconds=lambda i: 34 * i))
    assert measured_rate(tmp_path / "t.csv") == pytest.approx(1e3 / 34)


def test_the_rate_of_cameras_that_run_alike(tmp_path):
    for second, rate in ((50, 20), (33, None)):
        lines = [
            f"{camera}\t{i}\t{period * i}\n" for i in range(N) for camera, period in enumerate((50, second))
        ]
        (tmp_path / "t.dat").write_text("camNum\tframeNum\tsysClock\n" + "".join(lines))
        assert measured_rate(tmp_path / "t.dat") == rate
    (tmp_path / "t.dat").write_text(
        "camNum\tframeNum\tsysClock\n" + "".join(f"\t{i}\t{50 * i}\n" for i in range(N))
    )
    assert measured_rate(tmp_path / "t.dat") == 20


def test_counts_of_an_oscillator_are_no_times(tmp_path):
    text = "Clock,Value\n" + "".join(f"{8333333 * i},{i % 7}\n" for i in range(N))
    with pytest.raises(InputError, match="in no unit that gives a frame rate"):
        read(tmp_path, text, nominal=30)
