from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from helpers.recordings import movie, read_all, write_video

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording


def write(path, *names, external="", spacing=(2.5e-6, 2.5e-6), dimension=None, **times):
    """An NWB file with one-photon series, stored (time, x, y) as the standard says."""
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.ophys import OnePhotonSeries, OpticalChannel

    nwb = NWBFile("a recording", "id", datetime(2026, 1, 1, tzinfo=UTC))
    channel = OpticalChannel(name="c", description="green", emission_lambda=510.0)
    plane = nwb.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="p",
        device=nwb.create_device(name="scope"),
        excitation_lambda=470.0,
        indicator="GCaMP6f",
        location="CA1",
        grid_spacing=list(spacing),
        grid_spacing_unit="meters",
    )
    for name in names:
        data = (
            {"external_file": [external], "format": "external", "starting_frame": [0]}
            if external
            else {"data": movie(11).transpose(0, 2, 1)}
        )
        data |= {"dimension": dimension} if dimension else {}
        nwb.add_acquisition(
            OnePhotonSeries(name=name, imaging_plane=plane, unit="n.a.", **data, **(times or {"rate": 20.0}))
        )
    with NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    return path


def test_frames_rate_and_scale(tmp_path):
    path = write(tmp_path / "a.nwb", "OnePhotonSeries", rate=20.0, starting_time=3.0)
    assert np.array_equal(read_all(path), movie(11))  # 24 x 38: a transposed field would show
    with open_recording(path) as recording:
        assert recording.fps == 20
        assert recording.pixel_size_um == pytest.approx(2.5)
        assert np.allclose(recording.timestamps, 3 + np.arange(11) / 20)


def test_time_stamps(tmp_path):
    times = np.arange(11) * 0.1 + 5
    with open_recording(write(tmp_path / "a.nwb", "OnePhotonSeries", timestamps=times)) as recording:
        assert recording.fps == pytest.approx(10)
        assert np.allclose(recording.timestamps, times)


@pytest.mark.parametrize("began", [0.0, 7.5])
def test_unix_times_are_counted_from_when_the_session_began(tmp_path, began):
    """Of stamps and of a starting time; the standard wants seconds from there in the first place."""
    unix = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + began
    times = np.arange(11) * 0.1
    for name, given in {
        "a": {"timestamps": unix + times},
        "b": {"rate": 10.0, "starting_time": unix},
    }.items():
        with open_recording(write(tmp_path / f"{name}.nwb", "OnePhotonSeries", **given)) as recording:
            assert recording.fps == pytest.approx(10)
            assert np.allclose(recording.timestamps, began + times, atol=1e-5)
            assert recording.about["session_start_time"].startswith("2026-01-01T00:00:00")


def test_files_that_break_the_standard(tmp_path):
    assert np.array_equal(read_all(write(tmp_path / "a.nwb", "s"), axes="tyx"), movie(11).transpose(0, 2, 1))


def test_several_series_are_not_guessed(tmp_path):
    path = write(tmp_path / "a.nwb", "green", "red")
    with pytest.raises(
        InputError, match=r"several OnePhotonSeries; choose with key=: acquisition/green, acquisition/red"
    ):
        open_recording(path)
    for key in ("red", "acquisition/red", "/acquisition/red/data"):
        assert np.array_equal(read_all(path, key=key), movie(11))
    with pytest.raises(InputError, match=r"no image series rad; nearest: acquisition/red"):
        open_recording(path, key="rad")


def test_no_series(tmp_path):
    with pytest.raises(InputError, match="no OnePhotonSeries"):
        open_recording(write(tmp_path / "a.nwb"))


def test_frames_in_another_file(tmp_path):
    with pytest.raises(InputError, match=r"they are in 0.avi; ingest that"):
        open_recording(write(tmp_path / "a.nwb", "s", external="0.avi", timestamps=np.arange(11.0)))


@pytest.mark.parametrize("name", ["0.avi", "/data/lab/0.avi", r"D:\lab\0.avi", r"sub\1.avi"])
def test_another_file_is_found_beside_wherever_it_was(tmp_path, name):
    (tmp_path / "sub").mkdir()
    write_video(tmp_path / "0.avi", movie(11))
    write_video(tmp_path / "sub" / "1.avi", movie(11))
    path = write(tmp_path / "a.nwb", "s", external=name, timestamps=np.arange(11.0))
    assert np.array_equal(read_all(path), movie(11))


def test_a_dimension_that_contradicts_the_frames_is_said(tmp_path):
    for dimension, contradicts in (((38, 24), False), ((24, 38), True)):
        with open_recording(write(tmp_path / "a.nwb", "s", dimension=dimension)) as recording:
            assert recording.shape == (11, 24, 38)
            assert any("its dimension is [24, 38]" in note for note in recording.notes) == contradicts
    assert not open_recording(tmp_path / "a.nwb", axes="txy").notes


def test_pixels_that_are_not_square_have_no_size(tmp_path):
    with open_recording(write(tmp_path / "a.nwb", "s", spacing=(1e-6, 2e-6))) as recording:
        assert recording.pixel_size_um is None


def test_several_files_are_read_in_the_order_of_their_starting_frames(tmp_path):
    frames = movie(11)
    write_video(tmp_path / "a.avi", frames[:4])
    write_video(tmp_path / "b.avi", frames[4:])
    path = write(tmp_path / "a.nwb", "s", external="a.avi", timestamps=np.arange(11.0))
    for names, starts, mended in ((["b.avi", "a.avi"], [4, 0], True), (["a.avi", "b.avi"], [0, 0], False)):
        with h5py.File(path, "r+") as file:
            del file["acquisition/s/external_file"]
            file["acquisition/s/external_file"] = names
            file["acquisition/s/external_file"].attrs["starting_frame"] = starts
        assert np.array_equal(read_all(path), frames)
        with open_recording(path) as recording:
            assert any("starting_frame" in note for note in recording.notes) == mended
