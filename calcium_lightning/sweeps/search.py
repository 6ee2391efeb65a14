"""``sweep=optuna``: which settings are best? Optuna proposes them, several processes may work on one study.

Optuna's ask and tell around whichever launcher. (``hydra-optuna-sweeper`` wants an Optuna of 2021, knows no
pruning, and marks pruned trials as failed.)
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.base import SweeperBase
from calcium_lightning.sweeps.jobs import Result, command_of, tell_failures
from calcium_lightning.sweeps.pruning import TrialAddress
from calcium_lightning.sweeps.ranking import tell_ranking
from calcium_lightning.sweeps.space import assignments, split


class OptunaSweeper(SweeperBase):
    """A search; ``conf/sweep/optuna.yaml`` explains the settings.

    A trial's folder in the sweep's has the trial's number as its name, whichever process ran it.

    Parameters
    ----------
    study_name : str
        Its name.
    storage : str
        URL of a SQLite or PostgreSQL database.
    direction : str
        ``minimize`` or ``maximize`` (or ``min``, ``max``) what the command returns.
    n_trials : int
        How many the study shall have, of all processes together.
    n_jobs : int
        How many this process launches at once.
    seed : int
        Of the proposals.
    sampler, pruner : mapping
        Their classes (``_target_``) and settings.
    params : mapping
        Search space by key, in Hydra's override syntax; the command line's comes after.
    """

    def __init__(
        self,
        study_name: str,
        storage: str,
        direction: str,
        n_trials: int,
        n_jobs: int,
        seed: int,
        sampler: Mapping[str, Any],
        pruner: Mapping[str, Any],
        params: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(params)
        if n_trials < 1 or n_jobs < 1:
            raise InputError(f"hydra.sweeper: n_trials={n_trials}, n_jobs={n_jobs}; both are 1 or more")
        self.study_name, self.storage, self.direction = study_name, storage, direction
        self.n_trials, self.n_jobs, self.seed = n_trials, n_jobs, seed
        self.sampler, self.pruner = _plain(sampler), _plain(pruner)

    def sweep(self, arguments: list[str]) -> list[Result]:
        """Search until the study has all its trials.

        Raises
        ------
        InputError
            For a search space or study that can't be.
        BatchFailed
            At the end, if trials of this process failed.
        """
        from calcium_lightning.sweeps.storage import require_optuna, shown, turn

        require_optuna()
        from calcium_lightning.sweeps.best import write_best
        from calcium_lightning.sweeps.trials import Trials

        space, shared = split(self.parse(arguments))
        if not space:
            raise InputError(
                "sweep=optuna: nothing to search; give choices, a=x,y, or intervals, "
                "'optimizer.lr=tag(log, interval(1e-4,1e-2))'"
            )
        self.begin()
        name = self._name()
        trials = Trials(
            self.storage, name, self.direction, self._make_sampler, instantiate(self.pruner), self.seed
        )
        command = command_of(self.composed)
        results: list[Result] = []
        again = None
        while batch := self._claim(trials, space):
            results += self._run_trials(trials, batch, shared)
            with turn(trials.url):
                again = write_best(self.folder, command, trials.study, shown(trials.url))
        if again is None:
            with turn(trials.url):
                again = write_best(self.folder, command, trials.study, shown(trials.url))
        if again is not None:
            best = trials.study.best_trial
            found = " ".join(assignments(best.params))
            print(f"best of study {name}: {best.value:.6g}, trial {best.number}, {found}\n{again}")
        tell_ranking(command, self.folder, results)
        tell_failures(results)
        return results

    def _name(self) -> str:
        """A folder in which a study was begun is the study's, unless the user says otherwise."""
        typed = self.composed.hydra.overrides.hydra
        given = any(part.startswith("hydra.sweeper.study_name=") for part in typed)
        return self.study_name if given else self.folder.name

    def _make_sampler(self, seed: int) -> Any:
        seeded = "seed" in signature(get_class(self.sampler["_target_"])).parameters
        return instantiate(self.sampler, **({"seed": seed} if seeded else {}))

    def _claim(self, trials: Any, space: Any) -> list[Any]:
        batch: list[Any] = []
        while len(batch) < self.n_jobs and (trial := trials.claim(self.n_trials, space)) is not None:
            batch.append(trial)
        return batch

    def _run_trials(self, trials: Any, batch: list[Any], shared: list[str]) -> list[Result]:
        overrides = []
        for trial in batch:
            address = TrialAddress(trials.url, trials.name, trial.number, self.pruner)
            place = f"hydra.sweep.subdir='{trial.number}'"
            overrides.append([*shared, *assignments(trial.params), place, address.as_override()])
        try:
            with trials.alive(batch):
                results = self.run(overrides, batch[0].number)
        except BaseException:  # Ctrl-C, SIGTERM
            trials.give_back(batch)
            raise
        for trial, result in zip(batch, results, strict=True):
            trials.finish(trial, result.value, **({"folder": str(result.folder)} if result.folder else {}))
        return results


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return dict(OmegaConf.to_container(OmegaConf.create(dict(settings)), resolve=True))  # type: ignore[arg-type]
