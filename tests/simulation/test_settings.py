"""Settings are validated, and the presets in conf are complete and valid."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from calcium_lightning import simulation
from calcium_lightning.command import config_keys
from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation import SceneSettings, random_settings

PRESETS = sorted(path.stem for path in (config_keys.conf_dir() / "simulation").glob("*.yaml"))


def preset(name: str) -> dict:
    with initialize_config_dir(str(config_keys.conf_dir()), version_base="1.3"):
        node = compose(f"simulation/{name}").simulation
    values = OmegaConf.to_container(node, resolve=True)
    assert values.pop("_target_") == "calcium_lightning.simulation.SceneSettings"
    return values


def test_the_presets_that_are_promised_exist():
    hard = {
        "dense",
        "slow",
        "dark",
        "haze",
        "mixed",
        "large",
        "lens",
        "vessels",
        "blobs",
        "denoised",
        "lossy",
    }
    assert {"miniscope_ca1", "miniscope_cortex", "dff_5fps", "bad_frames"} | hard <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_lists_every_setting_and_is_valid(name):
    values = preset(name)
    assert set(values) == {field.name for field in dataclasses.fields(SceneSettings)}
    SceneSettings(**values)


def test_the_defaults_are_the_ca1_preset():
    assert SceneSettings(**preset("miniscope_ca1")) == SceneSettings()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fps", -3),
        ("fps", float("nan")),
        ("fps", "fast"),
        ("height_px", 2),
        ("height_px", 100.5),
        ("bit_depth", 17),
        ("cell_diameter_px", (14, 10)),
        ("cell_diameter_px", (1, 2, 3)),
        ("cell_diameter_px", "ten"),
        ("vignette", 1.0),
        ("kind", "df"),
        ("motion_corrected", "yes"),
        ("stretch_each_frame", True),  # of raw frames
        ("mean_level", 0.95),  # with a black level on top
        ("decay_s", (0.05, 0.8)),  # not above the rise
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_it(key, value):
    settings = {"black_level": 0.1} if key == "mean_level" else {}
    with pytest.raises(InputError, match=f"simulation.{key}") as caught:
        SceneSettings(**{key: value, **settings})
    assert "\n" not in str(caught.value)


def test_ranges_become_pairs_of_floats_and_one_number_is_a_range():
    settings = SceneSettings(cell_diameter_px=[8, 12], rise_s=0.05)
    assert settings.cell_diameter_px == (8.0, 12.0)
    assert settings.rise_s == (0.05, 0.05)
    assert settings.mean_diameter_px == 10
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.fps = 3


def test_there_is_at_least_one_frame():
    assert SceneSettings(seconds=0.01).n_frames == 1
    assert SceneSettings(seconds=60, fps=20).n_frames == 1200


@pytest.mark.parametrize("name", PRESETS)
def test_random_settings_are_valid_and_vary(name):
    base = SceneSettings(**preset(name))
    rng = np.random.default_rng(0)
    drawn = [random_settings(rng, base) for _ in range(60)]
    assert {item.height_px for item in drawn} == {base.height_px}
    assert {item.kind for item in drawn} == {base.kind}
    fps = np.array([item.fps for item in drawn])
    assert fps.min() >= 5
    assert fps.max() <= 30
    for key in (
        "fps",
        "mean_diameter_px",
        "density_per_1000_px2",
        "brightness",
        "photons_per_px",
        "neuropil_std",
    ):
        values = np.array([getattr(item, key) for item in drawn])
        assert values.max() > 1.8 * values.min(), key
    if base.kind == "raw" and base.codec == "none":
        assert {item.bit_depth for item in drawn} >= {8, 12, 16}


def test_random_settings_follow_their_generator():
    one, two = (random_settings(np.random.default_rng(5)) for _ in range(2))
    assert one == two


def test_no_module_of_the_simulation_is_long():
    for path in Path(simulation.__file__).parent.glob("*.py"):
        assert len(path.read_text().splitlines()) < 300
