"""Where there is no tissue is found, wherever it is; tissue is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from calcium_lightning.preprocess.field import find_field, thin_parts

from . import artefacts


def field_of(made: artefacts.Made, **how) -> np.ndarray:
    return find_field(artefacts.look(made.stored()), raw=True, **how).field


@pytest.mark.parametrize("seed", [11, 12])
def test_a_field_of_tissue_is_all_tissue(seed):
    assert field_of(artefacts.make(seed)).all()


@pytest.mark.parametrize("soft", [2, 6, 12])
@pytest.mark.parametrize("seed", [11, 12])
def test_outside_a_lens_is_left_out(seed, soft):
    made = artefacts.make(seed)
    inside = artefacts.lens(made, soft)
    field = field_of(made)
    assert (field & ~binary_dilation(inside, iterations=2)).sum() < 0.02 * (~inside).sum()
    assert (~field & inside).sum() < 0.15 * inside.sum()


@pytest.mark.parametrize(
    ("spoil", "how"),
    [
        (artefacts.dead_lines, {"kind": "dead"}),
        (artefacts.dead_lines, {"kind": "stuck", "across": 2}),
        (artefacts.dead_lines, {"kind": "white"}),
        (artefacts.dead_lines, {"kind": "dim"}),
        (artefacts.dead_lines, {"kind": "dim", "across": 2}),
        (artefacts.frame, {}),
        (artefacts.text, {}),
        (artefacts.stuck_block, {}),
    ],
)
@pytest.mark.parametrize("seed", [13, 14])
def test_what_is_no_tissue_is_left_out_and_nothing_else(seed, spoil, how):
    made = artefacts.make(seed)
    hit = spoil(made, **how)
    field = field_of(made)
    assert (field & hit).sum() <= 0.02 * hit.sum()
    assert (~field & ~hit).mean() <= 0.01


@pytest.mark.parametrize("seed", [11, 12])
def test_the_field_begins_behind_a_rim_that_shines(seed):
    made = artefacts.make(seed)
    inside = artefacts.rim(made)
    field = field_of(made)
    assert (field & ~binary_dilation(inside, iterations=2)).sum() < 0.01 * (~inside).sum()
    assert (field & inside).sum() > 0.75 * inside.sum()


def test_a_known_field_is_kept_and_the_lens_is_not_sought_in_it():
    made = artefacts.make(11)
    artefacts.lens(made, 2)
    drawn = np.zeros(made.size, bool)
    drawn[5:90, 5:90] = True
    np.testing.assert_array_equal(field_of(made, known=drawn, lens=False), drawn)
    assert field_of(made, known=drawn).sum() < drawn.sum()


def test_nothing_is_said_of_a_recording_of_nothing():
    view = find_field(artefacts.look(np.zeros((40, 30, 32), np.uint8)), raw=True)
    assert view.field.all()
    assert str(view) == ""


def test_thin_is_what_can_be_filled_across():
    missing = np.zeros((40, 50), bool)
    missing[10], missing[:, 20:23], missing[25:33, 30:45], missing[:, 49] = True, True, True, True
    thin = thin_parts(missing)
    assert thin[10, 30]
    assert thin[20, 21]
    assert thin[39, 21]
    assert not thin[25, 49]
    assert not thin[25:33, 30:45].any()
    assert not (thin & ~missing).any()
