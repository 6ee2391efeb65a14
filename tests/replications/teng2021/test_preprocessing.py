"""The published preprocessing: each step against what was planted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.replications.teng2021.preprocessing import (
    PublishedChain,
    PublishedRecording,
    displacement,
)


class Frames(Recording):
    """An array as a recording."""

    def __init__(self, frames: np.ndarray, kind: str | None = None) -> None:
        self.path, self.frames, self.kind = Path("frames"), frames, kind
        self.shape, self.dtype, self.fps, self.pixel_size_um = frames.shape, frames.dtype, 20.0, 2.0

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        for begin in range(start, stop, size):
            yield self.frames[begin : min(begin + size, stop)]


def tissue(size: tuple[int, int] = (120, 100), seed: int = 0) -> np.ndarray:
    image = gaussian_filter(np.random.default_rng(seed).random(size), 3)
    return (image - image.min()) / np.ptp(image)


def moving(count: int = 50) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(count)
    motion = np.stack([3 * np.sin(t / 6), 2 * np.cos(t / 8) - 2], 1)
    return np.stack([shift(tissue(), d, order=3, mode="nearest") for d in motion]), motion


def test_displacement_is_found_to_a_fraction_of_a_pixel():
    base = tissue((80, 70))
    wanted = np.array([[0.0, 0.0], [1.35, -2.6], [-7.2, 4.05]])
    moved = np.stack([shift(base, d, order=3, mode="grid-wrap") for d in wanted])
    first = torch.from_numpy(np.repeat(base[None], 3, 0)).float()
    found = displacement(first, torch.from_numpy(moved).float(), upsampling=20)
    np.testing.assert_allclose(found.numpy(), wanted, atol=0.06)
    whole = displacement(first, torch.from_numpy(moved).float(), upsampling=1)
    np.testing.assert_allclose(whole.numpy(), np.rint(wanted), atol=0)
    assert displacement(torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)).tolist() == [[0, 0]]


def test_motion_is_removed():
    movie, motion = moving()
    frames = PublishedRecording(
        Frames((100 + 100 * movie).astype(np.float32)), PublishedChain(flat_sigma=5.0)
    )
    assert frames.shape == (50, 38, 32)  # 40 % of 120 x 100, and 80 % of that
    wanted = 0.4 * (motion - motion[0])
    assert np.sqrt(np.mean((frames.shifts_px - wanted) ** 2)) < 0.25  # errors add up from frame to frame
    assert (frames.kind, frames.motion_corrected, frames.pixel_size_um, frames.fps) == (
        "dff",
        True,
        5.0,
        20.0,
    )
    out = np.concatenate(list(frames.blocks(0, 50, 16)))
    still = PublishedRecording(
        Frames((100 + 100 * movie).astype(np.float32)), PublishedChain(flat_sigma=5.0, register=False)
    )
    unmoved = np.concatenate(list(still.blocks(0, 50, 16)))
    inner = (slice(None), slice(4, -4), slice(4, -4))
    assert out[inner].std() < 0.35 * unmoved[inner].std()


def test_dff_is_the_change_over_the_mean_and_the_illumination_doesnt_matter():
    random = np.random.default_rng(0)
    y, x = np.mgrid[:100, :100]
    light = np.exp(-((y - 50) ** 2 + (x - 50) ** 2) / (2 * 50**2))
    activity = 1 + 0.2 * gaussian_filter(random.standard_normal((30, 100, 100)), (1, 4, 4)) / 0.05
    settings = PublishedChain(contrast=(0, 100), register=False, scale=1.0, keep=1.0)
    raw = (100 * light * activity).astype(np.float32)
    low = raw.min()
    out = np.concatenate(list(PublishedRecording(Frames(raw), settings).blocks(0, 30, 7)))
    expected = (raw - raw.mean(0)) / (raw.mean(0) - low)
    clear = raw.mean(0) - low > 0.2 * (raw.mean() - low)  # elsewhere the floor
    np.testing.assert_allclose(out[:, clear], expected[:, clear], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-4)


def test_black_frames_are_replaced_by_the_one_before():
    random = np.random.default_rng(0)
    movie = 100 + 20 * random.random((40, 50, 50))
    black = movie.copy()
    black[[0, 7, 8]] = 0
    settings = PublishedChain(contrast=(0, 100), register=False, flat_sigma=1.0)
    out = np.concatenate(list(PublishedRecording(Frames(black), settings).blocks(0, 40, 5)))
    np.testing.assert_allclose(out[7], out[6])
    np.testing.assert_allclose(out[8], out[6])
    np.testing.assert_allclose(out[0], out[1])
    assert np.abs(out[9] - out[6]).max() > 0.01


def test_any_part_of_the_stream_is_that_part_of_the_whole():
    movie, _ = moving(40)
    raw = (100 + 100 * movie).astype(np.float32)
    raw[[11, 12]] = 0
    recording = PublishedRecording(Frames(raw))
    whole = np.concatenate(list(recording.blocks(0, 40, 40)))
    for start, stop, size in ((0, 40, 7), (12, 30, 4), (39, 40, 8)):
        part = np.concatenate(list(recording.blocks(start, stop, size)))
        np.testing.assert_allclose(part, whole[start:stop], atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PublishedRecording(Frames(np.ones((5, 20, 20)), "dff")), "is ΔF/F already"),
        (lambda: PublishedRecording(Frames(np.ones((5, 20, 20)))), "no contrast"),
        (lambda: PublishedRecording(Frames(np.ones((1, 20, 20)))), "needs several"),
        (lambda: PublishedChain(scale=0), "preprocess.scale=0"),
        (lambda: PublishedChain(contrast=(9, 1)), "preprocess.contrast"),
        (lambda: PublishedChain(upsampling=0), "upsampling=0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_ingest_and_extract_take_it(run_command, tmp_path):
    from calcium_lightning.io.session import Session
    from calcium_lightning.io.session_writer import SessionWriter

    movie, _ = moving(30)
    with SessionWriter(tmp_path / "raw.h5", 120, 100, "uint8", 20.0, pixel_size_um=1.0) as writer:
        writer.append((50 + 150 * movie.clip(0, 1)).astype(np.uint8))
    done = run_command(
        "ingest", "input=raw.h5", "output=dff.h5", "preprocess=published", "preprocess.keep=0.6"
    )
    assert done.status == 0, done.stderr
    with Session(tmp_path / "dff.h5") as session:
        assert session.shape == (30, 29, 24)
        assert (session.kind, session.motion_corrected, session.pixel_size_um) == ("dff", True, 2.5)
        assert np.abs(np.median(session.frames().mean(0))) < 1e-3
    again = run_command("ingest", "input=dff.h5", "output=twice.h5", "preprocess=published")
    assert (again.status, "is ΔF/F already" in again.stderr) == (2, True)
    wrong = run_command("ingest", "input=raw.h5", "output=x.h5", "preprocess=default")
    assert (wrong.status, "preprocess=published" in wrong.stderr) == (2, True)
