"""The diameter of cells: told, or estimated from their flashes."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.preprocess.diameter import cell_diameter_of, estimate_diameter


def write(path, frames, **options) -> Session:
    with SessionWriter(path, *frames.shape[1:], frames.dtype, 10.0, overwrite=True, **options) as writer:
        writer.append(frames)
    return Session(path)


@pytest.mark.parametrize("diameter", [6.2, 7.0, 12.5, 20.0])
@pytest.mark.parametrize("corrected", [True, False])
def test_the_diameter_of_flashing_blobs_is_found(tmp_path, diameter, corrected):
    random = np.random.default_rng(0)
    size, count, length = (128, 150), 25, 120
    centers = random.uniform(10, np.array(size) - 10, (count, 2))
    y, x = np.ogrid[: size[0], : size[1]]
    shapes = np.stack(
        [np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / (diameter / 2.355) ** 2) for cy, cx in centers]
    )
    spikes = random.random((length, count)) < 0.03
    traces = np.stack([np.convolve(train, np.exp(-np.arange(30) / 6))[:length] for train in spikes.T], 1)
    background = 100 + 30 * np.sin(y / 25) * np.cos(x / 31)
    frames = (
        background + 15 * np.einsum("tk,kyx->tyx", traces, shapes) + random.normal(0, 1.5, (length, *size))
    )
    if not corrected:
        moves = np.round(np.cumsum(random.normal(0, 0.3, (length, 2)), 0)).astype(int)
        frames = np.stack([np.roll(frame, move, (0, 1)) for frame, move in zip(frames, moves, strict=True)])
    session = write(tmp_path / "a.h5", frames.astype(np.float32), motion_corrected=corrected)
    found = estimate_diameter(session, moments=16)
    assert found == pytest.approx(diameter, rel=0.08)


def test_without_any_flash_there_is_a_figure_all_the_same(tmp_path):
    for frames in (
        np.zeros((40, 64, 64), np.uint8),
        np.zeros((1, 64, 64), np.uint8),
        np.full((90, 700, 16), 9.0, np.float32),
    ):
        assert 2 < estimate_diameter(write(tmp_path / "a.h5", frames)) < 60


def test_the_users_figure_wins_in_pixels_or_micrometres(tmp_path):
    session = write(tmp_path / "a.h5", np.zeros((5, 64, 90), np.uint8), pixel_size_um=2.0)
    assert cell_diameter_of(session, 11) == 11.0
    assert cell_diameter_of(session, cell_diameter_um=15) == 7.5
    assert cell_diameter_of(session, cell_diameter_um=15, pixel_size_um=3.0) == 5.0


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"cell_diameter": 1}, "cell_diameter=1 px: between 2 and the field's 90 px"),
        ({"cell_diameter": 91}, "cell_diameter=91 px: between 2"),
        ({"cell_diameter": float("nan")}, "cell_diameter=nan: a number above 0"),
        ({"cell_diameter": -5}, "cell_diameter=-5: a number above 0"),
        ({"cell_diameter": "wide"}, "cell_diameter=wide"),
        ({"cell_diameter": 9, "cell_diameter_um": 20}, "give one of them"),
        ({"cell_diameter_um": 20}, "needs the pixel size"),
        ({"cell_diameter_um": "wide", "pixel_size_um": 1}, "cell_diameter_um=wide"),
        ({"cell_diameter_um": 20, "pixel_size_um": 0}, "pixel_size_um=0"),
        ({"cell_diameter_um": 20, "pixel_size_um": -1}, "pixel_size_um=-1"),
        ({"cell_diameter_um": 1, "pixel_size_um": 1}, "between 2 and"),
    ],
)
def test_figures_that_make_no_sense_are_refused(tmp_path, given, line):
    session = write(tmp_path / "a.h5", np.zeros((5, 64, 90), np.uint8))
    with pytest.raises(InputError, match=line):
        cell_diameter_of(session, **given)
