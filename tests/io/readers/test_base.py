import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Break, FrameError, Recording


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
