"""Configs as the commands compose them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.sweeps.plugins import register


def composed(command: str, *overrides: str) -> DictConfig:
    """The config of a command."""
    register()
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(command, list(overrides))
