"""What a training is told of settings that Lightning doesn't take, or takes for something else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from calcium_lightning.core.errors import InputError
from calcium_lightning.runs.jobs import Job
from calcium_lightning.training.callbacks.lines import EpochLines
from calcium_lightning.training.fit import _without_weights
from calcium_lightning.training.trainer import check_length, make_trainer

TARGET = {"_target_": "lightning.pytorch.Trainer", "logger": False, "barebones": True}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"accumulate_grad_batches": 0}, "trainer.accumulate_grad_batches=0: 1 or more"),
        ({"check_val_every_n_epoch": 0}, "trainer.check_val_every_n_epoch=0: 1 or more"),
        ({"gradient_clip_val": -1.0}, "trainer.gradient_clip_val=-1.0: 0 or more"),
        ({"max_steps": 0}, "trainer.max_steps=0: no step would be taken"),
    ],
)
def test_settings_that_make_no_training(settings, line):
    with pytest.raises(InputError, match=line):
        check_length(OmegaConf.create(settings))
    check_length(OmegaConf.create({"gradient_clip_val": None, "accumulate_grad_batches": 2}))


def test_what_lightning_refuses_is_one_line():
    for settings, line in (
        ({"precision": 8}, "^trainer: Precision 8 is invalid"),
        ({"strategy": "ddq"}, "^trainer: You selected an invalid strategy"),
    ):
        with pytest.raises(InputError, match=line):
            make_trainer(OmegaConf.create({**TARGET, **settings}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_isnt_there_is_said_with_what_to_do():
    with pytest.raises(InputError, match=r"^trainer\.accelerator=cuda: .* trainer=cpu trains without one$"):
        make_trainer(OmegaConf.create({**TARGET, "accelerator": "cuda"}))


def test_a_run_goes_on_without_the_weights_that_its_experiment_begins_with():
    cfg = OmegaConf.create({"ckpt_path": "last.ckpt", "weights": "default"})
    begun = Job("a", "a", overrides=["+experiment=adapt", "ckpt_path=last.ckpt"])
    assert _without_weights(cfg, begun).weights is None
    with pytest.raises(InputError, match="give one of them"):
        _without_weights(cfg, begun.replace(overrides=[*begun.overrides, "weights=default"]))
    del cfg["ckpt_path"]
    assert _without_weights(OmegaConf.create({**cfg, "ckpt_path": None}), begun).weights == "default"


def epoch(number: int, most: int, every: int) -> SimpleNamespace:
    figures = {f"{stage}/reconstruction": torch.tensor(1.5) for stage in ("train", "val")}
    return SimpleNamespace(
        current_epoch=number - 1, max_epochs=most, check_val_every_n_epoch=every, callback_metrics=figures
    )


def test_figures_of_a_validation_before_arent_told_again(capsys):
    for number in (2, 3):
        EpochLines().on_train_epoch_end(epoch(number, 3, every=2), None)
    validated, not_validated = capsys.readouterr().err.splitlines()
    assert validated == "epoch 2/3  train/reconstruction 1.5  val/reconstruction 1.5"
    assert not_validated == "epoch 3/3  train/reconstruction 1.5"


@pytest.mark.parametrize(("most", "told"), [(3, "epoch 1/3  "), (-1, "epoch 1  ")])
def test_epochs_without_a_last_one_are_counted_alone(most, told, capsys):
    trainer = epoch(1, most, every=1)
    EpochLines().on_train_epoch_end(trainer, None)
    assert capsys.readouterr().err.startswith(told)
