"""A scene as a session: the same frames as the file has, and next to nothing when it is handed on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from calcium_lightning.io.session import Session
from calcium_lightning.simulation import SceneSession, SceneSettings, write_session

SETTINGS = SceneSettings(height_px=48, width_px=64, seconds=4.0, fps=20.0, cell_diameter_px=(8.0, 10.0))


@pytest.mark.parametrize("kind", ["raw", "dff"])
def test_it_is_the_file_that_would_be_written(kind, tmp_path):
    settings = SETTINGS.replace(kind=kind, motion_corrected=kind == "dff")
    write_session(tmp_path / "a.h5", settings, 7)
    with Session(tmp_path / "a.h5") as file, SceneSession(settings, 7) as scene:
        for name in ("shape", "dtype", "fps", "pixel_size_um", "kind", "motion_corrected"):
            assert getattr(scene, name) == getattr(file, name), name
        np.testing.assert_array_equal(scene.frames(5, 40), file.frames(5, 40))
        scene.render()
        np.testing.assert_array_equal(scene.frames(), file.frames())
        np.testing.assert_array_equal(scene.truth.traces, file.truth.traces)
        np.testing.assert_array_equal(scene.timestamps, file.timestamps)
        assert scene.shifts is None


def test_it_is_drawn_again_from_its_seed():
    error = np.random.default_rng(0).normal(size=(SETTINGS.n_frames, 2))
    scene = SceneSession(SETTINGS, 3, shift_error=error)
    frames, shifts = scene.frames(), scene.shifts
    scene.render()
    sent = pickle.dumps(scene)
    assert len(sent) < 2 * error.nbytes + 10_000  # no frames, no tissue
    other = pickle.loads(sent)
    scene.close()
    for one in (scene, other):
        np.testing.assert_array_equal(one.frames(), frames)
        np.testing.assert_array_equal(one.shifts, shifts)
        np.testing.assert_allclose(one.shifts - one.truth.shifts, error, atol=1e-5)


def test_the_hash_tells_scenes_apart():
    error = np.zeros((SETTINGS.n_frames, 2))
    scenes = [
        SceneSession(SETTINGS, 3),
        SceneSession(SETTINGS, 4),
        SceneSession(SETTINGS.replace(brightness=0.9), 3),
        SceneSession(SETTINGS, 3, shift_error=error),
    ]
    assert len({scene.sha256() for scene in scenes}) == 4
    assert SceneSession(SETTINGS, 3).sha256() == scenes[0].sha256()
