"""What Hydra runs for each job: the checks of its config, then the command.

Launchers send it to other processes and machines, so it holds nothing but the command. It knows how a job
ends, and nothing of how jobs are launched.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from calcium_lightning.command import composed, new_folder, own
from calcium_lightning.command.config_keys import (
    check_choices,
    check_complete,
    check_keys,
    check_numbers,
    check_targets,
)
from calcium_lightning.command.failures import EXIT_INPUT, diagnose, report
from calcium_lightning.command.interrupts import held_back
from calcium_lightning.command.paths import path_keys
from calcium_lightning.core.atomic import guarding
from calcium_lightning.core.errors import Pruned
from calcium_lightning.core.garbage import loading

Main = Callable[[DictConfig], Any]
#: where Hydra believes our plugins to be; it refuses plugins from elsewhere
PLUGINS = "hydra_plugins.calcium_lightning"
new_folder.register()
composed.register()


#: command -> whether other processes do a job's work: they load its components, and check what they take
ELSEWHERE: dict[str, Callable[[DictConfig], bool]] = {}


class JobFailed(BaseException):
    """Carries a job's error past Hydra, which would print its own lines for an ``Exception``."""


class Stopped:
    """What a job returns that its sweep gave up as hopeless."""


class Task:
    """A command as Hydra's task function.

    In a sweep of ours a job's failure is its return value, so that the
    others run; it is told on stderr where and when it happens.

    Parameters
    ----------
    name : str
        The command's name.
    main : callable
        What it does with a composed config.
    """

    def __init__(self, name: str, main: Main) -> None:
        self.name = name
        self.main = main
        self.__module__ = f"calcium_lightning.{name}"  # Hydra names the job, its folder and its log by it

    def __call__(self, cfg: DictConfig) -> Any:
        """Run one job.

        Returns
        -------
        Any
            What the command returns; :class:`~calcium_lightning.command.failures.Failure` or :class:`Stopped`
            instead, in a sweep.
        """
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        try:
            with composed.beside(Path(hydra.runtime.output_dir), hydra.output_subdir):
                return self._run(cfg)
        except Pruned:
            return Stopped()
        except Exception as error:
            if not _goes_on():
                if diagnose(self.name, error).status == EXIT_INPUT:
                    _forget()
                raise JobFailed from error
            report(self.name, error)
            return diagnose(self.name, error)

    def _run(self, cfg: DictConfig) -> Any:
        """Check the config, then do the work."""
        from hydra.core.hydra_config import HydraConfig

        logging.captureWarnings(True)  # to the job's log file; stderr is for the user's one line
        check_keys(cfg, self.name)
        hydra = HydraConfig.get()
        own.find_from_job(hydra)
        check_choices(cfg, hydra.overrides.task)
        own.own_modules(cfg)
        own.check_features(cfg)
        own.show(own.leave_out(cfg, hydra))
        check_complete(cfg)
        check_numbers(cfg)
        if self.name not in ELSEWHERE or not ELSEWHERE[self.name](cfg):
            check_components(cfg)
        with guarding(_inputs(cfg, self.name)):
            return self.main(cfg)

    def __reduce__(self) -> tuple[Any, ...]:
        """By name where the command is one of ours, though it was run as ``__main__``: no code is sent."""
        module = importlib.import_module(f"calcium_lightning.{self.name}")
        command = getattr(getattr(module, "main", None), "__wrapped__", None)
        ours = command is not None and command.__code__ == self.main.__code__
        return (_of, (self.name,)) if ours else (Task, (self.name, self.main))


def check_components(cfg: DictConfig) -> None:
    """Load what a config names, and refuse what it doesn't take; a signal waits until it is loaded."""
    with loading(), held_back():
        check_targets(cfg)


def _inputs(cfg: DictConfig, name: str) -> Iterator[Path]:
    """The files that a config names as inputs; those of folders and globs are found by the command."""
    for key in path_keys(name, "input"):
        value = OmegaConf.select(cfg, key)
        for item in value if isinstance(value, ListConfig) else [value]:
            if isinstance(item, str):
                yield Path(item).expanduser()


def _forget() -> None:
    """Remove the job's folder, if nothing is in it but what Hydra has put there."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    cfg = HydraConfig.get()
    folder = Path(cfg.runtime.output_dir)
    if cfg.mode == RunMode.MULTIRUN or cfg.output_subdir is None or not folder.is_dir():
        return
    hydras = {composed.KEPT, str(cfg.output_subdir), f"{cfg.job.name}.log"}
    if {path.name for path in folder.iterdir()} <= hydras:
        shutil.rmtree(folder)
        with contextlib.suppress(OSError):  # it holds other runs
            for above in folder.parents:
                if not above.is_relative_to(Path.cwd() / "outputs"):
                    break  # no folder of ours
                above.rmdir()


def _of(name: str) -> Task:
    return Task(name, importlib.import_module(f"calcium_lightning.{name}").main.__wrapped__)


def _goes_on() -> bool:
    """Whether this job is one of a sweep that collects failures."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    cfg = HydraConfig.get()
    return cfg.mode == RunMode.MULTIRUN and str(cfg.sweeper.get("_target_")).startswith(f"{PLUGINS}.")
