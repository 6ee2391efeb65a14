"""Scenes without end: which epoch sees which, on any number of processes and after any break."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_training import TINY
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.data.labels import label_table
from calcium_lightning.data.scenes import SceneData
from calcium_lightning.loggers.metrics_table import read_table
from calcium_lightning.nn.checkpoint import read_weights
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.preprocess.repaired import RepairedSession
from calcium_lightning.simulation import SceneSession, SceneSettings

SMALL = SceneSettings(seconds=2.0, fps=10.0, cell_diameter_px=(8.0, 10.0), motion_std_px=(0.5, 0.5))
SIZES = {"side_px": 56, "seconds": (2.0, 3.0), "crop": 24, "block": 2, "batch_size": 4}
TRAINING = (
    "+experiment=pretrain",
    *(item for item in TINY if not item.startswith(("+experiment", "trainer.max_epochs", "data.crop"))),
    "trainer.precision=32-true",
    "trainer.max_epochs=3",
    "data.crop=24",
    "data.block=2",
    "data.batch_size=4",
    "data.scenes=3",
    "data.renew=1",
    "data.side_px=64",
    "data.seconds=[2.0,3.0]",
    "data.steps_per_epoch=4",
    "data.validation_steps=1",
    "data.validation=0.3",
)


def data(scenes: int, renew: int, **options) -> SceneData:
    return SceneData({"small": SMALL}, scenes=scenes, renew=renew, **SIZES | options)


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 50))
def test_each_epoch_replaces_the_oldest_in_their_places(scenes, renew, epoch):
    renew = min(renew, scenes)
    stream = data(scenes, renew)
    before, after = stream.numbers(epoch), stream.numbers(epoch + 1)
    assert sorted(before) == list(range(epoch * renew, epoch * renew + scenes))
    assert sorted(after)[-1] == sorted(before)[-1] + renew
    stays = [old == new for old, new in zip(before, after, strict=True)]
    assert sum(stays) == scenes - renew


def test_scenes_are_those_of_the_seed(tmp_path, monkeypatch):
    """Held-out ones are others, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    seen = []
    for seed in (0, 0, 1):
        stream = data(2, 0, validation=0.5, seed=seed)
        stream.setup("fit")
        batch = next(iter(stream.train_dataloader()))
        assert len(stream.prepared) == 3
        assert [len(part.train) > 0 for part in stream.splits] == [False, True, True]
        assert set(batch.session.tolist()) <= {1, 2}
        assert batch.labels is not None
        held_out = next(iter(stream.val_dataloader()))
        assert set(held_out.session.tolist()) == {0}
        stream.teardown("fit")
        seen.append([part.held for part in stream.prepared])
        assert stream.prepared[0].session.path.name == f"validation_{seed}_00000"
        assert list(tmp_path.iterdir()) == []
    first, second, other = seen
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(a.shape == b.shape and torch.equal(a, b) for a, b in zip(first, other, strict=True))
    lengths = [len(part) for part in first]
    assert len(set(lengths)) > 1 or not torch.equal(first[0], first[1])


def test_a_run_that_breaks_off_waits_for_no_scenes(monkeypatch):
    stream, begun, go_on = data(9, 0), [], threading.Event()

    def slow(self, part, number):
        begun.append(number)
        go_on.wait(10)

    monkeypatch.setattr(SceneData, "_ready", slow)
    for number in range(9):
        stream._begin(number)
    threading.Timer(0.1, go_on.set).start()
    stream.on_exception(KeyboardInterrupt())
    assert len(begun) == 1  # what was under way


def test_hardships_make_scenes_harder_and_a_chance_of_none_leaves_them_as_they_were():
    plain, never, always = (
        data(2, 0, **options)._scene("train", 1) for options in ({}, {"hardships": 0.0}, {"hardships": 1.0})
    )
    assert never.sha256() == plain.sha256()
    assert always.settings.density_per_1000_px2 > plain.settings.density_per_1000_px2
    assert always.settings.vessel_flicker > 0
    assert always.seed == plain.seed
    assert always.fps == plain.fps


def test_no_label_lies_where_frames_are_not_looked_at():
    """What is outside of a lens, or of a mask, is no part of the network's frames: nothing can be learned there."""
    scene = SMALL.replace(height_px=96, width_px=96, density_per_1000_px2=15, seconds=8.0)
    session, mask = SceneSession(scene, 3), np.zeros((96, 96), bool)
    mask[:, :50] = True
    settings = PreprocessSettings(motion=None)
    everywhere, inside = (prepare(RepairedSession.of(session, part), 9.0, settings) for part in (None, mask))
    usable = inside.usable
    assert usable is not None
    places = everywhere.scale.to_session(label_table(everywhere).positions)
    kept = inside.scale.to_session(label_table(inside).positions)
    at = np.rint(places).clip(0, 95).astype(int)
    expected = places[usable.numpy()[at[:, 0], at[:, 1]]]
    assert 10 < len(expected) < 0.7 * len(places)
    np.testing.assert_allclose(kept, expected)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    from hydra.core.global_hydra import GlobalHydra

    from calcium_lightning import train
    from calcium_lightning.command import start

    GlobalHydra.instance().clear()
    run = tmp_path_factory.mktemp("unbroken") / "run"
    assert start.run("train", train.main.__wrapped__, [*TRAINING, f"hydra.run.dir={run}"]) == 0
    return run


def state(run: Path) -> dict[str, torch.Tensor]:
    return read_weights(run / "checkpoints/last.ckpt").state


def test_a_broken_run_sees_the_same_scenes(run_command, unbroken, tmp_path):
    """Broken off in its second epoch, whose scenes aren't those of the first."""
    stop = ("+callbacks.stop._target_=helpers.breaking.SignalAt", "+callbacks.stop.step=6")
    broken = run_command("train", *TRAINING, *stop, "hydra.run.dir=broken")
    assert broken.status == 130, broken.stderr
    last = tmp_path / "broken/checkpoints/last.ckpt"
    done = run_command("train", *TRAINING, f"ckpt_path={last}", "hydra.run.dir=resumed")
    assert done.status == 0, done.stderr
    ours, theirs = state(tmp_path / "resumed"), state(unbroken)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not (tmp_path / "resumed/scenes").exists()


def test_two_processes_see_what_one_sees(run_command, unbroken, tmp_path):
    done = run_command("train", *TRAINING, "trainer=ddp_cpu", "hydra.run.dir=run")
    assert done.status == 0, done.stderr
    losses = [
        [float(row["val/loss"]) for row in read_table(run / "metrics.csv")[1] if row["val/loss"]]
        for run in (tmp_path / "run", unbroken)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=5e-3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.renew=4"], "data.renew=4: from 0 to data.scenes=3"),
        (["trainer.reload_dataloaders_every_n_epochs=0"], "trainer.reload_dataloaders_every_n_epochs=1"),
        (["data.labels=false"], "data.labels"),
        (["data.scenes=0"], "data.scenes=0"),
        (["data.hardships=2"], "data.hardships=2"),
    ],
)
def test_what_does_not_fit_is_refused(run_command, overrides, message):
    done = run_command("train", *TRAINING, *overrides, "hydra.run.dir=run")
    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
