"""The trials of a study that several processes and machines work on: none is lost, none is done twice.

Optuna hands out trials (ask) and takes their results (tell). Here is what it leaves to others: the count of
all processes together, and trials whose process was killed. Knows nothing of Hydra or of what a trial runs.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from calcium_lightning.command.failures import Failure
from calcium_lightning.command.job import Stopped
from calcium_lightning.core import system
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.storage import absolute, open_storage, turn

#: a sign of life of a running trial's process, and how old it may be, seconds
BEAT_S, STALE_S = 20.0, 180.0
#: how often a trial is begun anew whose process was killed
RETRIES = 3


class Trials:
    """A shared study.

    Parameters
    ----------
    storage : str
        URL of its database.
    name : str
        The study's name; the first process makes it.
    direction : str
        ``min``, ``max``, ``minimize`` or ``maximize``.
    sampler : callable
        Makes a sampler from a seed.
    pruner : BasePruner
        Tells hopeless trials.
    seed : int
        With the number of trials so far it seeds the sampler: two processes never propose the same by
        chance, and a search that was broken off proposes what it would have.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        direction: str,
        sampler: Callable[[int], BaseSampler],
        pruner: BasePruner,
        seed: int = 0,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if direction not in ("min", "max", "minimize", "maximize"):
            raise InputError(f"hydra.sweeper.direction={direction}: minimize | maximize")
        wanted = StudyDirection.MINIMIZE if direction.startswith("min") else StudyDirection.MAXIMIZE
        self.url, self.name, self.seed = absolute(storage), name, seed
        self._sampler = sampler
        with turn(self.url):  # two processes that make the tables at once break both
            self.study = optuna.create_study(
                storage=open_storage(self.url),
                study_name=name,
                direction=wanted,
                pruner=pruner,
                load_if_exists=True,
            )
        if self.study.direction is not wanted:
            raise InputError(
                f"hydra.sweeper.direction={direction}: the study {name} was begun to "
                f"{self.study.direction.name.lower()}; another hydra.sweeper.study_name= begins another"
            )

    def claim(self, total: int, space: dict[str, BaseDistribution]) -> Trial | None:
        """Take the next trial; ``None`` when the study has ``total`` of them, of all processes together."""
        with turn(self.url):
            self._revive()
            trials = self.study.get_trials(deepcopy=False)
            waiting = any(trial.state is TrialState.WAITING for trial in trials)
            begun = len(self.counted(trials))
            if not waiting and begun >= total:
                return None
            self.study.sampler = self._sampler((self.seed * 1_000_003 + begun) % 2**32)
            trial = self.study.ask(space)
            self._sign(trial.number)
            return trial

    @staticmethod
    def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Those that aren't just the remains of one that was begun anew."""
        return [trial for trial in trials if "again" not in trial.user_attrs]

    def finish(self, trial: Trial, value: Any, **notes: Any) -> None:
        """Write down what came of a trial.

        Parameters
        ----------
        trial : Trial
            A claimed one.
        value : float, Failure or Stopped
            What its job returned.
        **notes
            Kept with the trial.
        """
        failure = value.message if isinstance(value, Failure) else None
        if failure is None and not isinstance(value, Stopped) and not _is_number(value):
            failure = f"{value} is no result"
        with suppress(UpdateFinishedTrialError):  # taken for dead, and begun anew by another process
            for name, note in (notes | ({"error": failure} if failure else {})).items():
                trial.set_user_attr(name, note)
        if failure is not None:
            self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        elif isinstance(value, Stopped):
            self.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        else:
            self.study.tell(trial, float(value), skip_if_finished=True)

    def give_back(self, trials: Sequence[Trial]) -> None:
        """Let trials that were broken off be begun anew, by whoever is next."""
        with turn(self.url):
            running = {trial.number for trial in trials}
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if trial.number in running:
                    self._again(trial)

    @contextmanager
    def alive(self, trials: Sequence[Trial]) -> Iterator[None]:
        """Give signs of life for running trials."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT_S):
                for trial in trials:
                    with suppress(Exception):  # the next one may get through
                        self._sign(trial.number)

        thread = threading.Thread(target=beat, daemon=True, name="alive")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _sign(self, number: int) -> None:
        sign = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
        self._note(number, "owner", sign)

    def _note(self, number: int, name: str, value: Any) -> None:
        storage = self.study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(self.study._study_id, number)
        storage.set_trial_user_attr(trial_id, name, value)

    def _revive(self) -> None:
        """Let trials whose process is gone be begun anew."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not _lives(trial.user_attrs.get("owner")):
                self._again(trial)

    def _again(self, trial: FrozenTrial) -> None:
        tries = int(trial.user_attrs.get("tries", 1))
        if tries > RETRIES:
            self._note(trial.number, "error", f"its process was killed {tries} times")
        else:
            self._note(trial.number, "again", True)
            self.study.enqueue_trial(trial.params, user_attrs={"tries": tries + 1, "begun_as": trial.number})
        self.study.tell(trial.number, state=TrialState.FAIL)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _lives(owner: dict[str, Any] | None) -> bool:
    """Whether the process that runs a trial is there, as far as can be told from here."""
    if owner is None or time.time() - float(owner["time"]) > STALE_S:
        return False
    if owner["host"] != socket.gethostname():
        return True
    return system.lives(int(owner["pid"]))
