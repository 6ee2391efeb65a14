"""What a search has found, in two files of the sweep's folder.

``optimization_results.yaml`` for programs and people; ``best.yaml``, the best trial's whole config, to run it
again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.study import Study
from optuna.trial import TrialState

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.sweeps.trials import Trials

RESULTS, BEST = "optimization_results.yaml", "best.yaml"


def write_best(folder: Path, command: str, study: Study, storage: str) -> str | None:
    """Write both files.

    Parameters
    ----------
    folder : Path
        The sweep's.
    command : str
        The command that the trials run.
    study : Study
        What was found.
    storage : str
        The URL of its database, fit to be shown.

    Returns
    -------
    str or None
        The command that runs the best trial again, if there is one, and its folder is on this machine.
    """
    trials = Trials.counted(study.get_trials(deepcopy=False))
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    summary = {
        "name": "optuna",
        "study_name": study.study_name,
        "storage": storage,
        "direction": study.direction.name.lower(),
        "trials": {state.name.lower(): sum(trial.state is state for trial in trials) for state in TrialState},
    }
    again = None
    if done:
        best = study.best_trial
        place = best.user_attrs.get("folder")
        summary["best"] = {
            "trial": best.number,
            "value": best.value,
            "params": dict(best.params),
            "folder": place,
        }
        again = _write_config(folder, command, Path(place) / ".hydra/config.yaml") if place else None
    with atomic_path(folder / RESULTS, overwrite=True) as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(summary)))
    return again


def _write_config(folder: Path, command: str, config: Path) -> str | None:
    if not config.is_file():
        return None
    again = f"python -m calcium_lightning.{command} -cd '{folder.resolve()}' -cn best fresh=true"
    head = f"# The best trial. To run it again:\n#   {again}\n"
    first: dict[str, Any] = {"defaults": [f"{command}_schema", {"run": "folder"}, "_self_"]}
    if folders := _own_folders(config.with_name("hydra.yaml")):
        first["hydra"] = {"searchpath": [f"file://{path}" for path in folders]}
    defaults = OmegaConf.create(first)
    with atomic_path(folder / BEST, overwrite=True) as temporary:
        temporary.write_text(f"{head}{OmegaConf.to_yaml(defaults)}\n{config.read_text(encoding='utf-8')}")
    return again


def _own_folders(hydra: Path) -> list[str]:
    """Where a job had its user's own files and modules from (``--config-dir``, ``hydra.searchpath``)."""
    sources = (
        OmegaConf.select(OmegaConf.load(hydra), "hydra.runtime.config_sources") if hydra.is_file() else []
    )
    own = ("command-line", "hydra.searchpath")
    return [item.path for item in sources or [] if item.schema == "file" and item.provider.startswith(own)]
