"""Checkpoints: written under fixed names, read with care.

A checkpoint holds plain containers and tensors only, so that it loads with ``weights_only=True``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.output_file import output_file
from calcium_lightning.core.reading import VALUES
from calcium_lightning.nn.checkpoint import DEFAULT, read_weights
from calcium_lightning.nn.windows import WindowSettings


class RunCheckpoint(ModelCheckpoint):
    """One checkpoint under one name in ``checkpoints/`` of the run's folder.

    Parameters
    ----------
    filename : str
        Without its ending.
    monitor, mode : str, optional
        The figure that must improve; without it every epoch is saved.
    save_on_interrupt : bool
        Save where a run is broken off by Ctrl-C or SIGTERM. Not after an error: the state may be half of a
        step's, and the other ranks know nothing of it.
    """

    def __init__(
        self, filename: str, monitor: str | None = None, mode: str = "min", save_on_interrupt: bool = False
    ) -> None:
        super().__init__(
            filename=filename,
            monitor=monitor,
            mode=mode,
            save_top_k=1,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            save_on_exception=save_on_interrupt,
            enable_version_counter=False,  # never best-v1.ckpt
            auto_insert_metric_name=False,
        )

    @property
    def state_key(self) -> str:
        """Distinguishes the best from the last."""
        return f"{type(self).__name__}.{self.filename}"

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Take the run's folder."""
        self.dirpath = str(Path(trainer.default_root_dir) / "checkpoints")
        super().setup(trainer, pl_module, stage)

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Save where all ranks stop together."""
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            super().on_exception(trainer, pl_module, exception)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, in this run's folder wherever the other one was."""
        here = Path(self.dirpath or ".") / f"{self.filename}{self.FILE_EXTENSION}"
        score = state_dict["best_model_score"]
        if not here.is_file():  # the best wasn't taken along: the next is the first
            return
        moved = dict(state_dict)
        moved["dirpath"] = self.dirpath
        moved["best_model_path"] = moved["kth_best_model_path"] = str(here)
        moved["best_k_models"] = {str(here): score} if score is not None else {}
        moved["last_model_path"] = ""
        super().load_state_dict(moved)


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints beside their place and renames them: a run that is killed leaves the one before.

    (Lightning copies from the temporary folder, which may be another disk's.)
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write one."""
        with atomic_path(Path(path), overwrite=True) as temporary, output_file(temporary) as output:
            torch.save(checkpoint, output)


def check_resumable(checkpoint: Mapping[str, Any], model: Any, path: Path | str) -> None:
    """Refuse to go on with another architecture or window.

    Raises
    ------
    InputError
        Naming the settings that differ.
    """
    ours = {**model.network.architecture, "window": asdict(model.window)}
    theirs = {**checkpoint["architecture"], "window": {**asdict(WindowSettings()), **checkpoint["window"]}}
    _compare(f"ckpt_path={path}", theirs, ours)
    _check_tensors(f"ckpt_path={path}", checkpoint["state_dict"], model.state_dict())
    for name in ("epoch", "global_step"):
        if type(checkpoint.get(name)) is not int or checkpoint[name] < 0:
            raise InputError(f"ckpt_path={path}: damaged: its {name} is no number")


def check_optimizer(checkpoint: Mapping[str, Any], model: Any, path: Path | str) -> str | None:
    """Refuse to go on with another optimizer, and tell settings that the checkpoint's take the place of.

    Returns
    -------
    str or None
        A line for the user.

    Raises
    ------
    InputError
        Naming a setting that the checkpoint's optimizer hasn't.
    """
    make, states = getattr(model, "make_optimizer", None), checkpoint.get("optimizer_states")
    if not callable(make) or not isinstance(states, list) or len(states) != 1:
        return None
    groups = states[0].get("param_groups") if isinstance(states[0], Mapping) else None
    if not isinstance(groups, list) or not groups or not isinstance(groups[0], Mapping):
        return None  # damaged: told where it is taken over
    theirs = dict(groups[0])
    theirs["lr"] = theirs.get("initial_lr", theirs.get("lr"))  # a schedule keeps what it began with
    try:
        ours = make([torch.nn.Parameter(torch.zeros(1))])
    except VALUES:
        return None  # told where the model's own is made
    numbers = [name for name, value in ours.defaults.items() if type(value) in (int, float, tuple)]
    if missing := [name for name in numbers if name not in theirs]:
        raise InputError(
            f"ckpt_path={path}: of another optimizer than {type(ours).__name__} (it has no {missing[0]}); "
            "weights= starts a new training"
        )
    other = [
        f"optimizer.{name}={theirs[name]}, not {value}"
        for name, value in ours.defaults.items()
        if name in numbers and _plain(theirs[name]) != _plain(value)
    ]
    if not other:
        return None
    return f"goes on as it began, with {'; '.join(other)}; weights= starts a training with other settings"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def load_weights(model: Any, path: Path | str) -> None:
    """Start a model from the weights of another, of the same architecture.

    Parameters
    ----------
    model : LightningModule
        Its ``network`` is filled.
    path : path-like
        A checkpoint (.ckpt), weights alone (.safetensors), or ``default``: the weights in the package.

    Raises
    ------
    InputError
        If the file isn't ours, or of another architecture, or saw frames that were prepared otherwise.
    """
    weights = read_weights(DEFAULT if str(path) == "default" else path)
    _compare(f"weights={path}", _learned(weights.architecture), _learned(model.network.architecture))
    _check_tensors(f"weights={path}", weights.state, model.network.state_dict())
    seen = WindowSettings(**weights.window).background_diameters
    ours = model.window.background_diameters
    if seen != ours:
        raise InputError(
            f"weights={path}: learned with preprocess.background_diameters={seen:g}, this training has "
            f"{ours:g}; give the same"
        )
    model.network.load_state_dict(weights.state)


def _check_tensors(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    wrong = [
        key
        for key in sorted({*ours, *theirs})
        if key not in ours or key not in theirs or ours[key].shape != theirs[key].shape
    ]
    if wrong:
        raise InputError(
            f"{name}: of another architecture ({len(wrong)} tensors differ, the first is {wrong[0]})"
        )


def _learned(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights depend on: not how splats are painted, nor where a training began."""
    return {
        part: {key: value for key, value in dict(settings).items() if not key.startswith("initial_")}
        for part, settings in architecture.items()
        if part != "decoder"
    }


def _compare(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    there, here = dict(_flat(theirs)), dict(_flat(ours))
    different = [
        f"{key} is {there.get(key)} there and {here.get(key)} here"
        for key in sorted({*there, *here})
        if there.get(key) != here.get(key)
    ]
    if different:
        raise InputError(f"{name}: of another architecture: {'; '.join(different[:4])}")


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, list(node) if isinstance(node, tuple | list) else node
