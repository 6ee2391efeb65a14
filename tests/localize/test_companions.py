"""Beside a stronger cell only what frames show by itself counts."""

from __future__ import annotations

import numpy as np

from calcium_lightning.localize.companions import unseen_companions


def _quality(evidence: list[float], coincidence: list[float]) -> dict[str, np.ndarray]:
    return {"evidence": np.array(evidence), "coincidence": np.array(coincidence)}


def test_what_frames_do_not_show_beside_a_stronger_cell_is_told_from_two_cells_that_they_show() -> None:
    centers = np.array([[5, 5], [5, 7], [20, 20], [20, 22], [40, 40]], float)
    quality = _quality([50, 20, 20, 50, 20], [0.9, 0.2, 0.9, 0.9, 0.1])

    companion = unseen_companions(quality, centers, np.ones(5, bool), scatter=2.0)

    assert companion.tolist() == [False, True, False, False, False]


def test_what_does_not_count_makes_no_companion() -> None:
    centers = np.array([[5, 5], [5, 8], [5, 11]], float)
    quality = _quality([50, 40, 30], [0.1, 0.1, 0.1])

    everything = unseen_companions(quality, centers, np.ones(3, bool), scatter=2.0)
    weaker = unseen_companions(quality, centers, np.array([False, True, True]), scatter=2.0)

    assert everything.tolist() == [False, True, False]  # the third is beside one that is none
    assert weaker.tolist() == [False, False, True]
    assert not unseen_companions(quality, centers, np.zeros(3, bool), scatter=2.0).any()


def test_where_pictures_of_a_cell_do_not_differ_what_is_beside_it_is_another_cell() -> None:
    centers = np.array([[5, 5], [5, 7]], float)
    quality = _quality([50, 20], [0.9, 0.2])

    for scatter, dropped in ((1.0, 0), (1.2, 0), (1.5, 1), (4.0, 1)):
        companion = unseen_companions(quality, centers, np.ones(2, bool), scatter=scatter)
        assert companion.sum() == dropped
