"""A synthetic session with ground truth: composes the settings, calls the simulation, says what was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command.inputs import names_folder, one_path, run_folder
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.plugins import register

if TYPE_CHECKING:
    from calcium_lightning.simulation import Scene, SceneSettings
    from calcium_lightning.simulation.days import DaysSettings


def settings_of(cfg: DictConfig) -> SceneSettings:
    """Scene settings of a composed config, with the command's own keys in place of the preset's.

    Raises
    ------
    InputError
        If a setting is out of its range, or two contradict each other.
    """
    import hydra

    values = OmegaConf.to_container(cfg.simulation, resolve=True)
    assert isinstance(values, dict)
    keys = {str(key): value for key, value in values.items()}
    # not hydra's instantiate(), which would wrap the one clear line of an InputError
    settings: SceneSettings = hydra.utils.get_class(keys.pop("_target_"))(**keys)
    changes: dict[str, Any] = {key: cfg[key] for key in ("fps", "pixel_size_um") if cfg[key] is not None}
    settings = settings.replace(**changes)
    diameter = cfg.cell_diameter
    if cfg.cell_diameter_um is not None:
        if diameter is not None:
            raise InputError("cell_diameter and cell_diameter_um: give one of them")
        if settings.pixel_size_um is None:
            raise InputError("cell_diameter_um: the preset has no pixel size; add pixel_size_um=")
        diameter = cfg.cell_diameter_um / settings.pixel_size_um
    if diameter is not None:
        low, high = settings.cell_diameter_px
        middle = settings.mean_diameter_px
        settings = settings.replace(cell_diameter_px=(low * diameter / middle, high * diameter / middle))
    return settings


def days_of(cfg: DictConfig) -> DaysSettings | None:
    """What differs between the days of one animal; None for one recording.

    Raises
    ------
    InputError
        If a value is out of its range.
    """
    import hydra

    values = OmegaConf.to_container(cfg.days, resolve=True) if OmegaConf.is_dict(cfg.days) else cfg.days
    if not isinstance(values, dict) or (values and "_target_" not in values):
        raise InputError("days: choose days=several for the days of one animal; days.count= says how many")
    keys = {str(key): value for key, value in values.items()}
    if not keys:
        return None
    settings: DaysSettings = hydra.utils.get_class(keys.pop("_target_"))(**keys)
    return settings


@entry_point("simulate", plugins=register)
def main(cfg: DictConfig) -> None:
    """Simulate a one-photon recording and write it with its truth to a session file.

    simulation= chooses a preset; simulation.KEY= changes a setting, such as simulation.seconds=30,
    simulation.height_px=128 or simulation.brightness=0.2. --cfg job lists them all with their units.
    days=several simulates several days of one animal, a session each, into a folder.
    """
    if not OmegaConf.is_dict(cfg.simulation) or not cfg.simulation.get("_target_"):
        raise InputError("simulation: choose a preset, such as simulation=miniscope_ca1")
    settings, days = settings_of(cfg), days_of(cfg)
    if days is not None:
        from calcium_lightning.simulation.recorded_days import write_days

        folder = run_folder() if cfg.output is None else one_path("output", cfg.output)
        made = write_days(
            folder, settings, days, cfg.seed, overwrite=cfg.overwrite, compression=cfg.compression
        )
        for path, scene in made.items():
            _told(path, scene)
        return
    output = Path(run_folder() / "session.h5") if cfg.output is None else one_path("output", cfg.output)
    if cfg.output is not None and names_folder(cfg.output):
        output = output / "session.h5"

    from calcium_lightning.simulation import write_session

    scene = write_session(output, settings, cfg.seed, overwrite=cfg.overwrite, compression=cfg.compression)
    _told(output, scene)


def _told(output: Path, scene: Scene) -> None:
    height, width = scene.size
    cells = len(scene.truth.amplitude) if scene.truth.amplitude is not None else 0
    size = f"{scene.n_frames} frames of {height}x{width} at {scene.settings.fps:g} Hz"
    print(f"{output}: {size}, {cells} cells in the truth")


if __name__ == "__main__":
    main()
