"""Every figure that is logged or measured stands in the one table, with a meaning and a direction."""

import ast
import re
from pathlib import Path

import pytest
from helpers.example_cells import make_example
from helpers.tiny_session import make_session
from helpers.tiny_training import TINY, sessions

import calcium_lightning
from calcium_lightning.comparison.ranking import choose_metric
from calcium_lightning.loggers.metrics_table import read_table
from calcium_lightning.loggers.wandb_summary import better
from calcium_lightning.metrics.scorecard import Scorecard
from calcium_lightning.metrics.table import CELLS, ORDER, STAGES, TRAINING, better_of, figure_of, meaning_of

ROOT = Path(calcium_lightning.__file__).parent


def test_what_a_training_logs_is_in_the_table(run_command, tmp_path):
    make_session(tmp_path / "a.h5")
    tiny = (*TINY, "loss=labels", "data.labels=true", "loss.evidence.splats=16", "trainer.max_epochs=1")
    done = run_command("train", *tiny, sessions(tmp_path / "a.h5"), f"hydra.run.dir={tmp_path / 'run'}")
    assert done.status == 0, done.stderr
    columns, _ = read_table(tmp_path / "run/metrics.csv")
    logged = {name for name in columns if name.partition("/")[0] in STAGES}
    assert {"val/grain", "val/price", "val/evidence", "train/presence", "val/f1"} <= logged
    assert {name for name in logged if figure_of(name) is None} == set()


def test_what_the_code_logs_by_name_is_in_the_table():
    pattern = re.compile(rf"({'|'.join(STAGES)}|network)/[a-z_0-9]+")
    texts = {
        node.value
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and pattern.fullmatch(node.value)
    }
    assert "val/unexplained" in texts
    assert {name for name in texts if figure_of(name) is None} == set()


def test_what_evaluate_measures_is_in_the_table():
    cells, truth = make_example()
    figures = Scorecard().add(cells, truth)
    assert len(figures) > 10
    assert set(figures) <= set(CELLS)


def test_scores_of_tasks_are_in_the_table():
    import torch

    from calcium_lightning.replications.liu2018.tasks import Classification, Regression, Rendering

    positions = torch.tensor([[3.0, 4.0]])
    for task, answer in (
        (Classification(8), torch.zeros(1, 64)),
        (Rendering(8, 3), torch.zeros(1, 64)),
        (Regression(8), torch.zeros(1, 2)),
    ):
        assert set(task.scores(answer, positions)) <= set(TRAINING)


def test_directions_and_meanings():
    assert (better_of("val/f1"), better_of("train/rmse"), better_of("cells/f1")) == ("max", "min", "max")
    assert better_of("val/grain") is better_of("lr-AdamW") is None
    assert meaning_of("val/f1").startswith("held-out F1 of localisations")
    assert meaning_of("f1") == "F1 of cells"
    assert all(figure.meaning for figure in (*TRAINING.values(), *CELLS.values()))
    assert len(set(ORDER)) == len(ORDER)
    assert (better("val/rmse", 1.0, 2.0), better("val/f1", 0.1, 0.2)) == (1.0, 0.2)
    assert choose_metric([]) is None


@pytest.mark.parametrize("name", ["f1", "val/f1"])
def test_one_name_means_cells_alone_and_frames_after_a_stage(name):
    assert figure_of(name).name == name
    assert ("frames" in figure_of(name).meaning) == ("/" in name)
