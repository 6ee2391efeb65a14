import math

import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Break, FrameError, Recording, check_facts
from calcium_lightning.io.readers.clock import Clock
from calcium_lightning.io.readers.formats import open_recording


class Broken(Recording):
    """Forty frames, with breaks."""

    def __init__(self, *breaks):
        self.path, self.shape, self.dtype = "rec", (40, 2, 3), np.dtype("uint8")
        self.breaks = tuple(Break(frame, f"lost at {frame}") for frame in breaks)

    def blocks(self, start, stop, size):
        yield np.zeros((stop - start, 2, 3), np.uint8)


@pytest.mark.parametrize(
    ("breaks", "start", "stop"),
    [((), 0, None), ((20,), 0, 20), ((20,), 20, None), ((20, 30), 20, 30), ((40,), 0, 40), ((0,), 1, None)],
)
def test_ranges_between_breaks_are_read(breaks, start, stop):
    Broken(*breaks).check_whole(start, stop)


@pytest.mark.parametrize(
    ("breaks", "start", "stop", "advice"),
    [
        ((20,), 0, None, "stop=20 takes the 20 frames before it and start=20 the 20 behind it"),
        ((20, 30), 0, 40, "stop=20 takes the 20 frames before it and start=20 stop=30 the 10 behind it"),
        ((20, 30), 20, None, "start=20 stop=30 takes the 10 frames before it and start=30 the 10 behind it"),
        ((40,), 0, None, "stop=40 takes the 40 frames before it"),
        ((0,), 0, None, "start=1 takes the 39 behind it"),
        ((1,), 0, 40, "start=1 takes the 39 behind it"),
    ],
)
def test_ranges_across_a_break_are_refused_with_what_works(breaks, start, stop, advice):
    with pytest.raises(InputError, match=rf"lost at \d+; copy it again, or {advice}$"):
        Broken(*breaks).check_whole(start, stop)


def test_a_frame_is_counted_in_the_recording():
    error = FrameError(Broken().path, 3, "is corrupt")
    assert str(error) == "rec: frame 3 is corrupt; stop=3 takes the frames before it"
    assert str(FrameError("rec", 1, "is corrupt")).endswith("start=2 takes those behind it")
    assert str(FrameError("rec", 1, "is corrupt", skips=False)).endswith("copy the file again")


def test_what_no_recording_can_have_is_left_out(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 5), np.uint8))
    with open_recording(tmp_path / "a.npy") as recording:
        recording.fps, recording.pixel_size_um = math.inf, -1.0
        recording.timestamps = np.array([0, math.inf, 2])
        recording.about = {"subject_id": "a\0b\ud800" + "x" * 70_000}
        check_facts(recording)
        assert recording.fps is recording.pixel_size_um is recording.timestamps is None
        assert "time stamps are no numbers" in recording.clock_problem
        assert recording.about["subject_id"].startswith("ab?xxx")
        assert len(recording.about["subject_id"]) < 5000
        recording.shape = (3, 0, 5)
        with pytest.raises(InputError, match="hold nothing"):
            check_facts(recording)
        recording.shape = (2**31, 4, 5)
        with pytest.raises(InputError, match="2147483648 frames; more than"):
            check_facts(recording)
        recording.use_clock(Clock(np.arange(3.0), (), np.zeros(3, bool), start=6.4e14))  # ticks, no date
        assert "session_start_time" not in recording.about
