"""What Bonsai and mio leave in a folder, by their public documentation and source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from helpers.recordings import movie, write_video

from calcium_lightning.io.readers.formats import open_recording

BEGAN = datetime(2024, 5, 6, 12, 30, 15, 123456, tzinfo=UTC)


def bonsai_time(seconds: float) -> str:
    """As .NET prints a DateTimeOffset: seven digits and the zone."""
    moment = BEGAN + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}7+00:00"


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("names", [("image-data.avi", "quaternion-data.csv"), ("scope.avi", "scope.csv")])
def test_the_save_data_workflow_of_open_ephys(tmp_path, header, names):
    """VideoWriter (Y800, no compression) beside CsvWriter: frame number, quaternion, time stamp."""
    frames = movie(40, width=40)
    rng = np.random.default_rng(0)
    write_video(tmp_path / names[0], frames, "rawvideo", "gray", rate=30)
    turned = rng.normal(0, 1, (40, 4))
    rows = [
        ",".join([str(700 + k), *(f"{value:.6f}" for value in turned[k]), bonsai_time(k / 20)])
        for k in range(40)
    ]
    first = ["Value.Item1,Value.Item2.X,Value.Item2.Y,Value.Item2.Z,Value.Item2.W,Timestamp"] * header
    (tmp_path / names[1]).write_text("\n".join([*first, *rows]) + "\n")
    with open_recording(tmp_path) as recording:
        read = np.concatenate(list(recording.blocks(0, recording.n_frames, 16)))
        np.testing.assert_array_equal(read, frames)
        assert recording.fps == pytest.approx(20, rel=0.01)
        assert recording.about["session_start_time"].startswith("2024-05-06T12:30:15")


def test_a_wireless_recording_of_mio(tmp_path):
    """A video, and a row of its metadata for each buffer of a frame; -1 where nothing was made of it."""
    frames = movie(20)
    write_video(tmp_path / "out.avi", frames, "ffv1", "gray", rate=20)
    names = (
        "linked_list,frame_num,buffer_count,frame_buffer_count,write_buffer_count,dropped_buffer_count,"
        "timestamp,pixel_count,write_timestamp,battery_voltage_raw,input_voltage_raw,buffer_recv_index,"
        "buffer_recv_unix_time,black_padding_px,reconstructed_frame_index"
    )
    rows = []
    start = BEGAN.timestamp()
    for frame in range(20):
        for part in range(8):
            count = 8 * frame + part
            seconds = start + frame / 20 + part / 200
            made = -1 if count == 0 else frame
            rows.append(
                f"0,{500 + frame},{count},{part},{count},0,{1000 + 50 * frame},30,{1001 + 50 * frame},0,0,{count},"
                f"{seconds:.6f},0,{made}"
            )
    (tmp_path / "out.csv").write_text("\n".join([names, *rows]) + "\n")
    for path in (tmp_path, tmp_path / "out.avi"):
        with open_recording(path) as recording:
            assert recording.n_frames == 20
            assert recording.fps == pytest.approx(20, rel=0.01)
            assert recording.timestamps is not None
            np.testing.assert_allclose(np.diff(recording.timestamps), 0.05, atol=1e-3)
