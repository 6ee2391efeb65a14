"""What is asked and what counts as right, against closed forms."""

from __future__ import annotations

import pytest
import torch

from calcium_lightning.replications.liu2018.tasks import Classification, Regression, Rendering

POSITIONS = torch.tensor([[4, 4], [30, 17], [59, 59]])


def test_squares_are_squares():
    """Of 9×9 pixels around the centre, as a product of two intervals."""
    squares = Rendering().target(POSITIONS).view(-1, 64, 64)
    for square, (y, x) in zip(squares, POSITIONS.tolist(), strict=True):
        expected = torch.zeros(64, 64)
        expected[y - 4 : y + 5, x - 4 : x + 5] = 1
        assert torch.equal(square, expected)


def test_a_lit_pixel_is_one():
    pictures = Regression().pictures(POSITIONS)
    assert pictures.shape == (3, 1, 64, 64)
    assert torch.equal(pictures.nonzero()[:, 2:], POSITIONS)
    assert torch.equal(pictures.sum((1, 2, 3)), torch.ones(3))


def test_classification_counts_the_brightest_pixel():
    logits = torch.zeros(3, 64 * 64)
    logits[0, 4 * 64 + 4] = logits[1, 30 * 64 + 18] = logits[2, 59 * 64 + 59] = 5
    assert Classification().scores(logits, POSITIONS)["accuracy"].tolist() == [1, 0, 1]


def test_rendering_counts_pixels():
    task = Rendering()
    moved = POSITIONS + torch.tensor([[0, 0], [0, 3], [-9, 0]])
    scores = task.scores(task.target(moved) - 0.5, POSITIONS)
    assert scores["perfect"].tolist() == [1, 0, 0]
    torch.testing.assert_close(scores["iou"], torch.tensor([1, 9 * 6 / (9 * 12), 0]))


def test_regression_measures_in_pixels():
    task = Regression()
    off = torch.tensor([[0.0, 0.0], [0.6, 0.0], [3.0, 4.0]])
    answer = (POSITIONS + off) * (2 / 63) - 1
    scores = task.scores(answer, POSITIONS)
    torch.testing.assert_close(scores["error"], torch.tensor([0.0, 0.6, 5.0]), atol=1e-4, rtol=1e-4)
    assert scores["within_half"].tolist() == [1, 0, 0]
    assert scores["within_one"].tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    "task", [Classification(), Rendering(), Regression()], ids=lambda t: type(t).__name__
)
def test_the_right_answer_costs_nothing(task):
    right = {
        "Classification": lambda: 100 * Rendering(square=1).target(POSITIONS),
        "Rendering": lambda: 100 * (Rendering().target(POSITIONS) - 0.5),
        "Regression": lambda: POSITIONS * (2 / 63) - 1,
    }[type(task).__name__]()
    assert task.loss(right, POSITIONS) < 1e-6
    assert task.loss(right, POSITIONS.flip(0)) > 0.1
    assert task.shown in task.scores(right, POSITIONS)
