"""A job's config, composed once: Hydra does so to see whether several jobs are wanted, and again to run one.

Knows Hydra, and nothing of commands.
"""

from __future__ import annotations

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import RunMode
from omegaconf import DictConfig

#: what Hydra adds to the overrides of one job
ONE_JOB = "hydra.mode=RUN"


class Composer(ConfigLoaderImpl):
    """Composes as Hydra's own, and takes for one job what came of looking up its mode."""

    _looked_up: tuple[list[str], DictConfig | Exception] | None = None

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a config; without validation of sweeps, to look up its mode."""
        if not validate_sweep_overrides:
            try:
                config = super().load_configuration(config_name, overrides, RunMode.RUN, from_shell)
            except Exception as error:  # unless it is one of a sweep
                self._looked_up = [*overrides, ONE_JOB], error
            else:
                if config.hydra.mode is None:
                    self._looked_up = [*overrides, ONE_JOB], config
                return config
        elif self._looked_up is not None:
            known, found = self._looked_up
            self._looked_up = None  # it is changed by who gets it
            if run_mode == RunMode.RUN and overrides == known:
                if isinstance(found, Exception):
                    raise found
                found.hydra.mode = RunMode.RUN
                found.hydra.overrides.hydra.append(ONE_JOB)
                return found
        return super().load_configuration(
            config_name, overrides, run_mode, from_shell, validate_sweep_overrides
        )
