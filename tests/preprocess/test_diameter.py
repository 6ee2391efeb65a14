"""The diameter of cells: told, or estimated from their flashes."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.preprocess.diameter import (
    DiameterGuess,
    cell_diameter_of,
    check_diameter,
    estimate_diameter,
    guess_diameter,
)


def write(path, frames, **options) -> Session:
    with SessionWriter(path, *frames.shape[1:], frames.dtype, 10.0, overwrite=True, **options) as writer:
        writer.append(frames)
    return Session(path)


def blobs(shape, places, width, brightness):
    """Gaussian blobs (H, W) of one width at places (K, 2), as bright as they are told (K,)."""
    rows, columns = (
        np.exp(-0.5 * ((np.arange(length) - at[:, None]) / (width / 2.355)) ** 2)
        for length, at in zip(shape, places.T, strict=True)
    )
    return np.einsum("k,kh,kw->hw", brightness, rows, columns)


def flashing(random, length, count):
    spikes = random.random((length, count)) < 0.03
    return np.stack([np.convolve(train, np.exp(-np.arange(30) / 6))[:length] for train in spikes.T], 1)


@pytest.mark.parametrize("diameter", [6.2, 7.0, 12.5, 20.0, 30.0])
@pytest.mark.parametrize("corrected", [True, False])
def test_the_diameter_of_flashing_blobs_is_found(tmp_path, diameter, corrected):
    random = np.random.default_rng(0)
    size, count, length = (128, 150), 25 if diameter < 25 else 8, 120
    centers = random.uniform(10, np.array(size) - 10, (count, 2))
    y, x = np.ogrid[: size[0], : size[1]]
    shapes = np.stack(
        [np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / (diameter / 2.355) ** 2) for cy, cx in centers]
    )
    traces = flashing(random, length, count)
    background = 100 + 30 * np.sin(y / 25) * np.cos(x / 31)
    frames = (
        background + 15 * np.einsum("tk,kyx->tyx", traces, shapes) + random.normal(0, 1.5, (length, *size))
    )
    if not corrected:
        moves = np.round(np.cumsum(random.normal(0, 0.3, (length, 2)), 0)).astype(int)
        frames = np.stack([np.roll(frame, move, (0, 1)) for frame, move in zip(frames, moves, strict=True)])
    session = write(tmp_path / "a.h5", frames.astype(np.float32), motion_corrected=corrected)
    found = guess_diameter(session, moments=16)
    assert found.diameter == pytest.approx(diameter, rel=0.08 if diameter < 25 else 0.12)
    assert estimate_diameter(session, moments=16) == found.diameter
    assert found.low <= found.diameter <= found.high
    if diameter < 25:
        assert found.sure
        assert str(found).startswith(f"guessed from {found.places} places that flash, half of them ")


def test_what_is_sharp_and_moves_with_the_tissue_is_no_flash(tmp_path):
    # granules that never flash: moved by a part of their width, each looks like one
    random = np.random.default_rng(3)
    shape, length, diameter = (128, 150), 160, 12.0
    cells, granules = (random.uniform(8, np.array(shape) - 8, (count, 2)) for count in (25, 50))
    traces, steady = 18 * flashing(random, length, 25), random.uniform(90, 240, 50)
    moves = np.cumsum(random.normal(0, 0.7, (length, 2)), 0)
    frames = [
        blobs(shape, cells + move, diameter, lit) + blobs(shape, granules + move, 3.2, steady)
        for move, lit in zip(moves - moves.mean(0), traces, strict=True)
    ]
    frames = 80 + np.stack(frames) + random.normal(0, 1.5, (length, *shape))
    guess = guess_diameter(write(tmp_path / "a.h5", frames.astype(np.float32)))
    assert guess.diameter == pytest.approx(diameter, rel=0.08)
    assert guess.sure


def test_noise_where_dff_divides_by_little_is_no_flash(tmp_path):
    random = np.random.default_rng(4)
    shape, length, diameter = (128, 150), 160, 12.0
    cells = random.uniform(8, np.array(shape) - 8, (25, 2))
    light = 3 + 90 * np.exp(-((np.arange(shape[1]) / 60) ** 2)) * np.ones((shape[0], 1))
    lit = np.stack([blobs(shape, cells, diameter, now) for now in 0.1 * flashing(random, length, 25)])
    frames = light * (1 + lit) + random.normal(0, 1.0, (length, *shape))
    dff = 100 * (frames - light) / light
    guess = guess_diameter(write(tmp_path / "a.h5", dff.astype(np.float32), motion_corrected=True))
    assert guess.diameter == pytest.approx(diameter, rel=0.1)
    assert guess.places >= 8


def test_without_any_flash_there_is_a_figure_all_the_same(tmp_path):
    for frames in (
        np.zeros((40, 64, 64), np.uint8),
        np.zeros((1, 64, 64), np.uint8),
        np.full((90, 700, 16), 9.0, np.float32),
    ):
        guess = guess_diameter(write(tmp_path / "a.h5", frames))
        assert 2 < guess.diameter < 60
        assert not guess.sure
        assert str(guess) == "a guess without a single flash: give cell_diameter="


def test_a_guess_from_few_places_or_of_many_widths_is_unsure():
    assert DiameterGuess(12, 10, 14, 30).sure
    for guess in (DiameterGuess(12, 10, 14, 5), DiameterGuess(12, 6, 20, 30)):
        assert not guess.sure
        assert "an unsure guess" in str(guess)
        assert "better give cell_diameter=" in str(guess)


def test_cells_much_wider_or_narrower_than_told_are_said():
    random = np.random.default_rng(0)
    widths = random.normal(1.05, 0.1, 50)
    assert check_diameter(widths, 8.0) == ""
    assert check_diameter(1.6 * widths[:9], 8.0) == ""  # too few to tell
    wide, narrow = check_diameter(1.6 * widths, 8.0), check_diameter(0.5 * widths, 20.0)
    assert wide.startswith("the cells found are 1.7 times as wide as the 8.0 px they were sought with; try")
    assert "times as narrow as the 20.0 px" in narrow
    assert float(wide.split("cell_diameter=")[1]) == pytest.approx(8 * 1.6 * 1.05, rel=0.05)


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
