"""What wide surroundings do in common is taken off the foreground; what cells do stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.planted import calcium
from scipy.ndimage import gaussian_filter

from calcium_lightning.localize.neuropil import NODE_STEP, NeuropilSettings, remove_neuropil
from calcium_lightning.localize.patches import gaussian_patches
from calcium_lightning.localize.scratch import ScratchMovie

SIZE, LENGTH, FPS = (60, 72), 600, 20.0
CENTERS = np.array([[20.0, 24.0], [40.0, 50.0], [33.0, 12.0]])
KNOTS = np.array([LENGTH / 2])


def slow(count: int, seed: int) -> np.ndarray:
    """Courses (T, n) that wander slowly, unit variance."""
    courses = gaussian_filter(np.random.default_rng(seed).normal(size=(LENGTH, count)), (20, 0))
    return (courses - courses.mean(0)) / courses.std(0)


def scratch(frames: np.ndarray) -> ScratchMovie:
    movie = ScratchMovie(frames.shape[1:], block_frames=128)
    movie.append(torch.from_numpy(np.ascontiguousarray(frames, np.float32)))
    return movie


def scene(strength: float, common: bool = True, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Foreground, background and the cells' traces; shadows are sharp where the background is smooth."""
    random = np.random.default_rng(seed)
    course = slow(1, seed)[:, 0]
    traces = 12 * calcium(len(CENTERS), LENGTH, FPS, seed=seed)[0]
    shapes = gaussian_patches(CENTERS, 2.55, SIZE).to_csr().toarray().reshape(-1, *SIZE)
    shadow = gaussian_filter(random.normal(size=SIZE), 2.0)
    shadow *= strength / shadow.std()
    foreground = random.normal(size=(LENGTH, *SIZE)) + np.tensordot(traces.T, shapes, 1)
    foreground += course[:, None, None] * shadow
    places = (len(range(NODE_STEP // 2, SIZE[0], NODE_STEP)), len(range(NODE_STEP // 2, SIZE[1], NODE_STEP)))
    own = np.stack([slow(places[1], seed + row) for row in range(1, places[0] + 1)], 1)
    background = 0.3 * gaussian_filter(own, (0, 0.7, 0.7))
    if common:
        background += 5 * course[:, None, None] * (1 + 0.2 * gaussian_filter(random.normal(size=places), 2))
    return foreground, background, traces


def whole(movie: ScratchMovie) -> np.ndarray:
    return movie.read(0, movie.n_frames).numpy()


def share(frames: np.ndarray, course: np.ndarray) -> float:
    """Root mean square over pixels of what follows a course of unit variance."""
    quiet = frames - np.median(frames, 0)
    return float(np.sqrt(np.square(np.tensordot(course, quiet, 1) / len(course)).mean()))


def test_the_surroundings_course_leaves_the_foreground_and_cells_stay():
    foreground, background, traces = scene(0.8)
    course = slow(1, 0)[:, 0]
    movie = scratch(foreground)
    neuropil = remove_neuropil(movie, scratch(background), KNOTS)
    assert len(neuropil) == 1
    assert neuropil.strength == pytest.approx(0.8, rel=0.1)
    assert abs(np.corrcoef(neuropil.courses[:, 0], course)[0, 1]) > 0.98
    cleaned = whole(movie)
    assert share(foreground, course) > 0.7
    assert share(cleaned, course) < 0.15
    for (y, x), trace in zip(CENTERS.astype(int), traces, strict=True):
        kept, before = cleaned[:, y, x], foreground[:, y, x]
        assert np.polyfit(trace, kept, 1)[0] == pytest.approx(1, abs=0.06)
        assert np.corrcoef(kept, trace)[0, 1] >= np.corrcoef(before, trace)[0, 1] - 0.005


@pytest.mark.parametrize(
    ("strength", "common", "how"),
    [(0.8, False, {}), (0.03, True, {}), (0.8, True, {"common": 1e9}), (0.8, True, {"courses": 0})],
    ids=["nothing in common", "too weak", "asked for more", "none asked for"],
)
def test_a_movie_that_shows_none_stays_as_it_is(strength, common, how):
    foreground, background, _ = scene(strength, common)
    movie, untouched = scratch(foreground), scratch(foreground)
    assert len(remove_neuropil(movie, scratch(background), KNOTS, NeuropilSettings(**how))) == 0
    np.testing.assert_array_equal(whole(movie), whole(untouched))


def test_independent_cells_many_and_bright_are_not_taken_for_neuropil():
    """What a field full of cells sheds into its background has a first component, too."""
    random = np.random.default_rng(3)
    centers = random.uniform(2, np.array(SIZE) - 2, (60, 2))
    traces = 20 * calcium(60, LENGTH, FPS, seed=3)[0]
    shapes = gaussian_patches(centers, 2.55, SIZE).to_csr().toarray().reshape(-1, *SIZE)
    light = np.tensordot(traces.T, gaussian_filter(shapes, (0, 4, 4)), 1)
    movie = scratch(random.normal(size=(LENGTH, *SIZE)) + np.tensordot(traces.T, shapes, 1))
    neuropil = remove_neuropil(movie, scratch(light[:, NODE_STEP // 2 :: NODE_STEP, 3::NODE_STEP]), KNOTS)
    assert neuropil.strength < 0.1


def test_light_around_few_cells_is_not_taken_for_neuropil():
    """What the background has in common is theirs where there is nothing else."""
    centers = np.array([[18.0, 20.0], [26.0, 27.0], [40.0, 56.0]])
    traces = 12 * calcium(len(centers), LENGTH, FPS, seed=4)[0]
    shapes = gaussian_patches(centers, 2.55, SIZE).to_csr().toarray().reshape(-1, *SIZE)
    places = np.stack(
        np.mgrid[NODE_STEP // 2 : SIZE[0] : NODE_STEP, NODE_STEP // 2 : SIZE[1] : NODE_STEP], -1
    )
    halos = np.exp(-((places - centers[:, None, None]) ** 2).sum(-1) / (2 * 12.0**2))
    random = np.random.default_rng(4)
    foreground = random.normal(size=(LENGTH, *SIZE)) + np.tensordot(traces.T, shapes, 1)
    background = np.tensordot(traces.T, 0.1 * halos, 1) + 0.02 * random.normal(
        size=(LENGTH, *halos.shape[1:])
    )
    movie = scratch(foreground)
    before = whole(movie)
    assert len(remove_neuropil(movie, scratch(background), KNOTS)) == 0
    np.testing.assert_array_equal(whole(movie), before)


def test_what_was_not_seen_stays_nothing():
    foreground, background, _ = scene(0.8)
    foreground[100:200, :5] = 0
    movie = scratch(foreground)
    assert len(remove_neuropil(movie, scratch(background), KNOTS)) == 1
    cleaned = whole(movie)
    assert (cleaned[100:200, :5] == 0).all()
    assert (cleaned[:100, :5] != 0).any()


@pytest.mark.parametrize("length", [1, 12])
def test_a_few_frames_tell_nothing(length):
    foreground, background, _ = scene(0.8)
    movie = scratch(foreground[:length])
    assert len(remove_neuropil(movie, scratch(background[:length]), np.array([length / 2]))) == 0


def test_constant_frames_hold_none():
    movie, background = (scratch(np.zeros((LENGTH, *size))) for size in (SIZE, (10, 12)))
    assert len(remove_neuropil(movie, background, KNOTS)) == 0
