"""From a composed config to a trained model in a run's folder, in this process."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
from hydra.utils import instantiate
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from calcium_lightning.callbacks.lines import EpochLines
from calcium_lightning.callbacks.stop import OrderlyStop
from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.errors import InputError
from calcium_lightning.model import LocalizationModel
from calcium_lightning.runs.checkpoints import check_resumable, load_weights
from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.metrics_table import MetricsTable, forget_after
from calcium_lightning.weights import read_checkpoint

#: the figure that chooses the best checkpoint
MONITOR = "val/reconstruction"


def build_model(cfg: DictConfig) -> LocalizationModel:
    """Make the model that a config describes, its architecture noted in plain containers."""
    parts = {
        name: OmegaConf.to_container(cfg.model[name], resolve=True)
        for name in ("encoder", "head", "decoder", "background")
    }
    extra = {} if cfg.scheduler and "_target_" in cfg.scheduler else {"scheduler": None}
    # Handed over afterwards: Hydra would make modules of the settings.
    model = instantiate(cfg.model, _partial_=True, _convert_="all", **extra)(architecture=parts)
    assert isinstance(model, LocalizationModel)
    return model


def train(cfg: DictConfig, folder: Path, ranked: bool = False) -> dict[str, Any]:
    """Train as a config says, in a run's folder.

    Parameters
    ----------
    cfg : DictConfig
        As ``conf/train.yaml`` composes it.
    folder : Path
        The run's folder.
    ranked : bool
        This process is one of several that were started for this run.

    Returns
    -------
    dict
        What came out (``summary.json``): best figure, epoch, checkpoint and figures.

    Raises
    ------
    InputError
        For sessions, checkpoints or settings that don't fit.
    KeyboardInterrupt
        After Ctrl-C; ``checkpoints/last.ckpt`` is there then, if a step was taken.
    """
    _be_quiet()
    L.seed_everything(int(cfg.seed), workers=True, verbose=False)
    run = RunFolder(folder)
    data = instantiate(cfg.data, _convert_="all")
    assert isinstance(data, SessionData)
    if not data.validation > 0:
        raise InputError(
            "data.validation=0: without held-out frames no checkpoint can be called the best; 0.1 is usual"
        )
    model = build_model(cfg)
    resume, steps = _resume(cfg, model)
    if cfg.weights is not None:
        load_weights(model, cfg.weights)
    trainer = _trainer(cfg, run, ranked)
    if trainer.is_global_zero:
        run.claim(bool(cfg.overwrite), resume)
        forget_after(run.metrics, steps)
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    for logger in trainer.loggers[1:]:
        logger.log_hyperparams(settings)
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=True)
    except SIGTERMException as error:
        raise SystemExit(128 + signal.SIGTERM) from error
    except SystemExit as error:  # Lightning's way out after Ctrl-C
        if trainer.interrupted and error.code == 1:
            _interrupt(trainer, run)
        raise
    if any(isinstance(callback, OrderlyStop) and callback.asked for callback in trainer.callbacks):  # type: ignore[attr-defined]
        _interrupt(trainer, run)
    return _summarize(trainer, run)


def _resume(cfg: DictConfig, model: LocalizationModel) -> tuple[Path | None, int]:
    """The checkpoint to go on from, and how many steps it has behind it."""
    if cfg.ckpt_path is None:
        return None, 0
    if cfg.weights is not None:
        raise InputError("ckpt_path= goes on with a run, weights= starts a new one: give one of them")
    path = Path(str(cfg.ckpt_path)).expanduser()
    checkpoint = read_checkpoint(path, "ckpt_path")
    check_resumable(checkpoint, model, path)
    return path, int(checkpoint["global_step"])


def _trainer(cfg: DictConfig, run: RunFolder, ranked: bool) -> L.Trainer:
    callbacks = [instantiate(part, _convert_="all") for part in cfg.callbacks.values() if part]
    terminal = sys.stderr.isatty()
    callbacks += [
        OrderlyStop(),
        RichProgressBar(leave=False, console_kwargs={"stderr": True}) if terminal else EpochLines(),
    ]
    loggers: list[Any] = [MetricsTable(run.metrics)]
    if cfg.logger and "_target_" in cfg.logger:
        loggers.append(instantiate(cfg.logger, save_dir=run.path, _convert_="all"))
    return instantiate(  # type: ignore[no-any-return]
        cfg.trainer,
        default_root_dir=str(run.path),
        callbacks=callbacks,
        logger=loggers,
        plugins=[LightningEnvironment()] if ranked else None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the sampler knows the ranks
        enable_model_summary=False,
        enable_progress_bar=terminal,
        _convert_="all",
    )


def _interrupt(trainer: L.Trainer, run: RunFolder) -> NoReturn:
    if trainer.is_global_zero and run.last.is_file():
        print(f"ckpt_path={run.last} goes on with this run", file=sys.stderr)
    raise KeyboardInterrupt


def _summarize(trainer: L.Trainer, run: RunFolder) -> dict[str, Any]:
    best = next(
        (part for part in trainer.checkpoint_callbacks if getattr(part, "filename", "") == "best"), None
    )
    score, monitor = getattr(best, "best_model_score", None), str(getattr(best, "monitor", MONITOR))
    last = trainer.callback_metrics.get(MONITOR)
    values: dict[str, Any] = {
        monitor: None if score is None else float(score),
        **({} if monitor == MONITOR or last is None else {MONITOR: float(last)}),
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "checkpoint": str(run.best if run.best.is_file() else run.last),
        "last": str(run.last),
        "metrics": str(run.metrics),
        "figures": str(run.figures),
    }
    if trainer.is_global_zero:
        run.write_summary(values)
        meaning = (
            " (held-out error over the noise variance: 1 is the noise itself)" if monitor == MONITOR else ""
        )
        if score is not None:
            print(
                f"{'best ' + monitor:<20} {float(score):.4f}{meaning}, after {trainer.current_epoch} epochs"
            )
        for name in ("checkpoint", "metrics", "figures"):
            print(f"{name:<20} {values[name]}")
    return values


def _be_quiet() -> None:
    """Leave stderr to what the user must read."""
    for name in (
        "lightning.pytorch",
        "lightning.fabric",
        "pytorch_lightning",
        "lightning.pytorch.utilities.rank_zero",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
    for module in ("lightning", "torch", "torchmetrics", "pydantic", "wandb"):
        warnings.filterwarnings("ignore", module=rf"{module}\..*")
