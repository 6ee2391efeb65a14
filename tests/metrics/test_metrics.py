"""Each metric against numbers worked out by hand, and reduced over ranks as over batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calcium_lightning.metrics.cell_match import CellMatch, match_cells
from calcium_lightning.metrics.cells import (
    CellDetection,
    CenterError,
    RecallByPlace,
    RecoveredCells,
    TraceCorrelation,
)
from calcium_lightning.metrics.localization import FrameLocalization
from calcium_lightning.metrics.mask import MaskAgreement
from calcium_lightning.metrics.motion import MotionError


def match(distance, correlation, n_cells=5, n_true=8) -> CellMatch:
    index = np.arange(len(distance))
    return CellMatch(index, index, np.array(distance), np.array(correlation), n_cells, n_true, np.zeros(2))


def over_ranks(make, updates):
    """Compute a metric as DDP would: one copy per rank, states gathered from all."""
    ranks = [make() for _ in updates]
    for metric, arguments in zip(ranks, updates, strict=True):
        if arguments is not None:
            metric.update(*arguments)
    states = {name: [getattr(metric, name) for metric in ranks] for name in ranks[0]._defaults}
    for name, parts in states.items():
        if isinstance(parts[0], list):
            states[name] = [torch.cat(part) if part else torch.zeros(0) for part in parts]
    names = iter(ranks[0]._reductions)
    first = make()
    first.distributed_available_fn = lambda: True
    first.dist_sync_fn = lambda value, group=None: states[next(names)]
    first._update_count = 1
    for name, default in first._defaults.items():
        if isinstance(default, list):
            setattr(first, name, [torch.zeros(0)])
    return first.compute()


def plain(value):
    return (
        {name: float(number) for name, number in value.items()} if isinstance(value, dict) else float(value)
    )


def test_detection_by_hand():
    metric = CellDetection()
    metric.update(match([0.5, 1.0], [0.9, 0.7]))
    metric.update(match([2.0], [0.95], n_cells=1, n_true=4))
    assert plain(metric.compute()) == pytest.approx({"precision": 3 / 6, "recall": 3 / 12, "f1": 6 / 18})


def test_medians_average_the_two_middle_values():
    error, correlation, both = CenterError(), TraceCorrelation(), RecoveredCells()
    for metric in (error, correlation, both):
        metric.update(match([0.5, 1.0, 3.0, 4.0], [0.9, 0.7, 0.85, 0.8]))
    assert float(error.compute()) == pytest.approx(2.0)
    assert float(correlation.compute()) == pytest.approx(0.825)
    assert float(both.compute()) == pytest.approx(2 * 2 / 13)


def test_nothing_found():
    empty = match_cells(np.zeros((0, 2)), np.ones((4, 2)), np.zeros((0, 9)), np.ones((4, 9)))
    metric, error = CellDetection(), CenterError()
    metric.update(empty)
    error.update(empty)
    assert plain(metric.compute()) == {"precision": 0, "recall": 0, "f1": 0}
    assert np.isnan(float(error.compute()))


def test_a_constant_trace_correlates_with_nothing():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(2, 50))
    found = np.stack([np.full(50, 0.1), true[1] * 3 + 7])
    places = [[5, 5], [30, 30]]
    np.testing.assert_allclose(match_cells(places, places, found, true).correlation, [0, 1], atol=1e-12)


def test_correlation_is_pearsons():
    rng = np.random.default_rng(0)
    a, b, places = rng.normal(size=(6, 80)), rng.normal(size=(6, 80)), rng.uniform(0, 500, (6, 2))
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(match_cells(places, places, a, b).correlation, expected, atol=1e-12)


def test_traces_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="don't fit"):
        match_cells(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 9)), np.zeros((2, 8)))


def test_recall_by_place():
    centers = np.array([[5, 40], [40, 40], [40, 60], [40, 20], [69, 40], [68, 69.0]])
    found = CellMatch(*(np.array([0, 1, 3]),) * 2, np.zeros(3), np.ones(3), 3, 6, np.zeros(2))
    metric = RecallByPlace()
    metric.update(found, centers, (80, 80), amplitude=[1, 2, 3, 4, 5, 6])
    # the border is the first, fifth (80 - 1 - 69 = 10) and sixth; dim inner ones are the second and third
    values = plain(metric.compute())
    assert values == pytest.approx({"inner": 2 / 3, "border": 1 / 3, "dim": 1 / 2, "bright": 1})
    blind = RecallByPlace()
    blind.update(found, centers, (80, 80))
    assert np.isnan(plain(blind.compute())["dim"])


def test_localizations_ignore_padding_and_other_frames():
    metric = FrameLocalization(radius=2.0)
    found = torch.tensor([[[0.0, 0], [5, 5], [9, 9]], [[0, 0], [50, 50], [0, 0]]])
    labels = torch.tensor([[[1.0, 0], [5, 6]], [[9, 9], [0, 0]]])
    valid = torch.tensor([[True, True, True], [True, True, False]])
    metric.update(found, labels, valid, torch.tensor([[True, True], [True, False]]))
    expected = {"precision": 2 / 5, "recall": 2 / 3, "f1": 4 / 8, "jaccard": 2 / 6, "rmse": 1.0}
    assert plain(metric.compute()) == pytest.approx(expected)


def test_localizations_without_any():
    metric = FrameLocalization()
    metric.update(torch.zeros(2, 0, 2), torch.zeros(2, 0, 2))
    values = plain(metric.compute())
    assert np.isnan(values.pop("rmse"))
    assert set(values.values()) == {0.0}
    with pytest.raises(ValueError, match="must be"):
        metric.update(torch.zeros(2, 2), torch.zeros(2, 0, 2))


def test_motion_forgives_a_constant():
    true = np.random.default_rng(0).normal(size=(50, 2))
    wave = np.sin(np.arange(50))[:, None] * (0.3, 0)
    wave -= wave.mean(0)
    metric = MotionError()
    metric.update(true + np.array([9, -4]) + wave, true)
    assert plain(metric.compute()) == pytest.approx(
        {"y": np.sqrt((wave[:, 0] ** 2).mean()), "x": 0}, abs=1e-9
    )
    with pytest.raises(ValueError, match="must both be"):
        metric.update(true, true[:-1])


def test_mask_parts_are_four_connected_and_unknown_pixels_left_out():
    mask = np.zeros((10, 10))
    mask[0, 0] = mask[1, 1] = mask[5:7, 5:7] = 1  # three parts: a corner joins nothing
    unknown = np.zeros((10, 10))
    unknown[9] = 1
    metric = MaskAgreement()
    centers = [
        [0, 0],
        [11, 11],
        [13.4, 10.6],
        [5, 3],
        [19, 3],
    ]  # field is twice the mask; the last is unknown
    metric.update(centers, mask, (20, 20), unknown)
    chance = 6 / 90
    expected = {
        "cells": 4, "precision": 3 / 4, "chance": chance, "kappa": (3 / 4 - chance) / (1 - chance),
        "parts_hit": 2, "parts": 3,
    }  # fmt: skip
    assert plain(metric.compute()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mask", "unknown", "complaint"),
    [
        (np.ones((4, 4, 3)), None, "two dimensions"),
        (np.eye(4, 9), None, "doesn't fit a field"),
        (np.zeros((9, 9)), None, "marks nothing"),
        (np.ones((9, 9)), None, "marks everything"),
        (np.eye(9), np.ones((9, 9)), "unknown"),
        (np.eye(9), np.ones((9, 8)), "have shape"),
    ],
)
def test_masks_that_fit_nothing(mask, unknown, complaint):
    with pytest.raises(ValueError, match=complaint):
        MaskAgreement().update([[1, 1]], mask, (20, 20), unknown)


UPDATES = {
    "detection": (CellDetection, [(match([1, 2], [0.9, 0.2]),), (match([3], [0.5], 4, 4),)]),
    "error": (CenterError, [(match([1, 2, 7], [0.9, 0.2, 0.3]),), (match([3, 5], [0.5, 0.1]),)]),
    "correlation": (TraceCorrelation, [(match([1, 2], [0.9, 0.2]),), (match([3], [0.5]),)]),
    "both": (RecoveredCells, [(match([1, 2], [0.9, 0.2]),), (match([3], [0.85]),)]),
    "motion": (MotionError, [(np.eye(5, 2), np.zeros((5, 2))), (np.eye(9, 2) * 4, np.zeros((9, 2)))]),
    "mask": (MaskAgreement, [([[1, 1]], np.eye(9), (9, 9)), ([[1, 1], [0, 5]], np.eye(9), (9, 9))]),
    "frames": (FrameLocalization, [(torch.zeros(2, 3, 2), torch.ones(2, 2, 2)), (torch.zeros(1, 1, 2), torch.ones(1, 2, 2))]),
    "place": (
        RecallByPlace,
        [(match([1], [1], 1, 2), [[9, 9], [30, 30]], (60, 60), [1, 2]), (match([1], [1], 1, 1), [[30, 30]], (60, 60), [1])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UPDATES)
def test_ranks_reduce_like_batches(name):
    make, updates = UPDATES[name]
    together = make()
    for arguments in updates:
        together.update(*arguments)
    assert plain(over_ranks(make, updates)) == pytest.approx(plain(together.compute()), nan_ok=True)


@pytest.mark.parametrize("name", ["error", "correlation"])
def test_a_rank_without_data_changes_nothing(name):
    make, updates = UPDATES[name]
    alone = make()
    alone.update(*updates[0])
    assert plain(over_ranks(make, [updates[0], None])) == pytest.approx(plain(alone.compute()))
