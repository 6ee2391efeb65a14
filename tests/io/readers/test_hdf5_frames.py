"""HDF5 files with a dataset for each frame: in the order of their numbers, whatever else is there."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from helpers.recordings import movie

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording

FRAMES = movie(12)


def read(path, **options):
    with open_recording(path, **options) as recording:
        return np.concatenate(list(recording.stream(0, recording.n_frames, 5)))


@pytest.mark.parametrize(
    "name", ["frame_{}", "images/{:05d}", "t{}/channel0", "run1/{}/image", "run 2026-01-01/frame {} of 12"]
)
@pytest.mark.parametrize("kept", [(), (1,)])
def test_in_the_order_of_their_numbers(tmp_path, name, kept):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in np.random.default_rng(0).permutation(12):
            file[name.format(number)] = FRAMES[number].reshape(*kept, *FRAMES.shape[1:])
        file["mean"], file["times"] = FRAMES.mean(0), np.arange(12.0)
        file.attrs["fps"] = 15.0
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), FRAMES)
    with open_recording(tmp_path / "a.h5") as recording:
        assert recording.fps == 15
        assert recording.notes[0].startswith("12 frames, each in a dataset of its own (")


def test_fijis_channels(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, frame in enumerate(FRAMES):
            file[f"t{number}/channel0"], file[f"t{number}/channel1"] = frame, 255 - frame
    with pytest.raises(InputError, match="holds 2 channels of the same frames"):
        open_recording(tmp_path / "a.h5")
    np.testing.assert_array_equal(read(tmp_path / "a.h5", channel=0), FRAMES)
    np.testing.assert_array_equal(read(tmp_path / "a.h5", channel=1), 255 - FRAMES)


def test_a_stack_goes_before_pictures(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["mov"] = FRAMES
        for number in range(20):
            file[f"cell_{number}"] = FRAMES[0]
    assert read(tmp_path / "a.h5").shape == FRAMES.shape


def test_numbers_that_tell_no_order(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, frame in enumerate(FRAMES):
            file[f"{number}/{number // 5}"] = frame
    with pytest.raises(InputError, match=r"#/# are single frames.*into one dataset of \(12, 24, 38\)"):
        open_recording(tmp_path / "a.h5")


def test_the_command(tmp_path, run_command):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, frame in enumerate(FRAMES):
            file[f"frame_{number}"] = frame
    done = run_command("ingest", "input=a.h5", "output=s.h5", "fps=20")
    assert done.status == 0, done.stderr
    assert "12 frames of 24 x 38 uint8, 20 Hz" in done.stdout
