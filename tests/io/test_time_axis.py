"""Which end of an array is time: by its frames alone, whatever else goes on in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.time_axis import middle, time_axis

FRAMES, HEIGHT, WIDTH = 60, 70, 110
TIME = np.arange(FRAMES)[:, None, None]
ROWS, COLUMNS = np.arange(HEIGHT)[:, None], np.arange(WIDTH)


def scene(seed: int = 0, noise: float = 5.0) -> np.ndarray:
    """Tissue, cells that blink, and noise, float (T, H, W)."""
    rng = np.random.default_rng(seed)
    tissue = 100 + 12 * gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 2) * 4
    cells = gaussian_filter((rng.random((HEIGHT, WIDTH)) < 0.005).astype(float), 3)
    lit = gaussian_filter(rng.normal(size=(FRAMES, HEIGHT, WIDTH)), (6, 6, 6)) * 100
    return tissue + cells * np.maximum(lit, 0) * 100 + rng.normal(0, noise, (FRAMES, HEIGHT, WIDTH))


def shaken() -> np.ndarray:
    moves = np.random.default_rng(3).integers(-8, 9, (FRAMES, 2))
    return np.stack([np.roll(frame, tuple(move), (0, 1)) for frame, move in zip(scene(), moves, strict=True)])


CHANGES = {
    "nothing": scene,
    "a lamp that flickers": lambda: (
        scene() * (1 + 0.4 * np.random.default_rng(1).normal(size=(FRAMES, 1, 1)))
    ),
    "bleaching": lambda: scene() * np.exp(-TIME / 40),
    "bands that run": lambda: scene() + 5 * np.sin(ROWS / 6 + TIME * 2.1),
    "bands along columns": lambda: scene() + 5 * np.sin(COLUMNS / 6 + TIME * 2.1),
    "a fade over the field": lambda: scene() + 0.05 * COLUMNS * np.sin(TIME / 9),
    "shakes": shaken,
    "few grey levels": lambda: np.round(scene() / 20),
    "bytes": lambda: scene().clip(0, 255).astype(np.uint8),
    "black frames": lambda: np.where(TIME % 7 == 0, 0, scene()),
    "a scale bar": lambda: np.where((abs(ROWS - 61) < 2) & (abs(COLUMNS - 75) < 15), 255, scene()),
    "dead lines": lambda: np.where((ROWS == 40) | (COLUMNS == 70), 0, np.where(COLUMNS == 20, 255, scene())),
    "no data at the border": lambda: np.where(ROWS < 9, np.nan, scene()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_time_is_told_whichever_end_it_is(change):
    frames = CHANGES[change]()
    assert time_axis(frames) == "first"
    assert time_axis(np.moveaxis(frames, 0, -1)) == "last"


@pytest.mark.parametrize("pitch", [0.3, 2.1, 4.0])
def test_bands_that_are_stronger_than_the_tissue_are_no_picture(pitch):
    """They are as smooth as one along the field, and change from frame to frame."""
    frames = scene() + 40 * np.sin(ROWS / 6 + TIME * pitch)
    assert time_axis(frames) != "last"
    assert time_axis(np.moveaxis(frames, 0, -1)) != "first"


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("change", ["text", "a clock", "text in ΔF/F", "a mean taken off"])
def test_what_stands_in_the_picture_is_never_taken_for_time(change, seed):
    """Sharp marks, far stronger than tissue, or hardly a picture: told rightly, or not at all."""
    frames = scene(seed, noise=1)
    random = np.random.default_rng(seed)
    if change == "a mean taken off":
        frames = frames - frames.mean(0)
    else:
        if change == "text in ΔF/F":
            frames = frames / frames.mean(0) - 1
        low, high = frames.min(), 2 * frames.max()
        frames[:, 58:66, 4:40] = low
        lit = random.random((FRAMES if change == "a clock" else 1, 4, 32)) < 0.4
        frames[:, 60:64, 6:38] = np.where(lit, high, low)
    assert time_axis(frames) != "last"
    assert time_axis(np.moveaxis(frames, 0, -1)) != "first"


@pytest.mark.parametrize(
    "frames",
    [
        np.random.default_rng(0).normal(size=(40, 50, 60)),
        np.full((40, 50, 60), 7, np.uint8),
        scene()[:7],
        np.full((40, 50, 60), np.nan),
        np.broadcast_to(np.sin(COLUMNS / 9), (40, 70, WIDTH)),
    ],
    ids=["noise", "nothing", "seven frames", "no numbers", "stripes"],
)
def test_what_is_not_certain_is_not_told(frames):
    assert time_axis(frames) is None


def test_the_middle_is_cut_out_and_no_more_than_is_there():
    assert middle((500, 40, 101)) == (slice(202, 298), slice(0, 40), slice(2, 98))


def test_real_frames_whose_picture_was_divided_away(magdeburg: Path) -> None:
    sessions = sorted(path for path in magdeburg.iterdir() if path.name.endswith("_dF"))
    assert sessions
    for path in sessions:
        with open_recording(path) as recording:
            frames = np.concatenate(list(recording.stream(0, 200, 100)))
        for turned, told in ((frames, "first"), (np.moveaxis(frames, 0, -1), "last")):
            assert time_axis(turned[middle(turned.shape)]) == told, path
