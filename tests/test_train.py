"""Real tiny trainings through the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.tiny_session import make_session
from helpers.tiny_training import PICTURED, TINY, held_out, real, same, sessions, stop_at, weights

from calcium_lightning.loggers.metrics_table import read_table


def schedule(name: str, *settings: str) -> tuple[str, ...]:
    """Overrides for one of Torch's own schedules."""
    target = f"scheduler._target_=torch.optim.lr_scheduler.{name}"
    return (target, "~scheduler.warmup", "~scheduler.final", *(f"+scheduler.{item}" for item in settings))


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return make_session(tmp_path_factory.mktemp("session") / "with space, comma=1.h5")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, session, _one_thread) -> Path:
    """A finished run."""
    from hydra.core.global_hydra import GlobalHydra

    from calcium_lightning import train
    from calcium_lightning.command import start

    GlobalHydra.instance().clear()
    run = tmp_path_factory.mktemp("trained") / "run"
    command = [*PICTURED, sessions(session), f"hydra.run.dir={run}"]
    assert start.run("train", train.main.__wrapped__, command) == 0
    return run


def test_a_run_leaves_what_the_contract_says(trained):
    names = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    assert {
        "metrics.csv",
        "summary.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "figures/epoch_0002.png",
        ".hydra/config.yaml",
    } <= names
    assert len([name for name in names if name.endswith(".ckpt")]) == 2
    assert {path.name for path in trained.parent.iterdir()} == {"run"}
    columns, _ = read_table(trained / "metrics.csv")
    assert columns[:2] == ["epoch", "step"]
    assert {"train/loss", "val/loss", "val/reconstruction", "lr-AdamW"} <= set(columns)
    assert len(held_out(trained)) == 2
    checkpoint = torch.load(trained / "checkpoints/best.ckpt", weights_only=True)
    assert checkpoint["format"] == "calcium-lightning-model"
    assert checkpoint["architecture"]["encoder"]["features"] == [8, 12]
    assert checkpoint["window"] == {
        "taps": 5,
        "seconds": 0.5,
        "blind_spot": True,
        "background_diameters": 0.67,
    }


def test_the_network_can_be_rebuilt_from_its_checkpoint(trained):
    from calcium_lightning.nn.network import LocalizationNetwork

    checkpoint = torch.load(trained / "checkpoints/best.ckpt", weights_only=True)
    network = LocalizationNetwork.from_architecture(checkpoint["architecture"])
    state = {
        name.removeprefix("network."): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith("network.")
    }
    network.load_state_dict(state)


def test_a_seed_decides_everything(run_command, session, trained, tmp_path):
    """The same on another day, in another folder, with readers in other processes."""
    assert run_command("train", *TINY, sessions(session), "hydra.run.dir=again", "data.workers=2").status == 0
    assert same(weights(tmp_path / "again"), weights(trained))
    assert (
        run_command(
            "train", *TINY, sessions(session), "hydra.run.dir=other", "seed=1", "trainer.max_epochs=1"
        ).status
        == 0
    )
    assert not same(weights(tmp_path / "other"), weights(trained))


@pytest.mark.parametrize("pattern", ["", "/*.h5"])
def test_a_folder_or_a_glob_of_sessions(run_command, session, trained, tmp_path, pattern):
    """The same data under any name: the finished run is read, not trained anew."""
    outcome = run_command(
        "train", *TINY, f'data.sessions="{session.parent}{pattern}"', f"hydra.run.dir={trained}"
    )
    assert outcome.status == 0, outcome.stderr
    assert "checkpoint" in outcome.stdout
    outcome = run_command("train", *TINY, f'data.sessions="{tmp_path}{pattern}"')
    assert outcome.status == 2
    assert "data.sessions=" in outcome.stderr


@pytest.mark.parametrize(
    ("step", "name", "status"), [(2, "SIGINT", 130), (3, "SIGINT", 130), (2, "SIGTERM", 143)]
)
def test_a_run_that_is_broken_off_goes_on(run_command, session, trained, tmp_path, step, name, status):
    """After Ctrl-C, or SIGTERM from a cluster, in the middle of an epoch or at its end: as if never broken off."""
    broken = run_command("train", *TINY, *stop_at(step, name), sessions(session), "hydra.run.dir=broken")
    assert broken.status == status
    assert "Traceback" not in broken.stderr
    assert "the same command goes on from here" in broken.stderr
    last = tmp_path / "broken/checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == step
    resumed = run_command("train", *TINY, sessions(session), f"ckpt_path={last}", "hydra.run.dir=resumed")
    assert resumed.status == 0, resumed.stderr
    assert same(weights(tmp_path / "resumed"), weights(trained))
    assert same(weights(tmp_path / "resumed", "best"), weights(trained, "best"))
    assert held_out(tmp_path / "resumed") == held_out(trained)
    steps = [
        [row["step"] for row in read_table(run / "metrics.csv")[1]] for run in (tmp_path / "resumed", trained)
    ]
    assert steps[0] == steps[1]


def test_a_killed_run_goes_on_in_its_folder(session, run_command, trained, tmp_path):
    kill = stop_at(5, "SIGKILL")
    assert real(*TINY, *kill, sessions(session), "hydra.run.dir=killed", cwd=tmp_path).returncode == -9
    outcome = run_command(
        "train", *TINY, sessions(session), "ckpt_path=killed/checkpoints/last.ckpt", "hydra.run.dir=killed"
    )
    assert outcome.status == 0, outcome.stderr
    assert same(weights(tmp_path / "killed"), weights(trained))
    assert held_out(tmp_path / "killed") == held_out(trained)
    assert sorted(path.name for path in (tmp_path / "killed/checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
    ]


def test_tensorboard(run_command, session, tmp_path):
    told = ("logger=tensorboard", "hydra.run.dir=run", "trainer.max_epochs=1")
    outcome = run_command("train", *PICTURED, sessions(session), *told)
    assert outcome.status == 0, outcome.stderr
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run/tensorboard"))
    events.Reload()
    assert "val/reconstruction" in events.Tags()["scalars"]
    assert events.Tags()["images"] == ["pictures"]
    assert (tmp_path / "run/metrics.csv").is_file()


@pytest.mark.parametrize(
    ("given", "last"),
    [(schedule("StepLR", "step_size=2", "gamma=0.1"), 2e-4), (schedule("OneCycleLR", "max_lr=0.01"), None)],
)
def test_schedules_of_torch_go_by_steps(run_command, session, tmp_path, given, last):
    told = ("trainer.max_epochs=1", "hydra.run.dir=run")
    outcome = run_command("train", *TINY, *given, *told, sessions(session))
    assert outcome.status == 0, outcome.stderr
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["lr_schedulers"][0]
    assert state["last_epoch"] == 3
    assert last is None or state["_last_lr"] == [pytest.approx(last)]
    assert last is not None or state["total_steps"] == 3


def test_several_loggers_each_under_its_name(run_command, session, tmp_path):
    board = "+logger.{}._target_=calcium_lightning.loggers.make.tensorboard_logger"
    plain = ("+logger.table._target_=lightning.pytorch.loggers.CSVLogger", "+logger.table.name=table")
    told = (board.format("board"), *plain, "hydra.run.dir=run", "trainer.max_epochs=1")
    outcome = run_command("train", *TINY, sessions(session), *told)
    assert outcome.status == 0, outcome.stderr
    assert list((tmp_path / "run/tensorboard").iterdir())
    assert list((tmp_path / "run/table").rglob("metrics.csv"))
    assert [line.split()[0] for line in outcome.stdout.splitlines()] == ["best", "checkpoint", "metrics"]
    refused = run_command("train", *TINY, sessions(session), "+logger.project=mine", "hydra.run.dir=other")
    assert (refused.status, refused.stderr.count("\n")) == (2, 1)
    assert "logger.project: a logger is wanted, with its _target_" in refused.stderr


def test_labels_of_simulated_sessions_give_scores(run_command, session, tmp_path):
    labelled = ("loss=labels", "data.labels=true", "trainer.max_epochs=1")
    outcome = run_command("train", *TINY, *labelled, sessions(session), "hydra.run.dir=run")
    assert outcome.status == 0, outcome.stderr
    columns = read_table(tmp_path / "run/metrics.csv")[0]
    assert any(column.startswith("val/") and "f1" in column for column in columns)


def test_weights_start_a_new_run(run_command, session, trained, tmp_path):
    still = ("optimizer.lr=0", "optimizer.weight_decay=0", "trainer.max_epochs=1")
    outcome = run_command(
        "train",
        *TINY,
        *still,
        sessions(session),
        f"weights={trained}/checkpoints/last.ckpt",
        "hydra.run.dir=run",
    )
    assert outcome.status == 0, outcome.stderr
    assert same(weights(tmp_path / "run"), weights(trained))


def test_a_run_is_not_overwritten_unasked(run_command, session, trained, tmp_path):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/checkpoints/best.ckpt").write_text("precious")
    refused = run_command("train", *TINY, sessions(session), "hydra.run.dir=run")
    assert (refused.status, "overwrite=true" in refused.stderr) == (2, True)
    assert (tmp_path / "run/checkpoints/best.ckpt").read_text() == "precious"
    assert (
        run_command(
            "train", *TINY, sessions(session), "hydra.run.dir=run", "overwrite=true", "trainer.max_epochs=1"
        ).status
        == 0
    )
    assert sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.crp=32"], "nearest: data.crop"),
        (["sed=3"], "nearest: seed"),
        (["encoder=u_shap"], "nearest: u_shape"),
        (["+experiment=unsuperwised"], "nearest: unsupervised"),
        (["+encoder.featurs=[8]"], "nearest: features"),
        (["ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt: no such file"),
        (["weights=nowhere.safetensors"], "weights=nowhere.safetensors: no such file"),
        (["data.validation=0"], "data.validation=0"),
        (["data.batch_size=6"], "data.batch_size=6: not a multiple of 4"),
        (["data.batch_size=2147483648"], "GB of memory"),
        (["optimizer.lr=nan"], "optimizer.lr=nan: a finite number is wanted"),
        (["data.fps=inf"], "data.fps=inf: a finite number is wanted"),
        (["optimizer.lr=-1"], "Invalid learning rate: -1"),
        (["optimizer.lr=abc"], "error: optimizer.lr=abc: a number is wanted\n"),
        (
            ["optimizer.lr=null"],
            "not supported between instances of 'float' and 'NoneType'; it was given lr=None",
        ),
        (
            ["optimizer.lr='0.01'"],
            "optimizer.lr=0.01: a number is wanted; this is text, of which ${oc.decode:",
        ),
        (["+optimizer.betas=[0.9]"], "optimizer.betas=[0.9]: a list of 2 numbers is wanted"),
        (["+optimizer.foo=1"], "error: optimizer.foo: torch.optim.AdamW has no such setting"),
        (["trainer.max_epochs=abc"], "trainer.max_epochs=abc: a whole number or null is wanted"),
        (
            ["trainer.log_every_n_steps=1.5"],
            "trainer.log_every_n_steps=1.5: a whole number or null is wanted",
        ),
        (["+trainer.overfit_batches=1"], "trainer.overfit_batches: puts a sampler in the place"),
        (["trainer.limit_val_batches=0"], "=0: callbacks.best.monitor needs held-out frames"),
        (["trainer.max_epochs=-1", "trainer.max_time='00:00:00:02'"], "must know how many steps"),
        ([*schedule("ReduceLROnPlateau")], "scheduler: ReduceLROnPlateau goes by a figure"),
        (["optimizer._target_=torch.optim.LBFGS", "~optimizer.weight_decay"], "optimizer: LBFGS wants all"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0: no step would be taken; 1 is the least"),
        (["trainer.max_steps=0"], "trainer.max_steps=0: no step would be taken"),
        (["trainer.limit_train_batches=0"], "trainer.limit_train_batches=0: no step would be taken"),
        (["+trainer.fast_dev_run=true"], "trainer.fast_dev_run: leaves no checkpoint"),
        (["seed=-1"], "seed=-1: a whole number from 0 to 4294967295"),
        (["data.steps_per_epoch=-1"], "data.steps_per_epoch=-1: 1 or more, or null"),
        (["data.validation_steps=0"], "data.validation_steps=0: 1 or more, or null"),
        (["scheduler.warmup=1e400"], "scheduler.warmup=inf: a finite number is wanted"),
        (["scheduler._partial_=0"], "_partial_ flag must be a bool"),
        (["cell_diameter=null", "cell_diameter_um=10"], "pixel_size_um="),
        (["cell_diameter=40"], "a smaller cell_diameter="),
        (["window.taps=4"], "window.taps=4"),
        (["window.seconds=5"], "60 frames are too few for windows of"),
        (["data.sessions=[nowhere.h5]"], "nowhere.h5"),
        (["data.sessions=[]"], "data.sessions"),
    ],
)
def test_bad_input_is_one_clear_line(run_command, session, overrides, message):
    given = [
        item for item in TINY if not any(item.split("=")[0] == other.split("=")[0] for other in overrides)
    ]
    place = [] if any(item.startswith("data.sessions") for item in overrides) else [sessions(session)]
    outcome = run_command("train", *given, *place, *overrides)
    assert outcome.status == 2, outcome.stderr
    lines = [line for line in outcome.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert message in f"{lines[0]}\n"
    assert "Traceback" not in outcome.stderr


def test_sessions_are_required(run_command):
    outcome = run_command("train", *TINY)
    assert (outcome.status, "data.sessions=" in outcome.stderr) == (2, True)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["encoder.features=[6,10]"], "encoder.features is [8, 12] there and [6, 10] here"),
        (["window.seconds=0.6"], "window.seconds is 0.5 there and 0.6 here"),
    ],
)
def test_a_checkpoint_of_another_architecture_is_refused(run_command, session, trained, overrides, message):
    outcome = run_command(
        "train", *TINY, *overrides, sessions(session), f"ckpt_path={trained}/checkpoints/last.ckpt"
    )
    assert outcome.status == 2
    assert message in outcome.stderr


def test_a_checkpoint_keeps_its_optimizer(run_command, session, trained, tmp_path):
    given = (*TINY, sessions(session), f"ckpt_path={trained}/checkpoints/last.ckpt", "trainer.max_epochs=3")
    sgd = ("optimizer._target_=torch.optim.SGD", "+optimizer.momentum=0.9", "hydra.run.dir=other")
    refused = run_command("train", *given, *sgd)
    assert (refused.status, refused.stderr.count("\n")) == (2, 1)
    assert "of another optimizer than SGD (it has no momentum)" in refused.stderr
    faster = run_command("train", *given, "optimizer.lr=0.5", "hydra.run.dir=run")
    assert faster.status == 0, faster.stderr
    assert "goes on as it began, with optimizer.lr=0.002, not 0.5; weights= starts" in faster.stderr
    assert "weight_decay" not in faster.stderr


def test_what_is_no_checkpoint_is_refused(run_command, session, tmp_path):
    (tmp_path / "x.ckpt").write_bytes(b"not a checkpoint")
    torch.save({"state_dict": {}}, tmp_path / "y.ckpt")
    for name, message in (("x", "not a checkpoint, or damaged"), ("y", "not of calcium_lightning.train")):
        outcome = run_command("train", *TINY, sessions(session), f"weights={name}.ckpt")
        assert (outcome.status, message in outcome.stderr) == (2, True), outcome.stderr
