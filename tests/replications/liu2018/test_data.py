"""Places and splits."""

from __future__ import annotations

import pytest
import torch

from calcium_lightning.core.errors import InputError
from calcium_lightning.replications.liu2018.data import (
    NotSoClevr,
    all_positions,
    hold_out_quadrant,
    hold_out_share,
)


def places(positions: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(position) for position in positions.tolist()}


def test_every_place_of_the_square_is_there_once():
    positions = all_positions(64, 9)
    assert positions.shape == (56 * 56, 2)
    assert places(positions) == {(y, x) for y in range(4, 60) for x in range(4, 60)}


@pytest.mark.parametrize("split", [hold_out_share, hold_out_quadrant])
def test_splits_are_disjoint_and_complete(split):
    data = NotSoClevr(split)
    training, held_out = places(data.training), places(data.held_out)
    assert not training & held_out
    assert training | held_out == places(all_positions(64, 9))
    assert len(data.training) + len(data.held_out) == 3136


def test_the_uniform_split_is_80_to_20_and_the_seeds_own():
    one, two, three = (NotSoClevr(hold_out_share, seed=seed) for seed in (1, 1, 2))
    assert (len(one.training), len(one.held_out)) == (2509, 627)
    assert torch.equal(one.held_out, two.held_out)
    assert not torch.equal(one.held_out, three.held_out)
    quadrants = (one.held_out > 31).long() @ torch.tensor([2, 1])
    assert quadrants.bincount().min() > 120  # of 157


def test_the_quadrant_split_holds_out_one_quadrant():
    data = NotSoClevr(hold_out_quadrant)
    assert places(data.held_out) == {(y, x) for y in range(32, 60) for x in range(32, 60)}


def test_an_epoch_sees_training_positions_only_and_validation_sees_all():
    data = NotSoClevr(hold_out_quadrant, size=16, square=5, batch_size=7)
    epoch = torch.cat(list(data.train_dataloader()))
    assert len(epoch) == len(places(epoch)) == len(data.training) // 7 * 7
    assert places(epoch) <= places(data.training)
    held_out, training = (torch.cat(list(loader)) for loader in data.val_dataloader())
    assert torch.equal(held_out, data.held_out)
    assert torch.equal(training, data.training)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"square": 8}, "data.square=8"),
        ({"square": 65}, "data.square=65"),
        ({"split": lambda p, g: hold_out_share(p, g, 1.0)}, "data.validation=1.0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        NotSoClevr(**{"split": hold_out_share, **settings})
