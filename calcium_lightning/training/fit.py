"""From a composed config to a trained model in a run's folder, in this process."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from omegaconf import DictConfig, ListConfig, OmegaConf

from calcium_lightning.core.errors import InputError, ProcessFailed, expect
from calcium_lightning.core.parts import PACKAGE, import_parts, know_target, targets_of
from calcium_lightning.core.plain import mapping
from calcium_lightning.core.reading import reason
from calcium_lightning.data.workers import lost_worker
from calcium_lightning.loggers.metrics_table import MetricsTable, forget_after, read_table
from calcium_lightning.nn.checkpoint import read_checkpoint
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.jobs import Job, write_job
from calcium_lightning.training.callbacks.diverged import Diverged
from calcium_lightning.training.callbacks.lines import EpochLines
from calcium_lightning.training.callbacks.stop import OrderlyStop
from calcium_lightning.training.checkpoints import WholeFiles, check_optimizer, check_resumable, load_weights
from calcium_lightning.training.checks import check_model
from calcium_lightning.training.localization import LocalizationModel
from calcium_lightning.training.trainer import check_length, make_trainer

#: config groups that are parts of a model's network
PARTS = ("encoder", "head", "painter", "decoder", "background")
#: the figure that chooses the best checkpoint
MONITOR = "val/reconstruction"
#: figures of labelled frames, which don't come from the loss
LABEL_FIGURES = tuple(
    f"val/{name}"
    for name in ("precision", "recall", "f1", "jaccard", "rmse", "calibration_error", "position_z")
)


def know_parts(cfg: DictConfig) -> None:
    """Make the modules known that a config has its parts from: its checkpoints name them.

    Raises
    ------
    InputError
        If one of ``parts=`` isn't there.
    """
    import_parts(as_list(cfg.get("parts")))
    named = [OmegaConf.to_container(cfg[name], resolve=False) for name in PARTS if cfg.get(name)]
    for target in targets_of(named):
        know_target(target)


def build_data(cfg: DictConfig) -> L.LightningDataModule:
    """Make the data that a config describes; nothing is read yet.

    Raises
    ------
    InputError
        If it is no LightningDataModule, or holds nothing out.
    """
    name = cfg.data.get("_target_")
    made = instantiate(cfg.data, _convert_="all")
    data = expect("data", made, L.LightningDataModule, "a LightningDataModule", name)
    for loader in ("train_dataloader", "val_dataloader"):
        if getattr(type(data), loader) is getattr(L.LightningDataModule, loader):
            raise InputError(f"data: {name} has no {loader}(self)")
    if "validation" in cfg.data and not cfg.data.validation > 0:
        raise InputError(
            "data.validation=0: without held-out frames no checkpoint can be called the best; 0.1 is usual"
        )
    return data


def check_parts(cfg: DictConfig, model: L.LightningModule) -> None:
    """Try the parts of a model before any data are read; see :mod:`~calcium_lightning.training.checks`.

    Raises
    ------
    InputError
        Naming the part that doesn't do what is asked of it.
    """
    if not isinstance(model, LocalizationModel):
        return
    if not isinstance(model.window, WindowSettings):
        raise InputError(f"model.window={model.window}: window.taps= and window.seconds= say what is seen")
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    callbacks = {name: value for name, value in settings["callbacks"].items() if isinstance(value, dict)}
    monitors = {
        f"callbacks.{name}.monitor": str(v["monitor"]) for name, v in callbacks.items() if "monitor" in v
    }
    if any(_is_foreign(value.get("_target_", "")) for value in callbacks.values()):
        monitors = {}  # it may log whatever it likes
    held_out = [key for key, monitor in monitors.items() if monitor.startswith("val/")]
    if held_out and settings["trainer"].get("limit_val_batches") == 0:
        raise InputError(f"trainer.limit_val_batches=0: {held_out[0]} needs held-out frames; 1 is the least")
    labels = bool(settings["data"].get("labels", False))
    others = LABEL_FIGURES if labels or _is_foreign(settings["data"]["_target_"]) else ()
    with torch.random.fork_rng(devices=[]):
        made, target = instantiate(cfg.loss, _convert_="all"), cfg.loss.get("_target_")
        loss = expect("loss", made, torch.nn.Module, "an nn.Module", target)
        check_model(model.network, loss, model.window, labels, monitors, others)


def _is_foreign(target: str) -> bool:
    return target.partition(".")[0] not in (PACKAGE, "lightning")


def as_list(value: Any) -> list[Any]:
    """One thing or a list of them, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | ListConfig) else [value]


def build_model(cfg: DictConfig) -> L.LightningModule:
    """Make the model that a config describes, its architecture noted in plain containers.

    Raises
    ------
    InputError
        For parts of the published model in another one.
    """
    if ".teng2021." not in cfg.model["_target_"]:
        for name in (*PARTS, "loss", "data"):
            if cfg[name] and ".teng2021." in cfg[name].get("_target_", ""):
                raise InputError(f"{name}: only model=published takes this one; see +experiment=published")
    parts = {name: OmegaConf.to_container(cfg[name], resolve=True) for name in PARTS if cfg.get(name)}
    scheduled = "scheduler" not in cfg.model or (cfg.scheduler and "_target_" in cfg.scheduler)
    extra = {} if scheduled else {"scheduler": None}
    # Handed over afterwards: Hydra would make modules of the settings.
    model = instantiate(cfg.model, _partial_=True, _convert_="all", **extra)(architecture=parts)
    return expect("model", model, L.LightningModule, "a LightningModule", cfg.model.get("_target_"))


def train(cfg: DictConfig, folder: Path, job: Job | None = None, ranked: bool = False) -> dict[str, Any]:
    """Train as a config says, in a run's folder.

    Parameters
    ----------
    cfg : DictConfig
        As ``conf/train.yaml`` composes it.
    folder : Path
        The run's folder.
    job : Job, optional
        What is written to ``job.json``, before the loggers are made.
    ranked : bool
        This process is one of several that were started for this run; ``RANK`` and the other variables of
        torchrun say which.

    Returns
    -------
    dict
        What came out (``summary.json``): the best figure (``value``), all metrics of the epoch that had it
        (``best``), epochs, steps, and where the checkpoints, metrics and figures are.

    Raises
    ------
    InputError
        For sessions, checkpoints or settings that don't fit.
    ProcessFailed
        If a process that reads batches ahead has ended.
    KeyboardInterrupt
        After Ctrl-C; ``checkpoints/last.ckpt`` is there then, if a step was taken.
    """
    _be_quiet()
    if not 0 <= cfg.seed < 2**32:  # as NumPy takes them
        raise InputError(f"seed={cfg.seed}: a whole number from 0 to {2**32 - 1}")
    L.seed_everything(int(cfg.seed), workers=True, verbose=False)
    run = RunFolder(folder)
    check_length(cfg.trainer)
    know_parts(cfg)
    data = build_data(cfg)
    model = build_model(cfg)
    check_parts(cfg, model)
    cfg = _without_weights(cfg, job)
    resume, steps = _resume(cfg, model)
    if cfg.weights is not None:
        load_weights(model, cfg.weights)
    if not ranked or os.environ["RANK"] == "0":
        run.claim(bool(cfg.overwrite), resume)
        forget_after(run.metrics, steps)
        if job is not None:
            write_job(folder, job)
    trainer = _trainer(cfg, run, ranked, shares=getattr(data, "knows_ranks", False))
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    for logger in trainer.loggers[1:]:
        logger.log_hyperparams(settings)
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=True)
    except SIGTERMException as error:
        raise SystemExit(128 + signal.SIGTERM) from error
    except MisconfigurationException as error:  # of shares of batches that come to none, and the like
        raise InputError(f"trainer: {reason(error)}") from error
    except SystemExit as error:  # Lightning's way out after Ctrl-C
        if trainer.interrupted and error.code == 1:
            raise KeyboardInterrupt from None
        raise
    except Exception as error:  # told apart by where it was raised
        if lost := lost_worker(error):
            raise ProcessFailed(lost) from error
        if isinstance(error, FileNotFoundError) and not folder.is_dir():
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(folder)) from error
        if resume is not None and _restoring(error):
            raise InputError(f"ckpt_path={resume}: can't be gone on with ({reason(error)})") from error
        raise
    return _summarize(trainer, run)


def _restoring(error: BaseException) -> bool:
    """Whether an error came while Lightning took over what a checkpoint holds beside the weights."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).endswith(".checkpoint_connector"):
            return True
        trace = trace.tb_next
    return False


def _without_weights(cfg: DictConfig, job: Job | None) -> DictConfig:
    """The config without the weights that its experiment begins with, where a run is gone on with."""
    if cfg.ckpt_path is None or cfg.weights is None:
        return cfg
    if job is None or any(item.lstrip("+").startswith("weights=") for item in job.overrides):
        raise InputError("ckpt_path= goes on with a run, weights= starts a new one: give one of them")
    cfg = cfg.copy()
    cfg.weights = None
    return cfg


def _resume(cfg: DictConfig, model: L.LightningModule) -> tuple[Path | None, int]:
    """The checkpoint to go on from, and how many steps it has behind it."""
    if cfg.ckpt_path is None:
        return None, 0
    path = Path(str(cfg.ckpt_path)).expanduser()
    checkpoint = read_checkpoint(path, "ckpt_path")
    check_resumable(checkpoint, model, path)
    line = check_optimizer(checkpoint, model, path)
    if line and os.environ.get("RANK", "0") == "0":
        print(f"ckpt_path={path}: {line}", file=sys.stderr)
    progress = mapping(checkpoint, "loops", "fit_loop", "epoch_progress", "current")
    done, wanted = progress.get("processed", checkpoint["epoch"]), cfg.trainer.get("max_epochs")
    if isinstance(wanted, int) and isinstance(done, int) and 0 <= wanted < done:
        raise InputError(
            f"ckpt_path={path}: has {done} epochs behind it; trainer.max_epochs={wanted} is fewer"
        )
    return path, int(checkpoint["global_step"])


def _trainer(cfg: DictConfig, run: RunFolder, ranked: bool, shares: bool) -> L.Trainer:
    callbacks = [
        expect(f"callbacks.{name}", instantiate(part, _convert_="all"), L.Callback, "a Lightning Callback")
        for name, part in cfg.callbacks.items()
        if part
    ]
    terminal = sys.stderr.isatty()
    callbacks += [
        OrderlyStop(),
        Diverged(),
        RichProgressBar(leave=False, console_kwargs={"stderr": True}) if terminal else EpochLines(),
    ]
    loggers = [MetricsTable(run.metrics), *_loggers(cfg.logger, run)]
    if shares and cfg.trainer.get("overfit_batches"):
        raise InputError(
            "trainer.overfit_batches: puts a sampler in the place of the package's; "
            "trainer.limit_train_batches= has few batches in an epoch"
        )
    trainer = make_trainer(
        cfg.trainer,
        default_root_dir=str(run.path),
        callbacks=callbacks,
        logger=loggers,
        # Named, or Lightning would guess from SLURM's and others' variables who started how many.
        plugins=[TorchElasticEnvironment() if ranked else LightningEnvironment(), WholeFiles()],
        num_sanity_val_steps=0,
        use_distributed_sampler=not shares,  # the package's own samplers know the ranks
        enable_model_summary=False,
        enable_progress_bar=terminal,
        _convert_="all",
    )
    return expect("trainer", trainer, L.Trainer, "a Lightning Trainer", cfg.trainer.get("_target_"))


def _loggers(given: DictConfig, run: RunFolder) -> list[Logger]:
    """The logger that a config names, or several, each under a name of its own."""
    single = "_target_" in given
    named = {"logger": given} if single else {f"logger.{name}": given[name] for name in map(str, given)}
    made: list[Logger] = []
    for name, part in named.items():
        if part is None:
            continue
        if not isinstance(part, DictConfig) or "_target_" not in part:
            raise InputError(f"{name}: a logger is wanted, with its _target_")
        logger = instantiate(part, save_dir=run.path, _convert_="all")
        if not isinstance(logger, Logger):
            raise InputError(f"{name}: makes a {type(logger).__name__}; a Lightning Logger is wanted")
        made.append(logger)
    return made


def _summarize(trainer: L.Trainer, run: RunFolder) -> dict[str, Any]:
    best = next(
        (part for part in trainer.checkpoint_callbacks if getattr(part, "filename", "") == "best"), None
    )
    monitor, descending = str(getattr(best, "monitor", MONITOR)), getattr(best, "mode", "min") == "max"
    metrics = best_metrics(run.metrics, monitor, descending) if trainer.is_global_zero else {}
    last = trainer.callback_metrics.get(MONITOR)
    values: dict[str, Any] = {
        monitor: metrics.get(monitor),
        **({} if monitor == MONITOR or last is None else {MONITOR: float(last)}),
        "monitor": monitor,
        "value": metrics.get(monitor),
        "best": metrics,
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "checkpoint": str(run.best if run.best.is_file() else run.last),
        "last": str(run.last),
        "metrics": str(run.metrics),
        "figures": str(run.figures),
    }
    if trainer.is_global_zero:
        run.write_summary(values)
    return values


def best_metrics(table: Path, monitor: str, descending: bool = False) -> dict[str, float]:
    """All metrics of the validation that was best, by ``metrics.csv``; empty where there was none.

    Parameters
    ----------
    table : Path
        The file.
    monitor : str
        The metric to go by.
    descending : bool
        More is better.
    """
    rows = [row for row in read_table(table)[1] if row.get(monitor)]
    if not rows:
        return {}
    row = (max if descending else min)(rows, key=lambda row: float(row[monitor]))
    return {name: float(value) for name, value in row.items() if "/" in name and value}


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
