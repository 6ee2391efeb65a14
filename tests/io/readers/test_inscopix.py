import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from helpers.recordings import movie, read_all

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording


@pytest.fixture
def isxd(tmp_path):
    path = tmp_path / "a.isxd"
    path.write_bytes(b"inscopix")
    return path


@pytest.fixture
def isx(monkeypatch):
    """A stand-in with the part of isx's interface that is used; the real one must not be installed here."""
    frames = movie(9, dtype="uint16")

    class Movie:
        timing = SimpleNamespace(num_samples=9, period=SimpleNamespace(secs_float=0.05))
        spacing = SimpleNamespace(num_pixels=(24, 38))
        data_type = np.uint16

        @classmethod
        def read(cls, path):
            if "broken" in path:
                raise Exception("cannot parse footer")
            return cls()

        def get_frame_data(self, index):
            if index == 7 and self.broken_frame:
                raise Exception("bad frame")
            return frames[index].astype(np.int64)

        broken_frame = False

    module = ModuleType("isx")
    module.Movie = Movie
    monkeypatch.setitem(sys.modules, "isx", module)
    return SimpleNamespace(Movie=Movie, frames=frames)


def test_without_isx_the_message_says_what_to_do(isxd, monkeypatch):
    monkeypatch.setitem(sys.modules, "isx", None)
    with pytest.raises(
        InputError, match=r"isx \(non-commercial licence\): pip install isx, or export .* TIFF"
    ):
        open_recording(isxd)


def test_frames_and_rate(isxd, isx):
    assert np.array_equal(read_all(isxd), isx.frames)
    with open_recording(isxd) as recording:
        assert recording.fps == pytest.approx(20)


def test_a_corrupt_frame_is_named(isxd, isx):
    isx.Movie.broken_frame = True
    with pytest.raises(InputError, match="frame 7 can't be read"):
        read_all(isxd)


def test_no_movie(isx, tmp_path):
    (tmp_path / "broken.isxd").write_bytes(b"x")
    with pytest.raises(InputError, match="not an Inscopix movie"):
        open_recording(tmp_path / "broken.isxd")


def test_what_lies_beside_a_movie_is_left_out_of_its_folder(tmp_path, isx):
    for name in ("a.isxd", "a_gpio.isxd"):
        (tmp_path / name).write_bytes(b"inscopix")
    footer = json.dumps({"type": 1, "timingInfo": {}, "spacingInfo": {}}).encode()
    (tmp_path / "cells.isxd").write_bytes(b"x" * 9 + footer + b"\0" + len(footer).to_bytes(8, "little"))
    with open_recording(tmp_path) as recording:
        assert recording.n_frames == 9
        assert "left out: a_gpio.isxd, cells.isxd" in recording.notes[0]


def test_a_movie_that_was_cut_off_is_said_to_be_copied_again(isxd, monkeypatch):
    monkeypatch.setitem(sys.modules, "isx", None)
    with pytest.raises(InputError, match=r"cut off, then copy it again"):
        open_recording(isxd)
