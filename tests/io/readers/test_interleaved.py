"""Channels that take turns, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Break
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.readers.interleaved import InterleavedRecording
from calcium_lightning.io.session import Session


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (23, 9, 11), np.uint8)


@pytest.fixture
def path(frames, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", frames)
    return tmp_path / "a.tif"


@pytest.mark.parametrize(("count", "which"), [(2, 0), (2, 1), (3, 2), (5, 4)])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_every_so_manyth_frame_is_read_whatever_the_blocks(frames, path, count: int, which: int, size: int):
    with open_recording(path) as whole:
        one = InterleavedRecording(whole, count, which)
        wanted = frames[which::count]
        assert one.shape == wanted.shape
        for start, stop in ((0, one.n_frames), (1, one.n_frames - 1), (2, 2)):
            read = [block for block in one.stream(start, stop, size) if len(block)]
            got = np.concatenate(read) if read else np.zeros((0, *one.shape[1:]))
            np.testing.assert_array_equal(got, wanted[start:stop])


def test_rate_times_and_what_is_missing_follow(path):
    with open_recording(path) as whole:
        whole.fps, whole.timestamps = 20.0, np.arange(23) / 20
        whole.bad_frames = np.arange(23) == 7
        whole.breaks = (Break(10, "cut off"),)
        even, odd = (InterleavedRecording(whole, 2, which) for which in (0, 1))
    assert (even.fps, even.n_frames, odd.n_frames) == (10, 12, 11)
    np.testing.assert_allclose(odd.timestamps[:2], [0.05, 0.15])
    assert (even.bad_frames.any(), np.flatnonzero(odd.bad_frames).tolist()) == (False, [3])
    assert [gap.frame for gap in (*even.breaks, *odd.breaks)] == [5, 5]


@pytest.mark.parametrize(("missing", "told"), [(0, False), (1, True), (2, False), (3, True)])
def test_missing_frames_after_which_another_channel_follows_are_said(path, missing: int, told: bool):
    with open_recording(path) as whole:
        whole.timestamps = (np.arange(23) + missing * (np.arange(23) >= 9)) / 20
        one = InterleavedRecording(whole, 2, 0)
    assert any("missing before frame 9" in note for note in one.notes) == told


def test_the_command_takes_one_of_them_and_says_so(run_command, frames, path, tmp_path):
    done = run_command("ingest", "input=a.tif", "output=b.h5", "fps=20", "interleaved=2", "channel=1")
    assert done.status == 0, done.stderr
    assert "every second frame, from frame 1 on" in done.stdout
    session = Session(tmp_path / "b.h5")
    assert session.fps == 10
    np.testing.assert_array_equal(session.frames(0, 11), frames[1::2])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["interleaved=2"], "needs channel=0 to 1"),
        (["interleaved=2", "channel=2"], "channel=2: interleaved=2 needs channel=0 to 1"),
        (["interleaved=0", "channel=0"], "interleaved=0: two or more"),
    ],
)
def test_which_is_meant_must_be_said(run_command, path, tmp_path, given: list[str], said: str):
    done = run_command("ingest", "input=a.tif", "output=b.h5", "fps=20", *given)
    assert done.status == 2
    assert said in done.stderr
    assert not (tmp_path / "b.h5").exists()


def test_a_session_that_knows_its_cells_is_not_split(path):
    with open_recording(path) as whole:
        whole.truth = object()
        with pytest.raises(InputError, match="known already"):
            InterleavedRecording(whole, 2, 0)
