"""How a job knows its trial: by its environment, which reaches all its processes, wherever they are.

Knows Optuna and the variable; knows nothing of sweepers or of trainings.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from typing import Any

VARIABLE = "CALCIUM_LIGHTNING_TRIAL"


@dataclass(frozen=True)
class TrialAddress:
    """Where a trial is kept.

    Attributes
    ----------
    storage : str
        URL of the study's database.
    study : str
        The study's name.
    number : int
        The trial's.
    pruner : dict
        What tells hopeless trials, as Hydra instantiates it.
    """

    storage: str
    study: str
    number: int
    pruner: dict[str, Any]

    @classmethod
    def of_this_job(cls) -> TrialAddress | None:
        """The trial that this process works on, if any."""
        text = os.environ.get(VARIABLE)
        return cls(**json.loads(text)) if text else None

    def as_override(self) -> str:
        """The override that hands it to a job."""
        text = re.sub(
            r"(\\*)'", r"\1\1\'", json.dumps(asdict(self))
        )  # a backslash counts before a quote only
        return f"hydra.job.env_set.{VARIABLE}='{text}'"

    def connect(self) -> Reporter:
        """Open the study."""
        import optuna
        from hydra.utils import instantiate
        from optuna.samplers import RandomSampler

        from calcium_lightning.sweeps.storage import open_storage

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = open_storage(self.storage)
        study = optuna.load_study(
            study_name=self.study, storage=storage, pruner=instantiate(self.pruner), sampler=RandomSampler()
        )
        study_id = storage.get_study_id_from_name(self.study)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, self.number)
        return Reporter(optuna.trial.Trial(study, trial_id))


class Reporter:
    """A trial as its job sees it.

    Parameters
    ----------
    trial : optuna.trial.Trial
        The trial.
    """

    def __init__(self, trial: Any) -> None:
        self._trial = trial

    def hopeless(self, value: float, step: int) -> bool:
        """Tell the study how far the job is, and hear whether it is worth going on.

        Parameters
        ----------
        value : float
            What the study optimises, now.
        step : int
            When: the same count in all trials, such as epochs.
        """
        self._trial.report(value, step)
        return bool(self._trial.should_prune())
