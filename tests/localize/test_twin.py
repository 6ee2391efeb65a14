"""The recording upside down, and sessions that hold cells and others that hold none."""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.planted import BACKGROUND_SIGMA, calcium, plant
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.false_discovery import FalseDiscovery
from calcium_lightning.io.cells_file import read_cells, write_cells
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.localize.detect import detect
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.finder import CellFinder, LocalizeSettings
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.localize.twin import Twin, find_both
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.pipeline import extract

FPS, LENGTH, SIZE = 20.0, 500, (84, 96)
WINDOW = WindowSettings(taps=11, seconds=0.5)
CENTERS = np.array([[y, x] for y in (14.0, 42.0, 70.0) for x in (14.0, 37.0, 60.0, 83.0)])


def extracted(folder: Path, amplitude: float, seed: int = 0, **settings: bool) -> Cells:
    """Cells of 8 px in noise that is alike over two pixels and five frames, as compression leaves it."""
    random = np.random.default_rng(seed)
    noise = gaussian_filter(random.standard_normal((LENGTH, *SIZE)), (2.5, 1.5, 1.5))
    movie = 100 + 2 * noise / noise.std() + 0.3 * random.standard_normal((LENGTH, *SIZE))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    prints = np.exp(-((y - CENTERS[:, :1, None]) ** 2 + (x - CENTERS[:, 1:, None]) ** 2) / (2 * 3.4**2))
    traces, _ = calcium(len(CENTERS), LENGTH, FPS, rate_hz=0.2, seed=seed)
    movie += amplitude * np.einsum("kt,kyx->tyx", traces, prints)
    path = folder / "session.h5"
    with SessionWriter(path, *SIZE, "float32", FPS, motion_corrected=True) as writer:
        writer.append(movie.astype(np.float32))
    return extract(
        Session(path),
        detector=WindowDetector(BandpassDetector(), WINDOW),
        cell_diameter=8.0,
        localize=LocalizeSettings(**settings),
        device="cpu",
    )


def test_the_twin_is_the_movie_upside_down():
    frames = torch.randn(40, 9, 11)
    with ScratchMovie((9, 11), block_frames=16) as movie:
        movie.append(frames)
        twin = Twin(movie)
        assert (twin.size, twin.n_frames, twin.block_frames) == ((9, 11), 40, 16)
        torch.testing.assert_close(twin.read(3, 20), -movie.read(3, 20))
        blocks = list(twin.blocks())
        assert [start for start, _ in blocks] == [0, 16, 32]
        torch.testing.assert_close(torch.cat([part for _, part in blocks]), -movie.read(0, 40))
        torch.testing.assert_close(twin.summed(4).read(0, 10), -movie.summed(4).read(0, 10))


def test_a_twin_that_is_given_up_is_read_no_more_nor_are_its_sums():
    with ScratchMovie((9, 11)) as movie:
        movie.append(torch.randn(40, 9, 11))
        twin = Twin(movie)
        sums = twin.summed(4)
        twin.given_up.set()
        for part in (twin, sums):
            with pytest.raises(CancelledError):
                part.read(0, 4)


def test_the_twin_is_searched_with_the_settings_of_the_movie():
    with ScratchMovie((24, 24)) as movie:
        movie.append(torch.randn(60, 24, 24))  # few frames: fewer localisations make a candidate
        finder = CellFinder(movie, torch.ones(24, 24), 6.0, FPS, lambda movie, stride: [])
        found, decoys = find_both(finder)
    assert finder.settings == LocalizeSettings()
    assert len(found.centers) == len(decoys.centers) == 0


@pytest.mark.parametrize(("wander", "dark"), [(1.0, True), (3.0, False)])
def test_where_noise_wanders_cells_leave_no_dark_in_the_twin(wander, dark):
    planted = plant([[20, 20], [44, 60]], length=300, brightness=14)
    seen = []

    def look(movie, stride):
        seen.append(movie)
        return detect(movie, BandpassDetector(), WindowSettings(taps=5, seconds=0.3), FPS, stride=stride)

    finder = CellFinder(planted.movie, planted.noise, BACKGROUND_SIGMA, FPS, look, wander=wander)
    found, _ = find_both(finder)
    assert len(found.centers) >= 2
    darkest = seen[-1].read(0, 300)[:, [20, 44], [20, 60]].amin(0)
    assert isinstance(seen[-1], Twin)
    assert (darkest < -6).all() == dark


@pytest.mark.parametrize("seed", [0, 1])
def test_correlated_noise_alone_holds_no_cells(tmp_path, seed):
    cells = extracted(tmp_path, 0.0, seed)
    assert cells.accepted.sum() <= 1


def test_cells_in_correlated_noise_are_kept_and_the_rate_is_told(tmp_path):
    cells = extracted(tmp_path, 25.0)
    distance = cdist(CENTERS, cells.centers[cells.accepted])
    assert (distance.min(1) < 1.5).sum() >= 11
    false = int((distance.min(0) >= 1.5).sum())
    assert false <= 1
    assert cells.false_discovery is not None
    assert cells.false_discovery.fdr == 0.05
    assert cells.false_discovery.expected_false <= 2 * max(false, 1)
    assert (cells.quality["fdr"][cells.accepted] <= 0.05).all()
    write_cells(tmp_path / "cells.h5", cells)
    assert read_cells(tmp_path / "cells.h5").false_discovery == cells.false_discovery
    assert f"of {cells.accepted.sum()} expected to be false" in cells.false_discovery.in_words(
        int(cells.accepted.sum())
    )


def test_where_none_is_accepted_it_is_said_why():
    none = FalseDiscovery(0.05, 0.0, "twin", 84, 80)
    assert (
        none.why_none(0) == "none stands out from the 80 that the frames hold upside down, where no cell is"
    )
    assert none.why_none(3) == "3 stand out from chance, but none passes the tests of what looks like a cell"
    assert "if they are a negative" in FalseDiscovery(0.05, 0.0, "learned", 22, 73).why_none(0)
    assert "simulated" in FalseDiscovery(0.05, 0.0, "simulations", 4, 2).why_none(0)


def test_the_verdict_is_of_these_cells(tmp_path):
    cells = extracted(tmp_path, 25.0)
    known, nothing = cells.false_discovery, np.zeros(len(cells), bool)
    assert known is not None
    assert cells.verdict == known.in_words(int(cells.accepted.sum()))
    real = int((cells.quality["fdr"] <= 0.05).sum())
    assert real
    assert replace(cells, accepted=nothing).verdict == known.why_none(real)
    chance = {**cells.quality, "fdr": np.ones(len(cells), np.float32)}
    assert replace(cells, accepted=nothing, quality=chance).verdict == known.why_none(0)
    assert replace(cells, false_discovery=None).verdict == ""


def test_without_the_twin_it_is_said_that_simulations_judge(tmp_path):
    cells = extracted(tmp_path, 25.0, twin=False)
    assert cells.false_discovery is not None
    assert (cells.false_discovery.basis, cells.false_discovery.decoys) == ("simulations", 0)
