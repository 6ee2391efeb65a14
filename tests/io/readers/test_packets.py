"""Stripes of a Miniscope V4: packets of one buffer a few of its places ahead or behind, put in order again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.recordings import write_video

from calcium_lightning.io.array_session import as_session
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.readers.packets import PACKET, SIDE, WHOLE, PacketOrder, PacketsInOrder, Sensor
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.online.arriving import arriving

SENSOR = Sensor((SIDE, SIDE), (0, 0))


def picture(count: int, light: float = 120.0, seed: int = 0) -> np.ndarray:
    """A dim, vignetted field with cells and a sensor's noise, uint8 (n, SIDE, SIDE)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    field = light * np.exp(-3 * (y**2 + x**2))
    for cy, cx in random.uniform(-0.45, 0.45, (60, 2)):
        field = field + 0.2 * light * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 0.01**2))
    frames = field + random.normal(0, 3, (count, SIDE, SIDE))
    return frames.clip(0, 255).astype(np.uint8)


def striped(frames: np.ndarray, buffer: int, step: int, first: int) -> np.ndarray:
    """Frames as they are written when, from one on, a buffer's packets come some places late."""
    result = frames.copy()
    there, source = (
        part.reshape(len(frames), -1)[:, : WHOLE * PACKET].reshape(len(frames), WHOLE, PACKET)
        for part in (result, frames)
    )
    own = np.arange(buffer, WHOLE, 2)
    stream = source[:, own].reshape(-1, PACKET)
    late = np.roll(stream, step, 0).reshape(len(frames), len(own), PACKET)
    there[first:, own] = late[first:]
    return result


@pytest.mark.parametrize("buffer", [0, 1])
@pytest.mark.parametrize("step", [-2, -1, 1, 2])
def test_every_packet_is_back_in_its_place(tmp_path: Path, buffer: int, step: int) -> None:
    frames = picture(5)
    path = tmp_path / "a.npy"
    np.save(path, striped(frames, buffer, step, first=2))
    with open_recording(path) as whole:
        read = np.concatenate(list(whole.stream(0, 5, 2)))
        again = np.concatenate(list(whole.stream(1, 4, 3)))
        assert sum("stripes in 3 of 5 frames" in note for note in whole.notes) == 1
    np.testing.assert_array_equal(again, read[1:4])
    np.testing.assert_array_equal(read[:2], frames[:2])
    wrong = (read != frames)[2:].reshape(3, -1)
    # What a buffer lacks at a frame's end is of the frame before or after, which shows the same.
    assert (wrong.sum(1) <= abs(step) * PACKET).all()
    assert np.abs(read[2:].astype(float) - frames[2:]).mean() < 1.0


@pytest.mark.parametrize("light", [12.0, 120.0])
def test_pictures_in_order_are_left_as_they_are(light: float) -> None:
    frames = picture(4, light, seed=1)
    rows = np.arange(SIDE)[:, None]
    bands = (frames * (1 + 0.4 * np.sign(np.sin(2 * np.pi * rows / (2 * PACKET / SIDE))))).clip(0, 255)
    noise = np.random.default_rng(2).integers(0, 255, (2, SIDE, SIDE))
    blank = np.stack([np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), 255)])
    for kind in (frames, bands, noise, blank, frames[:, ::-1], frames.transpose(0, 2, 1)):
        assert not SENSOR.order_of(np.ascontiguousarray(kind, np.uint8)).any()


def test_dim_pictures_are_put_in_order_too() -> None:
    assert (SENSOR.order_of(striped(picture(6, 20.0), 0, 1, first=2))[2:] > 0).all()


@pytest.mark.parametrize("buffer", [0, 1])
@pytest.mark.parametrize(
    ("size", "origin"), [((600, 600), (0, 0)), ((600, 600), (4, 4)), ((608, 600), (0, 0))]
)
def test_frames_of_which_a_border_was_not_kept_are_put_in_order(
    tmp_path: Path, size: tuple[int, int], origin: tuple[int, int], buffer: int
) -> None:
    window = (slice(None), *(slice(first, first + side) for first, side in zip(origin, size, strict=True)))
    frames = picture(5)
    np.save(tmp_path / "a.npy", np.ascontiguousarray(striped(frames, buffer, 1, first=2)[window]))
    with open_recording(tmp_path / "a.npy") as whole:
        read = np.concatenate(list(whole.stream(0, 5, 2)))
    np.testing.assert_array_equal(read[:2], frames[window][:2])
    wrong = (read != frames[window])[2:]
    assert wrong.mean() < 0.06  # a packet, and what wasn't kept
    assert np.abs(read[2:].astype(float) - frames[window][2:]).mean() < 1.0


def test_the_command_says_so_and_no_frame_is_lost(run_command, tmp_path: Path) -> None:
    frames = picture(6)
    shown = striped(frames, 0, 1, first=3)
    (tmp_path / "scope").mkdir()
    write_video(tmp_path / "scope/0.avi", shown)
    done = run_command("ingest", "input=scope", "output=a.h5")
    assert done.status == 0, done.stderr
    assert "stripes in 3 of 6 frames" in done.stdout
    held = Session(tmp_path / "a.h5").frames(0, 6)
    assert (held != frames).reshape(6, -1).sum(1).max() <= PACKET
    assert not Session(tmp_path / "a.h5").bad_frames.any()


def test_frames_are_put_in_order_as_they_arrive(tmp_path: Path) -> None:
    frames = picture(6)
    (tmp_path / "scope").mkdir()
    write_video(tmp_path / "scope/0.avi", striped(frames, 1, 1, first=2))
    read = np.stack(list(arriving(tmp_path / "scope", patience_s=0.02)))
    np.testing.assert_array_equal(read[:2], frames[:2])
    assert (read != frames).reshape(6, -1).sum(1).max() <= PACKET


def test_frames_of_another_size_are_left_as_they_are() -> None:
    packets = PacketOrder()
    frames = striped(picture(3), 1, 1, first=0)
    assert packets.restore(frames)[1].all()
    for other in (frames[:, :100, :100], np.zeros((2, 700, 700), np.uint8), frames.astype(np.uint16)):
        restored, had = packets.restore(other)
        assert restored is other
        assert not had.any()


def test_other_recordings_and_sessions_are_not_looked_at(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "a.h5", SIDE, SIDE, "uint8", 20.0) as writer:
        writer.append(np.zeros((2, SIDE, SIDE), np.uint8))
    assert isinstance(as_session(tmp_path / "a.h5"), Session)
    for name, frames in (
        ("a", np.zeros((3, 480, 752), np.uint8)),
        ("b", np.zeros((3, SIDE, SIDE), np.uint16)),
    ):
        np.save(tmp_path / f"{name}.npy", frames)
        with open_recording(tmp_path / f"{name}.npy") as whole:
            assert not isinstance(whole, PacketsInOrder)
