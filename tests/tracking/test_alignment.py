"""How fields are laid on each other: pictures come second and what stands still is no witness, chance is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.tracking.alignment import align, checked
from calcium_lightning.tracking.pictures import Picture, agreement

DIAMETER, SIZE = 12.0, (200, 220)
EVERYWHERE = np.ones(SIZE, bool)


def moved(dy: float, dx: float) -> FieldTransform:
    return FieldTransform(np.array([[1.0, 0.0, dy], [0.0, 1.0, dx]]))


def picture(image: np.ndarray) -> Picture:
    found = Picture.of(image, EVERYWHERE, DIAMETER)
    assert found is not None
    return found


def tissue(seed: int) -> np.ndarray:
    return 100 + 30 * gaussian_filter(np.random.default_rng(seed).standard_normal(SIZE), 5) * 5


def stripes() -> np.ndarray:
    return 20 * np.sin(np.arange(SIZE[0]) / 4)[:, None] * np.ones(SIZE)


def test_pictures_speak_for_where_the_tissue_lies() -> None:
    first, second = picture(tissue(1)), picture(shift(tissue(1), (9, -14), mode="nearest"))
    right = agreement(first, second, moved(-9, 14), DIAMETER)
    assert right > 30
    assert abs(agreement(first, second, moved(20, 5), DIAMETER)) < 0.2 * right
    assert abs(agreement(first, picture(tissue(2)), moved(-9, 14), DIAMETER)) < 0.2 * right


def test_what_stands_still_on_the_sensor_is_no_witness() -> None:
    first = picture(tissue(1) + stripes())
    other = picture(tissue(2) + stripes())
    assert abs(agreement(first, other, moved(0, 0), DIAMETER)) < 5
    same = picture(shift(tissue(1), (9, -14), mode="nearest") + stripes())
    assert (
        agreement(first, same, moved(-9, 14), DIAMETER) > agreement(first, same, moved(0, 0), DIAMETER) + 20
    )


def test_a_picture_without_detail_says_nothing() -> None:
    assert Picture.of(np.full(SIZE, 7.0), EVERYWHERE, DIAMETER) is None
    assert Picture.of(np.full(SIZE, np.nan), EVERYWHERE, DIAMETER) is None
    small = Picture.of(tissue(1)[:30, :30], np.ones((30, 30), bool), DIAMETER)
    assert small is not None
    assert agreement(small, small, moved(1, 2), DIAMETER) == 0


def scattered(count: int, size: tuple[int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kept: list[np.ndarray] = []
    while len(kept) < count:
        place = rng.uniform(0, size)
        if all(np.linalg.norm(place - other) > 0.8 * DIAMETER for other in kept):
            kept.append(place)
    return np.array(kept)


def test_two_ways_that_fit_alike_are_no_match() -> None:
    """A field of two copies of the other: nobody knows on which half it lies."""
    half = scattered(24, (70, 70), 5)
    double = np.concatenate([half, half + np.array([0, 75.0])])
    found = align([double, half], DIAMETER, [(70, 145), (70, 70)])
    assert not found.pairs[0].matches
    assert found.aligned == []
    assert found.pairs[0].chance > 0.7 * found.pairs[0].score
    assert align([half, half + 0.5], DIAMETER, [(70, 70)] * 2).aligned == [0, 1]


def test_a_session_about_which_the_others_do_not_agree_is_left_out() -> None:
    """One that two others would put thirty pixels apart."""
    cells = scattered(40, (110, 110), 3)
    rng = np.random.default_rng(4)
    places = [cells + rng.normal(0, 0.4, cells.shape) for _ in range(4)]
    whole = align(places, DIAMETER, [(110, 110)] * 4)
    assert whole.doubted == ()
    assert max(whole.closure) < 1
    wrong = [
        replace(
            pair,
            fit=replace(pair.fit, transform=moved(0, 30.0 * (1 + pair.first)))
            if pair.second == 3
            else pair.fit,
        )
        for pair in whole.pairs
    ]
    found = checked(places, DIAMETER, wrong)
    assert found.doubted == (3,)
    assert found.aligned == [0, 1, 2]
    assert max(found.closure[:3]) < 1
