"""``sweep=wandb``: the same sweep as a file for W&B's own agents, which run its jobs on as many machines.

Runs nothing itself. Knows Hydra's sweep overrides and the schema of W&B's sweep files; it must not know
wandb.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig, OmegaConf

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.objective import OBJECTIVE
from calcium_lightning.sweeps.base import SweeperBase
from calcium_lightning.sweeps.jobs import command_of

METHODS = ("grid", "random", "bayes")
GOALS = {"min": "minimize", "max": "maximize"}


class AgentSweeper(SweeperBase):
    """Writes ``sweep.yaml`` into the sweep's folder, and prints the two commands that go on from there.

    Parameters
    ----------
    method : {"grid", "random", "bayes"}
        Who proposes the settings.
    project, entity, name : str, optional
        Of the sweep in W&B.
    run_cap : int, optional
        How many runs there shall be, of all agents together.
    early_terminate : mapping, optional
        When W&B gives a run up, as its schema has it.
    params : dict, optional
        Search space by key, in Hydra's override syntax; the command line's comes after.
    """

    def __init__(
        self,
        method: str = "bayes",
        project: str | None = None,
        entity: str | None = None,
        name: str | None = None,
        run_cap: int | None = None,
        early_terminate: Mapping[str, Any] | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(params)
        if method not in METHODS:
            raise InputError(f"hydra.sweeper.method={method}: {', '.join(METHODS)}")
        self.method, self.run_cap = method, run_cap
        self.place = {"name": name, "project": project, "entity": entity}
        self.early_terminate = {str(key): value for key, value in (early_terminate or {}).items()}

    def sweep(self, arguments: list[str]) -> list[Any]:
        """Write the file.

        Raises
        ------
        InputError
            If nothing is swept, or the method can't go through it.
        """
        overrides = {item.get_key_element(): item for item in self.parse(arguments)}
        swept = {key: item for key, item in overrides.items() if item.is_sweep_override()}
        if not swept:
            raise InputError(
                "sweep=wandb: nothing to search; give choices, a=x,y, or intervals, "
                "'optimizer.lr=tag(log, interval(1e-4,1e-2))'"
            )
        parameters = {key: parameter(key, item, self.method) for key, item in swept.items()}
        shared = [
            f"{key}={item.get_value_element_as_str()}"
            for key, item in overrides.items()
            if key not in {*swept, "sweep"}
        ]
        composed = self.loader.load_sweep_config(
            self.composed, [*shared, *(f"{key}={_first(told)}" for key, told in parameters.items())]
        )
        target = self.folder / "sweep.yaml"
        told = {
            **{key: value for key, value in self.place.items() if value},
            "program": f"calcium_lightning.{command_of(self.composed)}",
            "method": self.method,
            "metric": {"name": OBJECTIVE, "goal": GOALS[_mode(composed)]},
            "parameters": parameters,
            **({"run_cap": self.run_cap} if self.run_cap else {}),
            **({"early_terminate": self.early_terminate} if self.early_terminate else {}),
            "command": self._command(shared),
        }
        self.begin()
        with atomic_path(target) as temporary:
            head = f"# {OBJECTIVE} is the best {_monitor(composed)} of a run so far.\n"
            temporary.write_text(head + yaml.safe_dump(told, sort_keys=False, allow_unicode=True))
        print(
            f"{target}: a sweep for W&B's agents; once, from this folder:\n"
            f"  {shlex.join(['wandb', 'sweep', str(target)])}\n"
            "and on every machine, once per GPU, from the same folder, what that command prints:\n"
            "  wandb agent ENTITY/PROJECT/ID"
        )
        return []

    def _command(self, shared: Sequence[str]) -> list[str]:
        """What an agent runs; each run has a folder of its own, and none takes over another's result."""
        command = command_of(self.composed)
        flags = _flags(self.composed)
        folder = f"hydra.run.dir='{self.folder}/${{oc.env:WANDB_RUN_ID}}'"
        own = ["logger=wandb", "fresh=true", folder]
        return [
            "${env}",
            "python",
            "-m",
            f"calcium_lightning.{command}",
            *flags,
            *shared,
            *own,
            "${args_no_hyphens}",
        ]


def parameter(key: str, override: Override, method: str) -> dict[str, Any]:
    """A swept key as W&B's schema has it.

    Examples
    --------
    >>> from hydra.core.override_parser.overrides_parser import OverridesParser
    >>> swept = OverridesParser.create().parse_override("lr=tag(log, interval(1e-4,1e-2))")
    >>> parameter("lr", swept, "bayes")
    {'distribution': 'log_uniform_values', 'min': 0.0001, 'max': 0.01}

    Raises
    ------
    InputError
        For a sweep that W&B has no distribution for.
    """
    sweep = override.value()
    if isinstance(sweep, IntervalSweep) and sweep.start is not None and sweep.end is not None:
        if method == "grid":
            raise InputError(
                f"{key}: a grid has no intervals; hydra.sweeper.method=bayes or random search them"
            )
        whole, log = "int" in sweep.tags, "log" in sweep.tags
        if whole and log:
            raise InputError(f"{key}: W&B knows no logarithmic distribution of whole numbers; give choices")
        kind: type[int | float] = int if whole else float
        named = "int_uniform" if whole else "log_uniform_values" if log else "uniform"
        return {"distribution": named, "min": kind(sweep.start), "max": kind(sweep.end)}
    if isinstance(sweep, ChoiceSweep | RangeSweep):
        return {"values": [_plain(text) for text in override.sweep_string_iterator()]}
    raise InputError(f"{key}: no search space; choice(), range() or interval() make one")


def _plain(text: str) -> Any:
    """A number where the text is one, so that W&B can order them; else the text, which Hydra reads again."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _first(told: Mapping[str, Any]) -> Any:
    return told["values"][0] if "values" in told else told["min"]


def _monitor(composed: DictConfig) -> str:
    return str(OmegaConf.select(composed, "callbacks.best.monitor", default="result"))


def _mode(composed: DictConfig) -> str:
    return "max" if OmegaConf.select(composed, "callbacks.best.mode") == "max" else "min"


def _flags(composed: DictConfig) -> list[str]:
    """Where the user's own config files are."""
    sources = composed.hydra.runtime.config_sources
    own = [str(item.path) for item in sources if item.provider == "command-line"]
    return [flag for path in own for flag in ("--config-dir", str(Path(path)))]
