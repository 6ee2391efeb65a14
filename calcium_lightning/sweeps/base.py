"""What our sweepers share: Hydra's hand-over, the sweep's folder, and one order of events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command.paths import as_typed
from calcium_lightning.sweeps.jobs import Result, command_of, run_jobs


class SweeperBase(Sweeper):
    """A sweeper whose jobs may fail.

    Parameters
    ----------
    params : dict, optional
        Sweeping overrides by key, as a file of ``conf/sweep`` may give them; the command line's come after.
    """

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.params = {} if params is None else params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra hands over."""
        self.composed = config
        self.loader = hydra_context.config_loader
        self.launches = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return Path(str(self.composed.hydra.sweep.dir))

    def parse(self, arguments: Sequence[str]) -> list[Override]:
        """Parse the overrides of the sweep, those of ``params`` first."""
        ours = as_typed(
            command_of(self.composed), [f"{k}={v}" for k, v in self.params.items()], sweeping=True
        )
        given = [*ours, *arguments]
        parsed: list[Override] = OverridesParser.create(config_loader=self.loader).parse_overrides(given)
        return parsed

    def begin(self) -> None:
        """Make the sweep's folder, and write into it what is swept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.composed, self.folder / "multirun.yaml")

    def run(self, batch: Sequence[Sequence[str]], first: int) -> list[Result]:
        """Run a batch of jobs, numbered from ``first``; see :func:`run_jobs`."""
        return run_jobs(self.launches, self.loader, self.composed, batch, first)
