"""The stages by themselves, on arrays in memory, against planted truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.planted import BACKGROUND_SIGMA, SIGMA, plant
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.io.array_session import ArraySession
from calcium_lightning.localize import stages
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.patches import Patches, gaussian_patches
from calcium_lightning.localize.quality import accept
from calcium_lightning.preprocess.prepare import PreprocessSettings
from calcium_lightning.preprocess.prepared import Scale
from calcium_lightning.simulation import SceneSession, SceneSettings

#: places nearer to one pixel than to any other: a patch is cut around the brightest
ROWS, COLUMNS = (
    st.floats(0, last).filter(lambda place: abs(place % 1 - 0.5) > 1e-3) for last in (47.0, 63.0)
)


@settings(max_examples=20)
@given(st.lists(st.tuples(ROWS, COLUMNS), max_size=5))
def test_footprints_are_images_and_patches_alike(centers):
    patches = gaussian_patches(np.array(centers).reshape(-1, 2), 2.5, (48, 64))
    again = Patches.of(patches.images())
    np.testing.assert_allclose(again.images(), patches.images(), atol=1e-6)
    assert again.images().shape == (len(centers), 48, 64)


@pytest.fixture(scope="module")
def scene():
    return SceneSession(
        SceneSettings(
            height_px=60, width_px=84, seconds=15, fps=20, cell_diameter_px=(9.0, 11.0), brightness=0.6,
            motion_corrected=True,
        ),
        seed=4,
    )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(scene):
    session = ArraySession(scene.frames(), fps=20, motion_corrected=True, pixel_size_um=2.0)
    return stages.prepare(session, 10.0, PreprocessSettings(repair_stretch=False))


@pytest.fixture(scope="module")
def ready(prepared):
    movie, images = stages.foreground(prepared)
    return movie.read(0, movie.n_frames).numpy(), images


def test_a_movie_in_memory_is_one_on_disk(prepared, ready):
    array, _ = ready
    movie, _ = stages.foreground(prepared)
    detector = WindowDetector(BandpassDetector(), BandpassDetector.window)
    one, two = (stages.detect(part, detector, 20.0).table() for part in (movie, torch.from_numpy(array)))
    assert len(one) > 50
    np.testing.assert_array_equal(one, two)
    footprints = gaussian_patches(np.array([[20.0, 20.0], [30.0, 12.0]]), SIGMA, prepared.scale.size)
    expected = stages.traces(movie, footprints, prepared)
    np.testing.assert_allclose(stages.traces(array, footprints.images(), prepared), expected, atol=1e-3)


def test_the_stages_in_turn_give_cells(scene, prepared, ready):
    movie, images = ready
    localizations = stages.detect(movie, WindowDetector(BandpassDetector(), BandpassDetector.window), 20.0)
    centers = stages.gather(localizations, 20.0)
    footprints = gaussian_patches(centers, SIGMA, prepared.scale.size)
    before = stages.activity(stages.traces(movie, footprints, prepared), 20.0)
    shapes = stages.footprints(movie, footprints, before.denoised, prepared)
    activity = stages.activity(stages.traces(movie, shapes.footprints, prepared), 20.0)
    assert len(shapes.kept) == len(activity.noise) <= len(centers)
    quality = stages.quality(shapes, activity, localizations, prepared, images)
    cells = stages.cells(prepared, shapes, activity, localizations, images)
    order = np.argsort(-quality["score"], kind="stable")
    for name, values in quality.items():
        np.testing.assert_array_equal(cells.quality[name], values[order], err_msg=name)
    np.testing.assert_array_equal(cells.accepted, accept(quality)[order])
    assert cells.accepted.sum() >= 3
    assert (cells.fps, cells.pixel_size_um, cells.frame_shape) == (20.0, 2.0, (60, 84))
    ratio = cells.denoised.max(1) / activity.denoised.max(1)[order]
    assert 1.0 <= np.median(ratio) < 1.2  # peaks between pixels, and the penalty made up for
    true = scene.truth
    bright = np.argmax(true.amplitude)
    best = max(np.corrcoef(true.traces[bright], trace)[0, 1] for trace in cells.denoised)
    assert best > 0.95


def test_footprints_and_traces_are_those_that_were_planted(prepared):
    planted = plant([[30, 30], [31, 36], [12, 60]], brightness=15, noise_std=1.0)
    size = planted.truth.size
    told = replace(prepared, scale=Scale(size, size), noise=planted.noise, background_sigma=BACKGROUND_SIGMA)
    movie = planted.movie.read(0, planted.movie.n_frames)
    traces = stages.traces(movie, planted.truth.images(), told)
    for found, true in zip(traces, planted.traces, strict=True):
        assert np.corrcoef(found, true)[0, 1] > 0.98
    shapes = stages.footprints(movie, planted.truth, planted.traces, told)
    np.testing.assert_allclose(shapes.centers, [[30, 30], [31, 36], [12, 60]], atol=0.2)
    assert (shapes.consistency > 0.9).all()


def test_footprints_of_another_field_are_refused(prepared, ready):
    with pytest.raises(ValueError, match=r"footprints of shape \(2, 9, 9\): \(K, h, w\) with \(h, w\) ="):
        stages.traces(ready[0], np.zeros((2, 9, 9)), prepared)
