"""Hardships: what may be put on a scene at random is always a scene that can be rendered."""

import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation import Scene, SceneSettings, random_settings, with_hardships
from calcium_lightning.simulation.hardships import HARDSHIPS

RAW = SceneSettings(height_px=64, width_px=64, seconds=1.5, vessel_count=0)
DFF = RAW.replace(kind="dff", motion_corrected=True, stretch_each_frame=True, photons_per_px=5e4)


@pytest.mark.parametrize("hardship", HARDSHIPS, ids=lambda hardship: hardship.__name__)
def test_each_changes_a_raw_scene(hardship):
    changed = RAW.replace(**hardship(np.random.default_rng(0), RAW))
    assert changed != RAW


@pytest.mark.parametrize(
    "base", [RAW, DFF, DFF.replace(stretch_each_frame=False)], ids=["raw", "dff", "float"]
)
@pytest.mark.parametrize("seed", range(3))
def test_all_of_them_together_can_be_rendered(base, seed):
    rng = np.random.default_rng(seed)
    scene = with_hardships(rng, random_settings(rng, base), 1.0).replace(seconds=1.5)
    frames = Scene(scene, seed).frames()
    assert np.isfinite(frames).all()
    assert frames.std() > 0


def test_a_chance_is_how_many_are_hit():
    rng = np.random.default_rng(0)
    assert with_hardships(rng, RAW, 0.0) == RAW
    slow = [with_hardships(rng, RAW, 0.25).decay_s != RAW.decay_s for _ in range(400)]
    assert np.mean(slow) == pytest.approx(0.25, abs=0.06)
    with pytest.raises(InputError, match=r"hardships=1\.5"):
        with_hardships(rng, RAW, 1.5)


def test_what_is_hit_changes_nothing_of_the_others():
    """The same numbers are drawn whatever is hit, so that a scene of a seed is as hard as its chance says."""
    often, seldom = (with_hardships(np.random.default_rng(7), RAW, chance) for chance in (1.0, 0.6))
    differing = [name for name in ("density_per_1000_px2", "photons_per_px", "decay_s", "vessel_flicker")
                 if getattr(seldom, name) not in (getattr(often, name), getattr(RAW, name))]  # fmt: skip
    assert not differing
