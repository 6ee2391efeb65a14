"""The commands as they are typed, on smaller canvases."""

from __future__ import annotations

from pathlib import Path

import pytest

from calcium_lightning.loggers.metrics_table import read_table

#: a canvas of 16x16 pixels: a sixteenth of the work
TINY = ("data.size=16", "data.square=5", "trainer.precision=32-true", "trainer.max_epochs=1")
DECONVOLUTION = ("layer=conv", "layer.painter.features=[8,8,8]")


def rows(run: Path) -> list[dict[str, str]]:
    return [row for row in read_table(run / "metrics.csv")[1] if row["val/loss"]]


def test_the_command_as_typed(run_command, tmp_path):
    """All layers and splits in one sweep, and the table of it."""
    done = run_command(
        "train", "-m", "+experiment=coordconv_regression", "layer=coordconv,conv", "split=uniform,quadrant",
        *TINY, "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    for number in range(4):
        held = {
            str(p.relative_to(tmp_path / f"sweep/{number}"))
            for p in (tmp_path / f"sweep/{number}").rglob("*")
        }
        assert {"metrics.csv", "summary.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= held
        (row,) = rows(tmp_path / f"sweep/{number}")
        assert {"val/error", "val/within_half", "train/error", "network/parameters"} <= set(row)
    done = run_command("compare", "runs=sweep", "metric=val/error", "output=page.html")
    assert done.status == 0, done.stderr
    for word in ("coordconv", "conv", "uniform", "quadrant"):
        assert word in done.stdout
    assert "906" in (tmp_path / "page.csv").read_text()  # weights: the terminal shows four results, this all


@pytest.mark.parametrize(
    ("task", "layer", "score"),
    [
        ("classification", (), "accuracy"),
        ("rendering", (), "iou"),
        ("classification", DECONVOLUTION, "accuracy"),
        ("rendering", DECONVOLUTION, "iou"),
    ],
    ids=lambda value: value if isinstance(value, str) else "conv" if value else "coordconv",
)
def test_a_short_training_learns(run_command, tmp_path, task, layer, score):
    more = ("trainer.max_epochs=6", "data.batch_size=4", "optimizer.lr=1e-2")
    done = run_command("train", f"+experiment=coordconv_{task}", *TINY, *layer, *more, "hydra.run.dir=run")
    assert done.status == 0, done.stderr
    course = rows(tmp_path / "run")
    assert len(course) == 6
    assert float(course[-1]["train/loss"]) < 0.8 * float(course[0]["train/loss"])
    for part in ("train", "val"):
        assert 0 <= float(course[-1][f"{part}/{score}"]) <= 1


def test_coordconv_finds_lit_pixels_of_a_quadrant_that_it_never_saw(run_command, tmp_path):
    given = ("split=quadrant", *TINY, "trainer.max_epochs=20", "data.batch_size=8")
    done = run_command("train", "+experiment=coordconv_regression", *given, "hydra.run.dir=run")
    assert done.status == 0, done.stderr
    last = rows(tmp_path / "run")[-1]
    assert (float(last["val/within_half"]), float(last["train/within_half"])) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["layer=coordonv"], "coordconv"),
        (["layer=none"], "layer"),
        (["split=none"], "split"),
        (["split=quadrants"], "quadrant"),
        (["data.square=4"], "data.square=4"),
        (["data.validation=1.5"], "data.validation=1.5"),
        (["layer=conv"], "layers paint 64x64 pixels, not 16x16"),
        (["layer.painter.featurs=[8]"], "layer.painter.featurs: no such key"),
    ],
)
def test_bad_settings_are_one_clear_line(run_command, overrides, message):
    done = run_command("train", "+experiment=coordconv_classification", *TINY, *overrides)
    assert (done.status, done.stderr.count("error:")) == (2, 1), done.stderr
    assert message in done.stderr
