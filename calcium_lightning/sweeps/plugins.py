"""Our sweepers among Hydra's plugins, and the schemas of their settings. Imports nothing heavy.

Hydra looks for plugins in a top-level package ``hydra_plugins``. We have none for just this: the classes are
registered by hand, under names that Hydra accepts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from calcium_lightning.command.job import PLUGINS


@dataclass
class GridConfig:
    """``sweep=basic``: every combination of comma-separated values."""

    _target_: str = f"{PLUGINS}.GridSweeper"
    max_batch_size: int | None = None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass
class OptunaConfig:
    """``sweep=optuna``: what to search for, and how; ``conf/sweep/optuna.yaml`` explains the keys."""

    _target_: str = f"{PLUGINS}.OptunaSweeper"
    _recursive_: bool = False
    study_name: str = "${now:%Y-%m-%d_%H-%M-%S}"
    storage: str = "sqlite:///${hydra.sweep.dir}/study.db"
    direction: str = "minimize"
    n_trials: int = 20
    n_jobs: int = 1
    seed: int = 0
    sampler: dict[str, Any] = field(default_factory=dict)
    pruner: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)


@dataclass
class AgentConfig:
    """``sweep=wandb``: a file for W&B's agents; ``conf/sweep/wandb.yaml`` explains the keys."""

    _target_: str = f"{PLUGINS}.AgentSweeper"
    _recursive_: bool = False
    method: str = "bayes"
    project: str | None = "calcium-lightning"
    entity: str | None = None
    name: str | None = None
    run_cap: int | None = 20
    early_terminate: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)


def register() -> None:
    """Make them known.

    Our grid takes the place of Hydra's own, which raises the first failure and tells of no other.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    from calcium_lightning.sweeps.agent import AgentSweeper
    from calcium_lightning.sweeps.grid import GridSweeper
    from calcium_lightning.sweeps.search import OptunaSweeper

    known = Plugins.instance().class_name_to_class  # asked first: it stores Hydra's own nodes
    store = ConfigStore.instance()
    for sweeper, name, node in (
        (GridSweeper, "basic", GridConfig),
        (OptunaSweeper, "study", OptunaConfig),
        (AgentSweeper, "agent", AgentConfig),
    ):
        known[f"{PLUGINS}.{sweeper.__name__}"] = sweeper
        store.store(group="hydra/sweeper", name=name, node=node, provider="calcium-lightning")
