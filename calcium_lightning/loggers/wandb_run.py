"""One W&B run per job, and nothing that W&B does or fails to do can stop the training.

Knows wandb and a run's folder. Online it falls back to offline where W&B can't be reached; whatever fails
afterwards is told once, in one line, and ``metrics.csv`` has every figure anyway.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from calcium_lightning.core.errors import Pruned
from calcium_lightning.core.objective import OBJECTIVE
from calcium_lightning.loggers.wandb_artifacts import log_cells, log_checkpoints, use_model, use_sessions
from calcium_lightning.loggers.wandb_job import WandbIdentity, identify
from calcium_lightning.loggers.wandb_summary import best_so_far, better
from calcium_lightning.metrics.table import better_of
from calcium_lightning.runs.folder import RunFolder

#: seconds between writes of W&B's file, lost at most where a process is killed (W&B's own choice is 15)
FLUSH_S = 0.5
#: seconds beyond W&B's own limit that its end may take
GRACE_S = 5.0
#: where W&B keeps what is to be uploaded; the home folder by default, which a cluster's node may not share
DATA_DIR = "WANDB_DATA_DIR"
#: set by ``wandb agent``: the run is of its sweep, and has the name that the sweep gave it
SWEEP = "WANDB_SWEEP_ID"
#: the x-axis of every curve
STEP = "trainer/global_step"


def _harmless(method: Callable[..., Any]) -> Callable[..., Any]:
    """Tell the first failure in one line, and go on."""

    @functools.wraps(method)
    def guarded(self: WandbRun, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # wandb raises what it likes, and none of it is worth a training
            if not self.failed:
                _tell(f"W&B failed ({_line(error)}); the training goes on, metrics.csv has every figure")
            self.failed = True
            return None

    return guarded


class WandbRun(WandbLogger):
    """Lightning's W&B logger for a job: its id, its summary, its artifacts, and its end.

    Parameters
    ----------
    folder : Path
        The run's folder.
    mode : {"online", "offline", "disabled"}
        Where the figures go.
    init_timeout, finish_timeout : float
        How long to wait for W&B at the beginning and for uploads at the end, seconds.
    identity : WandbIdentity, optional
        Who the run is; default: read from the folder.
    project, entity, name, group, tags, job_type
        As in ``wandb.init``; name and group are the job's where they aren't given, and tags are added to the
        job's own.

    Attributes
    ----------
    failed : bool
        Something couldn't be logged.
    """

    def __init__(
        self,
        folder: Path,
        mode: Any,
        *,
        init_timeout: float = 30.0,
        finish_timeout: float = 300.0,
        identity: WandbIdentity | None = None,
        project: str = "calcium-lightning",
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        job_type: str = "train",
    ) -> None:
        super().__init__(save_dir=str(folder), project=project, log_model=False)
        self.folder = folder
        self.mode = mode
        self.failed = False
        self._timeouts: dict[str, Any] = {"init_timeout": init_timeout, "finish_timeout": finish_timeout}
        self._given = {"entity": entity, "name": name, "group": group, "job_type": job_type}
        self._tags = tuple(tags)
        self._identity = identity
        self._defined: set[str] = set()
        self._before: dict[str, float] = {}
        self._lineage: threading.Thread | None = None
        self._monitor: str | None = None
        self._objective: float | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """W&B's run, begun at first use; on other ranks than 0 a dummy."""
        if self._experiment is None:
            self._experiment = self._begin()
        return self._experiment

    def _begin(self) -> Any:
        if DATA_DIR not in os.environ:  # what tables and artifacts are uploaded from lies with the run
            os.environ[DATA_DIR] = str(self.folder / "wandb")
        identity = self._identity or identify(self.folder)
        self._before = best_so_far(RunFolder(self.folder).metrics)
        if self.mode == "online" and self._waiting(identity.id):
            _tell("W&B: this run began offline and isn't synced yet, so it stays offline, in order")
            self.mode = "offline"
        run = self._init(identity)
        run.define_metric(STEP, hidden=True)
        run.define_metric("epoch", hidden=True)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        if self.mode == "online" and identity.data:
            # W&B answers when it has stored the reference, and that may be never: nobody waits for it.
            self._lineage = threading.Thread(
                target=self._use_what_it_is_made_of, args=(run, identity), daemon=True
            )
            self._lineage.start()
        return run

    @_harmless
    def _use_what_it_is_made_of(self, run: Any, identity: WandbIdentity) -> None:
        use_sessions(run, identity.data)
        if identity.uses_model:
            use_model(run, identity.checkpoint)

    def _init(self, identity: WandbIdentity) -> Any:
        """Begin a run online, else offline, else one that does nothing."""
        import wandb

        try:
            return wandb.init(
                dir=str(self.folder),
                project=self._project,
                id=identity.id,
                resume="allow",
                mode=self.mode,
                entity=self._given["entity"],
                name=self._given["name"] or identity.name,
                group=self._given["group"] or identity.group,
                job_type=self._given["job_type"],
                tags=[*dict.fromkeys((*identity.tags, *self._tags))],
                config=identity.config,
                settings=self._settings(),
            )
        except Exception as error:
            if self.mode == "disabled":
                raise
            _abandon()
            if self.mode == "online":
                _tell(f"W&B can't be reached ({_line(error)}); this run is kept offline")
                self.mode = "offline"
            else:
                _tell(f"W&B failed ({_line(error)}); the training goes on without it")
                self.mode = "disabled"
            return self._init(identity)

    def _settings(self) -> Any:
        import wandb

        flush: dict[str, Any] = {"x_transaction_log_flush_interval": FLUSH_S}
        known = {name: value for name, value in flush.items() if name in wandb.Settings.model_fields}
        return wandb.Settings(
            silent=True, console="off", finish_timeout_raises=True, **self._timeouts, **known
        )

    @rank_zero_only
    @_harmless
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Add a job's resolved config to the run's."""
        super().log_hyperparams(params)
        best = params.get("callbacks", {}).get("best") if isinstance(params, Mapping) else None
        if os.environ.get(SWEEP) and best:
            self._monitor = best.get("monitor")

    @rank_zero_only
    @_harmless
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log figures over the training step; a new one is told which of its values the summary keeps."""
        for name in metrics:
            kept = better_of(name)
            if kept and name not in self._defined:
                self.experiment.define_metric(name, step_metric=STEP, step_sync=True, summary=kept)
                self._defined.add(name)
        metrics = {**metrics, **self._best_so_far(metrics)}
        super().log_metrics(metrics, step)

    def _best_so_far(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """What a sweep of W&B's optimises, where this run is of one: a plain number, in every row."""
        name = self._monitor
        if name is None or name not in metrics or not better_of(name):
            return {}
        value = float(metrics[name])
        self._objective = value if self._objective is None else better(name, value, self._objective)
        return {OBJECTIVE: self._objective}

    @rank_zero_only
    @_harmless
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log pictures."""
        super().log_image(key, images, step, **kwargs)

    @rank_zero_only
    @_harmless
    def log_table(
        self,
        key: str,
        columns: list[str] | None = None,
        data: list[list[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
    ) -> None:
        """Log a table; arrays in it become pictures."""
        import numpy as np
        import wandb

        rows = [
            [wandb.Image(value) if isinstance(value, np.ndarray) else value for value in row]
            for row in data or []
        ]
        super().log_table(key, columns, rows, dataframe, step)

    @rank_zero_only
    @_harmless
    def log_cells(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Log a cells file as an artifact; ``facts`` are its metadata."""
        log_cells(self.experiment, path, facts)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the run; Lightning calls it after a training, whether it ``"success"`` or ``"failed"``."""
        if self._experiment is None:
            return
        outcome = _outcome(status)
        if self.mode != "disabled":
            if self._lineage is not None:
                self._lineage.join(timeout=self._timeouts["init_timeout"])
            if outcome == "finished" and self._identity is None:
                self._log_checkpoints()
            self._keep_best(outcome)
        self._end(0 if outcome in ("finished", "pruned") else 1)
        self._experiment = None
        if os.environ.get(DATA_DIR) == str(self.folder / "wandb"):
            del os.environ[DATA_DIR]

    @_harmless
    def _log_checkpoints(self) -> None:
        log_checkpoints(self._experiment, RunFolder(self.folder))

    @_harmless
    def _keep_best(self, outcome: str) -> None:
        """A resumed run's summary begins anew: put in what was best before. Say how the run ended."""
        assert self._experiment is not None
        self._experiment.summary["status"] = outcome
        for name, before in self._before.items():
            kept, now = str(better_of(name)), self._experiment.summary.get(name)
            best = before if now is None else better(name, now[kept], before)
            self._experiment.summary.update({name: {kept: best}})

    def _end(self, exit_code: int) -> None:
        assert self._experiment is not None
        url, complete = self._experiment.url, True
        try:
            self._finish(exit_code)
        except Exception as error:
            complete = False
            _abandon()
            _tell(f"W&B didn't take the end of the run ({_line(error)}); it is on disk")
        if self.mode == "offline" or (self.mode == "online" and not complete):
            online = " --include-online" if self.mode == "online" else ""
            print(f"W&B: wandb sync{online} {shlex.quote(str(self.folder / 'wandb'))}")
        elif self.mode == "online":
            print(f"W&B: {url}")

    def _finish(self, exit_code: int) -> None:
        """End the run, and wait no longer than was said: W&B's own limit isn't that of all its waiting."""
        raised: list[BaseException] = []

        def finish() -> None:
            try:
                self._experiment.finish(exit_code=exit_code)  # type: ignore[union-attr]
            except BaseException as error:
                raised.append(error)

        limit = self._timeouts["finish_timeout"]
        thread = threading.Thread(target=finish, daemon=True, name="wandb_finish")
        thread.start()
        thread.join(limit + GRACE_S)
        if thread.is_alive():
            raise TimeoutError(f"no answer within {limit:g} s")
        if raised:
            raise raised[0]

    def _waiting(self, id: str | None) -> bool:
        """Whether an earlier, offline part of this run hasn't been uploaded yet."""
        earlier = (self.folder / "wandb").glob(f"offline-run-*/run-{id}.wandb")
        return any(not part.with_suffix(".wandb.synced").exists() for part in earlier)


def _abandon() -> None:
    """End W&B's own process, so that it neither holds the run's id nor complains when we end."""
    import wandb

    with contextlib.suppress(Exception):
        wandb.teardown()


def _outcome(status: str) -> str:
    """How a training ended, as ``job.json`` says it; Lightning calls loggers while it handles the error."""
    error = sys.exc_info()[1]
    if status != "failed":
        return "finished"
    if isinstance(error, Pruned):
        return "pruned"
    return "interrupted" if isinstance(error, KeyboardInterrupt | SIGTERMException) else "failed"


def _line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
