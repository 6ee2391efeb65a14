"""Doric's files: stacks (y, x, time) with their times beside them, as danse writes them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from helpers.recordings import movie

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording

PLACE = "DataAcquisition/MicroscopeDriver-1stGen1C/Images/Series0001/Sensor1"


def write(path, stacks, name="ImageStack", rate=10.0):
    with h5py.File(path, "w") as file:
        for place, frames in stacks.items():
            group = file.create_group(place)
            height, width = frames.shape[1:]
            stack = group.create_dataset(
                name,
                (height, width, len(frames)),
                "u2",
                chunks=(height, width, 1),
                maxshape=(height, width, None),
            )
            stack[...] = frames.transpose(1, 2, 0)
            stack.attrs.update(BitCount=10, Format=28, Height=height, Width=width)
            group["Time"] = 3 + np.arange(len(frames)) / rate
        signals = file.create_group("DataAcquisition/FPConsole/Signals/Series0001/AIN01")
        signals["Values"], signals["Time"] = np.zeros(500), np.arange(500) / 50
    return path


@pytest.mark.parametrize("name", ["ImageStack", "ImagesStack"])
@pytest.mark.parametrize("file", ["a.doric", "a.h5"])
def test_frames_times_and_driver(tmp_path, name, file):
    frames = movie(12, dtype="uint16")
    with open_recording(write(tmp_path / file, {PLACE: frames}, name)) as recording:
        assert recording.shape == (12, 24, 38)
        np.testing.assert_array_equal(np.concatenate(list(recording.stream(0, 12, 5))), frames)
        assert recording.fps == pytest.approx(10)
        np.testing.assert_allclose(recording.timestamps - recording.timestamps[0], np.arange(12) / 10)
        assert recording.about["device"] == "MicroscopeDriver-1stGen1C"


def test_what_was_recorded_goes_before_what_was_made_of_it(tmp_path):
    made = PLACE.replace("DataAcquisition", "DataProcessed")
    path = write(tmp_path / "a.doric", {PLACE: movie(12), made: movie(9)})
    with open_recording(path) as recording:
        assert recording.n_frames == 12
    for key in (made, f"{made}/ImageStack", f"/{made}"):
        with open_recording(path, key=key) as recording:
            assert recording.n_frames == 9


def test_of_several_sensors_one_is_chosen(tmp_path):
    other = PLACE.replace("Sensor1", "Sensor2")
    path = write(tmp_path / "a.doric", {PLACE: movie(12), other: movie(9)})
    with pytest.raises(
        InputError, match=rf"several recordings; choose with key=: {PLACE}/ImageStack, {other}"
    ):
        open_recording(path)
    with open_recording(path, key=other) as recording:
        assert recording.n_frames == 9


def test_signals_alone_are_no_recording(tmp_path):
    with pytest.raises(InputError, match=r"a Doric file without images \(no ImageStack\)"):
        open_recording(write(tmp_path / "a.doric", {}))


def test_the_command(tmp_path, run_command):
    write(tmp_path / "a.doric", {PLACE: movie(20, dtype="uint16")})
    done = run_command("ingest", "input=a.doric", "output=a.h5")
    assert done.status == 0, done.stderr
    assert "20 frames of 24 x 38 uint16, 10 Hz" in done.stdout
