"""Real tiny trainings of the published model, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.tiny_published import TINY

from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.loggers.metrics_table import read_table
from calcium_lightning.nn.checkpoint import read_weights
from calcium_lightning.replications.teng2021.data import FrameBatches, load_frames
from calcium_lightning.replications.teng2021.losses import PublishedLoss
from calcium_lightning.replications.teng2021.network import PublishedNetwork, PublishedPrediction


def state(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return read_weights(run / f"checkpoints/{name}.ckpt").state


def changed(run: Path, start: dict[str, torch.Tensor]) -> set[str]:
    """Parts of the network that moved."""
    now = state(run)
    return {name.split(".")[0] for name in now if not torch.equal(now[name], start[name])}


def sessions(path: Path) -> str:
    return f'data.sessions=["{path}"]'


def test_a_run_leaves_what_the_contract_says(trained):
    names = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    assert {"metrics.csv", "summary.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= names
    assert "figures/epoch_0002.png" in names
    columns, rows = read_table(trained / "metrics.csv")
    assert {"train/global", "train/sparsity", "val/global", "val/unexplained"} <= set(columns)
    losses = [float(row["train/global"]) for row in rows if row["train/global"]]
    assert losses[-1] < losses[0]


def test_coordinates_move_and_stay_in_the_field(trained):
    now = state(trained)
    moved = (now["positions"] - now["start"]).norm(dim=1)
    assert moved.median() > 0.2  # 12 steps of up to 0.1
    assert ((now["positions"] >= 0) & (now["positions"] <= 31)).all()


def quiet(*overrides: str) -> list[str]:
    """One epoch without the overrides of TINY that these tests replace."""
    given = [item for item in TINY if not item.startswith(("optimizer", "trainer.max_epochs"))]
    return [*given, "trainer.max_epochs=1", "callbacks.pictures=null", *overrides]


@pytest.mark.parametrize(
    ("alive", "parts"),
    [
        ("everything", {"encoder", "decoder", "positions"}),
        ("coordinates", {"positions"}),
        ("sparsity", {"encoder", "positions"}),
    ],
)
def test_each_optimizer_moves_its_share(run_command, session, tmp_path, still, alive, parts):
    """With the others' rates at 0."""
    rates = [
        f"optimizer.{n}.lr={0.01 if n == alive else 0}" for n in ("everything", "coordinates", "sparsity")
    ]
    done = run_command("train", *quiet(*rates), sessions(session), "hydra.run.dir=run")
    assert done.status == 0, done.stderr
    assert changed(tmp_path / "run", still) == parts


@pytest.fixture(scope="module")
def still(session, tmp_path_factory) -> dict[str, torch.Tensor]:
    """What the seed starts from."""
    from hydra.core.global_hydra import GlobalHydra

    from calcium_lightning import train
    from calcium_lightning.command import start

    GlobalHydra.instance().clear()
    run = tmp_path_factory.mktemp("still") / "run"
    rates = [f"optimizer.{name}.lr=0" for name in ("everything", "coordinates", "sparsity")]
    given = [*quiet(*rates), sessions(session), f"hydra.run.dir={run}", "model.l1=0"]
    assert start.run("train", train.main.__wrapped__, given) == 0
    return state(run)


def test_decay_takes_from_weights_and_from_nothing_else(run_command, session, tmp_path, still):
    rates = ["optimizer.coordinates.lr=0", "optimizer.sparsity.lr=0"]
    slow = ["optimizer.everything._target_=torch.optim.SGD", "optimizer.everything.lr=1e-9"]
    decay = ["model.l1=1e6", "model.decoder_weight_decay=1e7"]
    done = run_command("train", *quiet(*rates, *slow, *decay), sessions(session), "hydra.run.dir=run")
    assert done.status == 0, done.stderr
    now, steps = state(tmp_path / "run"), 6  # 45 frames of 8
    for name, expected in {
        "encoder.last.weight": still["encoder.last.weight"].sign()
        * (still["encoder.last.weight"].abs() - steps * 1e-3).clamp_min(0),
        "encoder.last.bias": still["encoder.last.bias"],
        "decoder.dense.weight": still["decoder.dense.weight"] * 0.99**steps,
        "decoder.dense.bias": still["decoder.dense.bias"],
    }.items():
        torch.testing.assert_close(now[name], expected, rtol=1e-4, atol=1e-6)


def test_a_splat_decoder_starts_from_the_frames_mean(run_command, session, tmp_path):
    given = [item for item in quiet("decoder=splat", "model.l1=0") if not item.startswith("decoder.")]
    rates = [f"optimizer.{name}.lr=0" for name in ("everything", "coordinates", "sparsity")]
    done = run_command("train", *given, *rates, sessions(session), "hydra.run.dir=run")
    assert done.status == 0, done.stderr
    weights = read_weights(tmp_path / "run/checkpoints/last.ckpt")
    network = PublishedNetwork.from_architecture(weights.architecture)
    network.load_state_dict(weights.state)
    with Session(session) as opened:
        frames = load_frames(opened, 32).float()
    undecided = network.read(torch.zeros(1, 32, 32)).reconstruction[0]
    train = frames[: round(0.9 * len(frames))].mean(0)
    torch.testing.assert_close(undecided, train, rtol=0, atol=2e-3)


def test_a_run_that_is_broken_off_goes_on(run_command, session, trained, tmp_path):
    """In the middle of the second epoch: three optimisers and the place in time come back."""
    stop = ("+callbacks.stop._target_=helpers.breaking.SignalAt", "+callbacks.stop.step=8")
    broken = run_command("train", *TINY, *stop, sessions(session), "hydra.run.dir=broken")
    assert broken.status == 130, broken.stderr
    last = tmp_path / "broken/checkpoints/last.ckpt"
    done = run_command("train", *TINY, sessions(session), f"ckpt_path={last}", "hydra.run.dir=resumed")
    assert done.status == 0, done.stderr
    ours, theirs = state(tmp_path / "resumed"), state(trained)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_two_processes_are_one_run(run_command, session, trained, tmp_path):
    """Gradients are averaged by the model itself, as it goes round Lightning's backward pass."""
    done = run_command("train", *TINY, "trainer=ddp_cpu", sessions(session), "hydra.run.dir=run")
    assert done.status == 0, done.stderr
    ours, theirs = state(tmp_path / "run"), state(trained)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < 1e-4
    figures = [
        [row["val/unexplained"] for row in read_table(run / "metrics.csv")[1] if row["val/unexplained"]]
        for run in (tmp_path / "run", trained)
    ]
    assert [*map(float, figures[0])] == pytest.approx([*map(float, figures[1])], rel=1e-3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.gradient_clip_val=1.0"], "trainer.gradient_clip_val=null"),
        (["loss.sparsity=bse"], "nearest: bce"),
        (["optimizer=adam"], "optimizer=published"),
        (["painter=splatt"], "nearest: splat"),
        (["loss=evidence"], "loss=published"),
        (["model=localization"], "model.head: left out"),
        (["model.coordinates=0"], "coordinates=0"),
        (["data.batch_size=0"], "data.batch_size=0"),
    ],
)
def test_bad_settings_are_one_clear_line(run_command, session, overrides, message):
    replaced = overrides[0].split("=")[0]
    given = [item for item in TINY if not item.startswith((f"{replaced}.", f"{replaced}="))]
    done = run_command("train", *given, sessions(session), *overrides)
    assert (done.status, done.stderr.count("error:")) == (2, 1), done.stderr
    assert message in done.stderr


def test_painting_can_be_learned(run_command, tmp_path):
    tiny = (
        "data.size=20",
        "data.margin=2",
        "data.batch_size=16",
        "data.steps_per_epoch=60",
        "painter.features=[16]",
    )
    done = run_command(
        "train", "+experiment=published_painter", *tiny, "trainer.max_epochs=3", "hydra.run.dir=run"
    )
    assert done.status == 0, done.stderr
    rows = [row for row in read_table(tmp_path / "run/metrics.csv")[1] if row["val/loss"]]
    assert float(rows[-1]["val/loss"]) < float(rows[0]["val/loss"])
    done = run_command(
        "train", "+experiment=published", "painter.features=[16]", "painter.weights=run/checkpoints/best.ckpt",
        "data.sessions=[nowhere.h5]",
    )  # fmt: skip
    assert (done.status, "nowhere.h5" in done.stderr) == (2, True)


def prediction(seed: int = 0) -> PublishedPrediction:
    generator = torch.Generator().manual_seed(seed)
    logits, dots = (torch.randn(2, 16, 16, generator=generator), torch.rand(3, 16, 16, generator=generator))
    similarity = 0.3 * torch.rand(2, 3, generator=generator)
    return PublishedPrediction(
        logits, dots, similarity, torch.zeros(2, 3, 3), torch.rand(2, 16, 16, generator=generator)
    )


def test_the_losses_are_their_definitions():
    seen, frames = prediction(), torch.rand(2, 16, 16)
    lit, painted = torch.sigmoid(seen.logits), seen.painted.clamp(0, 1)
    terms = PublishedLoss()(seen, frames)
    torch.testing.assert_close(terms.reconstruction, F.mse_loss(seen.reconstruction, frames))
    torch.testing.assert_close(terms.sparsity, F.binary_cross_entropy(lit, painted))
    nearer = torch.where(lit < 0.5, lit, 1 - lit)
    torch.testing.assert_close(PublishedLoss("black_white")(seen, frames).sparsity, nearer.square().mean())
    assert PublishedLoss("none")(seen, frames).sparsity == 0
    # A blur of a thousandth of a pixel is none.
    torch.testing.assert_close(
        PublishedLoss(blur=1e-3)(seen, frames).sparsity, terms.sparsity, rtol=1e-3, atol=1e-4
    )
    assert PublishedLoss(blur=2.0)(seen, frames).sparsity != terms.sparsity


def test_batches_are_full_and_in_order_and_ranks_share_them():
    frames = [torch.arange(21.0)[:, None, None].expand(21, 4, 4), 100 + torch.zeros(5, 4, 4)]
    whole = FrameBatches(frames, [range(19), range(5)], 8)
    seen = [batch.frame.tolist() for batch in (whole[i] for i in range(len(whole)))]
    assert seen == [[*range(8)], [*range(8, 16)], [*range(11, 19)], [*range(5)]]
    ranks = [FrameBatches(frames, [range(19), range(5)], 8, rank, 2) for rank in (0, 1)]
    assert [part[1].frame.tolist() for part in ranks] == [[8, 9, 10, 11], [12, 13, 14, 15]]
    assert torch.equal(whole[1].target[:, 0, 0], torch.arange(8.0, 16.0))


def test_frames_are_stretched_one_by_one_and_raw_ones_become_dff(tmp_path):
    random = torch.Generator().manual_seed(0)
    raw = 50 + 20 * torch.rand(12, 32, 40, generator=random)
    for kind in ("raw", "dff"):
        with SessionWriter(tmp_path / f"{kind}.h5", 32, 40, "float32", 5.0, kind=kind) as writer:
            writer.append(raw.numpy())
    dff = (raw - raw.mean(0)) / raw.mean(0)
    for kind, movie in (("raw", dff), ("dff", raw)):
        low, high = movie.amin((1, 2), keepdim=True), movie.amax((1, 2), keepdim=True)
        expected = F.interpolate(
            ((movie - low) / (high - low))[:, None], (16, 16), mode="bilinear", antialias=True
        )
        with Session(tmp_path / f"{kind}.h5") as session:
            found = load_frames(session, 16)
        torch.testing.assert_close(found.float(), expected[:, 0], atol=2e-3, rtol=0)
