import math

import pytest
import torch
from omegaconf import OmegaConf
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from calcium_lightning.core.errors import InputError
from calcium_lightning.loggers.make import wandb_mode
from calcium_lightning.processes import environment
from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.jobs import Job, read_job
from calcium_lightning.runs.run import run_job
from calcium_lightning.training.schedule import warmup_cosine


@pytest.mark.parametrize("steps", [1, 2, 3, 100])
def test_the_learning_rate_rises_and_falls(steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = warmup_cosine(optimizer, steps, warmup=0.1, final=0.01)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) <= 0.5 + 1e-9
    if steps == 100:
        top = rates.index(max(rates))
        assert top == 10
        assert rates[top] == pytest.approx(0.5)
        assert rates[55] == pytest.approx(0.005 + 0.495 * (1 + math.cos(math.pi * 45 / 90)) / 2)
        assert rates[-1] == pytest.approx(0.005, rel=0.1)


def rates_of(schedule, optimizer, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def torchs_own(optimizer, steps: int) -> SequentialLR:
    """What version 0.1.0 had."""
    parts = [
        LinearLR(optimizer, start_factor=1 / 2, total_iters=1),
        CosineAnnealingLR(optimizer, T_max=steps - 1, eta_min=0.01 * 0.5),
    ]
    return SequentialLR(optimizer, parts, milestones=[1])


@pytest.mark.parametrize("make", [warmup_cosine, torchs_own])
def test_a_training_that_is_made_longer_follows_the_longer_schedule(make):
    def optimizer():
        return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)

    unbroken = optimizer()
    wanted = rates_of(warmup_cosine(unbroken, 40), unbroken, 40)
    begun = optimizer()
    schedule = make(begun, 20)
    rates_of(schedule, begun, 20)
    longer = optimizer()
    longer.load_state_dict(begun.state_dict())
    again = warmup_cosine(longer, 40)
    again.load_state_dict(schedule.state_dict())
    assert rates_of(again, longer, 20) == pytest.approx(wanted[20:])
    assert wanted[20:] == sorted(wanted[20:], reverse=True)


def test_a_schedule_is_saved_in_plain_containers(tmp_path):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    torch.save(warmup_cosine(optimizer, 10).state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["last_epoch"] == 0


def test_a_run_that_goes_on_elsewhere_takes_its_past_along(tmp_path):
    old, new = RunFolder(tmp_path / "old"), RunFolder(tmp_path / "new")
    old.checkpoints.mkdir(parents=True)
    old.figures.mkdir()
    (old.figures / "epoch_0001.png").touch()
    for path in (old.best, old.last, old.metrics):
        path.write_text(path.name)
    new.claim(resume=old.last)
    assert new.best.read_text() == "best.ckpt"
    assert new.metrics.read_text() == "metrics.csv"
    assert (new.figures / "epoch_0001.png").exists()
    assert old.last.exists()


def test_a_checkpoint_alone_has_no_past(tmp_path):
    (tmp_path / "model.ckpt").touch()
    (tmp_path / "metrics.csv").touch()
    run = RunFolder(tmp_path / "deep/er/new")
    run.claim(resume=tmp_path / "model.ckpt")
    assert list(run.path.iterdir()) == []


def test_what_is_in_the_folder_is_kept_unless_asked(tmp_path):
    run = RunFolder(tmp_path)
    run.checkpoints.mkdir()
    run.best.touch()
    run.metrics.touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="overwrite=true"):
        run.claim()
    run.claim(resume=run.last)
    assert run.best.exists()
    run.claim(overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["figures/paper.png", "checkpoints/resnet.pt", "figures/2026/a.png"])
def test_what_is_of_no_training_is_never_overwritten(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    for overwrite in (False, True):
        with pytest.raises(
            InputError, match=rf"{name[:7]}.*: is there already, and of no training; .*run\.dir="
        ):
            RunFolder(tmp_path).claim(overwrite=overwrite)
    assert (tmp_path / name).exists()
    (tmp_path / "job.json").touch()  # a run's callbacks write what they like
    RunFolder(tmp_path).claim(overwrite=True)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("trainer", "count"),
    [
        ({"devices": 1}, 1),
        ({"devices": 4}, 4),  # Lightning would start the command anew for each
        ({"devices": 2, "strategy": "auto"}, 2),
        ({"devices": "auto", "accelerator": "cpu"}, 1),
        ({"devices": 4, "strategy": "ddp"}, 4),
        ({"devices": "2", "strategy": "ddp_find_unused_parameters_true"}, 2),
        ({"devices": [0, 3], "strategy": "ddp"}, 2),
    ],
)
def test_processes_that_a_trainer_wants(trainer, count):
    assert environment.rank_count(OmegaConf.create(trainer)) == count


@pytest.mark.parametrize(
    ("trainer", "line"),
    [
        ({"devices": 1, "num_nodes": 2}, "several machines need torchrun or srun"),
        ({"num_nodes": "two"}, "trainer.num_nodes=two: a whole number"),
        ({"devices": 2, "strategy": "ddp_spawn"}, "trainer.strategy=ddp_spawn: .* ddp is wanted"),
        ({"devices": None, "strategy": "auto"}, "trainer.devices=None: a number, a list or auto"),
    ],
)
def test_processes_that_no_trainer_can_have(trainer, line):
    with pytest.raises(InputError, match=line):
        environment.rank_count(OmegaConf.create(trainer))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_is_told():
    with pytest.raises(InputError, match="no GPU here"):
        environment.rank_count(OmegaConf.create({"devices": "auto", "strategy": "ddp", "accelerator": "gpu"}))


@pytest.mark.parametrize(
    ("environment", "asked", "mode"),
    [
        ({}, None, "offline"),
        ({"WANDB_API_KEY": "x" * 40}, None, "online"),
        ({"WANDB_API_KEY": "x" * 40}, "offline", "offline"),
        ({"WANDB_MODE": "disabled"}, "online", "disabled"),
        ({}, "online", "online"),
    ],
)
def test_wandb_is_offline_without_a_key(monkeypatch, tmp_path, environment, asked, mode):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wandb_mode(asked) == mode


def test_a_key_in_netrc_counts(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "netrc"
    path.write_text("machine api.wandb.ai login user password secret\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    assert wandb_mode() == "online"


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match=r"logger\.mode=ofline"):
        wandb_mode("ofline")


def test_two_jobs_dont_write_into_one_folder_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = OmegaConf.create({"fresh": True, "overwrite": False, "ckpt_path": None, "trainer": {"devices": 1}})
    ran = []

    def other(folder: str) -> None:
        run_job(lambda *_: ran.append(folder) or {}, cfg, tmp_path / folder, Job("b", "b"), [])

    def task(*_):
        with pytest.raises(
            InputError, match=r"here: another training writes into it now; .*hydra\.run\.dir="
        ):
            other("here")
        other("there")
        return {}

    run_job(task, cfg, tmp_path / "here", Job("a", "a"), [])
    assert ran == ["there"]
    assert read_job(tmp_path / "here").hash == "a"
