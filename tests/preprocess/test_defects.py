"""Defective pixels: which are found and which are not, what they are filled with, and what becomes of them."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers.moving import Recording, moving_tissue
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import generic_filter, rank_filter

from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.preprocess.defects import Defects, find_defects, second_highest
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.preprocess.repaired import RepairedSession
from calcium_lightning.simulation.scene import Scene
from calcium_lightning.simulation.settings import SceneSettings

SIZE = (96, 80)
#: in the middle, two that touch, at the border, in a corner, beside the corner
PLACES = [(40, 33), (60, 50), (60, 51), (0, 37), (47, 79), (95, 0), (1, 1)]


def wandering(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2.0, (count, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    """Texture, cells that blink, a vignette and shot noise, in motion, (200, 96, 80) uint8."""
    return moving_tissue(wandering(200), SIZE)


def flat(places: list[tuple[int, int]]) -> list[int]:
    return sorted(y * SIZE[1] + x for y, x in places)


def planted(frames: np.ndarray, places: list[tuple[int, int]], values) -> np.ndarray:
    frames = frames.copy()
    for y, x in places:
        frames[:, y, x] = values
    return frames


def write(path: Path, frames: np.ndarray, **known) -> Session:
    with SessionWriter(path, *frames.shape[1:], frames.dtype, 20.0, **known) as writer:
        writer.append(frames)
    return Session(path)


@pytest.mark.parametrize("level", [255, 190, 0], ids=["saturated", "hot", "dead"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_planted_defects_are_found_and_nothing_else(tissue, level, kind):
    scale = 1 if kind is np.uint8 else 16
    frames = planted(tissue.astype(kind) * kind(scale), PLACES, level * scale)
    assert find_defects(Recording(frames)).pixels.tolist() == flat(PLACES)


def test_blinking_pixels_are_found(tissue):
    """A pixel whose level jumps between two values, as bright as its neighbours on average."""
    random, frames = np.random.default_rng(1), tissue.astype(np.float32)
    for y, x in PLACES:
        frames[:, y, x] += np.where(random.random(len(tissue)) < 0.5, 40, -40)
    found = find_defects(Recording(frames.clip(0, 255).round().astype(np.uint8)))
    assert found.pixels.tolist() == flat(PLACES)


@pytest.mark.parametrize("cell", [3.0, 5.0, 12.0])
@pytest.mark.parametrize("still", [True, False])
def test_cells_texture_and_noise_are_no_defects(cell, still):
    shifts = wandering(200, 3) * (not still)
    for seed in range(3):
        frames = moving_tissue(shifts, SIZE, cell, texture=20.0, seed=seed)
        assert len(find_defects(Recording(frames))) == 0


def test_vessels_edges_and_saturated_parts_are_no_defects():
    """Sharp vessels, a black border around a round field, and light beyond full scale."""
    random, (y, x) = np.random.default_rng(2), np.mgrid[:128, :128]
    light = 150.0 - 90 / (1 + np.exp(-(4 - np.abs(y - 0.6 * x - 20)) / 0.7))
    light += 400 * np.exp(-0.5 * ((y - 90) ** 2 + (x - 90) ** 2) / 12**2)
    light *= np.hypot(y - 64, x - 64) < 60
    light += 25 * np.exp(-0.5 * ((y - 40) ** 2 + (x - 70) ** 2) / 0.85**2)  # dust, two pixels wide
    frames = light + np.sqrt(light) * random.standard_normal((96, 128, 128))
    frames = frames.clip(0, 255).round().astype(np.uint8)
    assert len(find_defects(Recording(frames))) == 0
    frames[:, 30, 64], frames[:, 2, 2], frames[:, 90, 90] = 255, 200, 0  # in tissue, darkness, glare
    assert find_defects(Recording(frames)).pixels.tolist() == [2 * 128 + 2, 30 * 128 + 64, 90 * 128 + 90]


@pytest.mark.parametrize("noise", ["gauss", "shot", "levels"])
def test_pure_noise_has_no_defects(noise):
    """Twenty fields of noise, also so faint that a pixel has two or three levels."""
    random, shape = np.random.default_rng(5), (64, 64, 48)
    draw = {
        "gauss": lambda: random.standard_normal(shape).astype(np.float32),
        "shot": lambda: random.poisson(8, shape).astype(np.uint16),
        "levels": lambda: (12.45 + 0.2 * random.standard_normal(shape)).round().astype(np.uint8),
    }[noise]
    for _ in range(20):
        assert len(find_defects(Recording(draw()))) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_simulated_sensors_defects_are_found_exactly(seed):
    scene = Scene(
        SceneSettings(
            height_px=128, width_px=112, seconds=10, hot_pixels_per_million=400, dead_pixels_per_million=400
        ),
        seed,
    )
    sensor = scene._sensor
    true = np.flatnonzero((sensor.gain == 0) | (sensor.offset > sensor.offset.min()))
    assert len(true) > 4
    assert find_defects(Recording(scene.frames(0, 200))).pixels.tolist() == true.tolist()


def test_too_many_are_left_alone_and_told(tissue):
    random = np.random.default_rng(0)
    grain = np.zeros(SIZE, bool)
    grain[2::6, 2::6] = random.random(grain[2::6, 2::6].shape) < 0.5
    found = find_defects(Recording(np.where(grain, np.uint8(255), tissue)))
    assert len(found) == 0
    assert found.left == grain.sum()
    assert str(found).startswith(f"{grain.sum()} pixels look defective")
    frames = tissue.copy()
    found.fill(frames)
    assert np.array_equal(frames, tissue)


@pytest.mark.parametrize("shape", [(5, 40, 40), (40, 1, 1), (40, 2, 3), (40, 30, 30)])
def test_few_frames_and_empty_fields_have_none(shape):
    assert len(find_defects(Recording(np.full(shape, 7, np.uint8)))) == 0


def test_filling_is_the_mean_of_the_sound_neighbours(tissue):
    """Against SciPy's generic filter over an image in which defects and the outside are NaN."""
    defective = np.zeros(SIZE, bool)
    defective[tuple(np.transpose(PLACES))] = True
    frames = tissue[:5].astype(np.float64)
    expected = frames.copy()
    for image in expected:
        holes = np.where(defective, np.nan, image)
        around = generic_filter(holes, np.nanmean, 3, mode="constant", cval=np.nan)
        image[defective] = around[defective]
    Defects.at(defective).fill(frames)
    np.testing.assert_allclose(frames, expected, rtol=1e-12)
    whole = tissue[:5].copy()
    Defects.at(defective).fill(whole)
    assert np.array_equal(whole, np.rint(expected))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    defective=arrays(bool, (7, 9)).filter(lambda mask: not mask.all()),
    kind=st.sampled_from([np.uint8, np.uint16, np.float32]),
    seed=st.integers(0, 2**16),
)
def test_sound_pixels_stay_and_filled_ones_are_among_them(defective, kind, seed):
    frames = (np.random.default_rng(seed).random((3, 7, 9)) * 250).astype(kind)
    filled = frames.copy()
    Defects.at(defective).fill(filled)
    assert filled.dtype == frames.dtype
    assert np.array_equal(filled[:, ~defective], frames[:, ~defective])
    for before, after in zip(frames, filled, strict=True):
        for y, x in np.argwhere(defective):
            around = slice(max(0, y - 1), y + 2), slice(max(0, x - 1), x + 2)
            near = ~defective[around]
            sound = before[around][near] if near.any() else before[~defective]
            assert sound.min() <= after[y, x] <= sound.max()


def test_a_repaired_session_is_the_session_but_for_its_defects(tissue, tmp_path):
    frames = planted(tissue, PLACES, 255)
    session = write(tmp_path / "a.h5", frames)
    repaired = RepairedSession.of(session)
    expected = frames.copy()
    Defects.at((frames[0] == 255) & (tissue[0] != 255)).fill(expected)
    assert repaired.defects.pixels.tolist() == flat(PLACES)
    assert RepairedSession.of(repaired) is repaired
    assert np.array_equal(np.concatenate([part for _, part in repaired.chunks(50)]), expected)
    assert np.array_equal(session.frames(), frames)
    for other in (copy.copy(repaired), pickle.loads(pickle.dumps(repaired))):
        session.close()  # and with it the repaired one, not its copies
        assert np.array_equal(other.frames(10, 20), expected[10:20])
        assert session._file is None
        other.close()
    repaired.frames(0, 1)
    repaired.close()
    assert session._file is None


@pytest.mark.parametrize("known", [{"motion_corrected": True}, {"kind": "dff"}])
def test_corrected_sessions_are_left_alone(tissue, tmp_path, known):
    frames = planted(tissue, PLACES, 255)
    with write(tmp_path / "a.h5", frames, **known) as session:
        repaired = RepairedSession.of(session)
        assert len(repaired.defects) == 0
        assert str(repaired.defects) == ""
        assert np.array_equal(repaired.frames(), frames)


def test_a_hot_pixel_leaves_no_trace_in_what_the_network_sees(tmp_path):
    """Its smear is far above the noise without repair; with it, all is as if the pixel were sound."""
    shifts = wandering(240, 4)
    sound = moving_tissue(shifts, SIZE, cells=6, seed=2)
    sessions = {"sound": sound, "hot": planted(sound, [(48, 40), (20, 60)], 255)}
    largest = {}
    for name, frames in sessions.items():
        with write(tmp_path / f"{name}.h5", frames) as session:
            for repair in (True, False):
                prepared = prepare(session, 8.0, PreprocessSettings(repair_defects=repair))
                (y, x), reach = prepared.scale.to_network(np.array([48, 40])).round().astype(int), 5
                crop = (y - reach, y + reach, x - reach, x + reach)
                largest[name, repair] = float(prepared.foreground(0, 240, crop).abs().max())
                np.testing.assert_allclose(prepared.shifts, shifts - np.median(shifts, 0), atol=0.6)
    assert largest["sound", True] == largest["sound", False]
    assert largest["hot", True] < 1.2 * largest["sound", True]
    assert largest["hot", False] > 2 * largest["hot", True]


@pytest.mark.parametrize("shape", [(30, 41), (3, 2), (1, 9)])
def test_the_second_highest_neighbour_is_that_of_a_rank_filter(shape):
    image = np.random.default_rng(0).integers(0, 20, shape).astype(float)
    around = np.arange(25).reshape(5, 5) != 12
    ranked = rank_filter(image, -2, footprint=around, mode="constant", cval=-np.inf)
    np.testing.assert_array_equal(second_highest(image), ranked)
