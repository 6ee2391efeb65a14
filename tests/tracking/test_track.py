"""Tracks of days whose truth is known: who is who, how sure, and what doesn't match."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.drawn_days import SIZE, Drawn, draw, pair_f1
from helpers.example_cells import make_example
from scipy.sparse import csr_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.tracking.track import track


@pytest.fixture(scope="module")
def tracks(animal) -> Tracks:
    return track(animal.fields)


def test_the_same_cells_are_found(animal: Drawn, tracks: Tracks) -> None:
    assert pair_f1(tracks, animal.days) > 0.94
    assert tracks.left_out == []


def test_cells_far_from_every_border_are_found_again(animal: Drawn) -> None:
    fields = []
    for field in animal.fields:
        inner = ((field.centers > 40) & (field.centers < np.array(SIZE) - 40)).all(1)
        fields.append(replace(field, footprints=csr_matrix(field.footprints[inner]), rows=field.rows[inner]))
    tracks = track(fields)
    assert (tracks.days > 1).sum() > 3


def test_every_cell_is_in_one_track(animal: Drawn, tracks: Tracks) -> None:
    for session, field in enumerate(animal.fields):
        rows = tracks.cell[:, session]
        assert sorted(rows[rows >= 0]) == sorted(field.nonempty().rows)
    assert (tracks.days >= 1).all()
    assert (np.diff(tracks.days) <= 0).all()


def test_probabilities_are_of_members_and_hold(animal: Drawn, tracks: Tracks) -> None:
    assert (np.isnan(tracks.probability) == (tracks.cell < 0)).all()
    several = tracks.days > 1
    assert (tracks.probability[~several & (tracks.days == 1)][tracks.cell[~several] >= 0] == 1).all()
    members = tracks.probability[several][tracks.cell[several] >= 0]
    assert members.min() >= tracks.least_probability
    right = 0
    for row in tracks.cell[several]:
        names = np.array([animal.days[day].identity[cell] for day, cell in enumerate(row) if cell >= 0])
        right += sum(int(name >= 0 and (names == name).sum() > 1) for name in names)
    assert abs(members.mean() - right / len(members)) < 0.03
    assert tracks.expected_false == pytest.approx((1 - members).sum(), rel=1e-4)


def test_fields_lie_where_they_belong(animal: Drawn, tracks: Tracks) -> None:
    reference = animal.days[tracks.reference].displacement
    for day, session, field in zip(animal.days, tracks.sessions, animal.fields, strict=True):
        assert session.transform is not None
        truth = reference.apply(day.displacement.invert(field.centers))
        inside = ((truth > 0) & (truth < np.array(SIZE) - 1)).all(1)
        error = np.linalg.norm(session.transform.apply(field.centers) - truth, axis=1)[inside]
        assert np.median(error) < 0.8
        back = session.transform.invert(session.transform.apply(field.centers))
        np.testing.assert_allclose(back, field.centers, atol=0.05)


def test_a_day_of_another_animal_is_left_out(animal: Drawn) -> None:
    stranger = draw(days=1, seed=99, name="stranger").fields[0]
    found = track([animal.fields[0], stranger, animal.fields[1]])
    assert found.left_out == [1]
    assert (found.cell[:, 1] == -1).all()
    assert found.sessions[1].transform is None
    assert "stranger0" in found.sessions[1].name


def test_two_animals_dont_match(animal: Drawn) -> None:
    stranger = draw(days=1, seed=99, name="stranger").fields[0]
    with pytest.raises(InputError, match="don't match"):
        track([animal.fields[0], stranger])


def test_a_higher_p_gives_surer_tracks(animal: Drawn, tracks: Tracks) -> None:
    surer = track(animal.fields, p=0.95)
    assert surer.links <= tracks.links
    several = surer.days > 1
    assert np.nanmin(surer.probability[several]) >= 0.95


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, b: [a], "one session"),
        (lambda a, b: [a, a], "the same cells as"),
        (
            lambda a, b: [replace(a, pixel_size_um=1.0), replace(b, pixel_size_um=2.0)],
            "µm per pixel.* bin=2 ",
        ),
        (lambda a, b: [replace(a, pixel_size_um=1.6), replace(b, pixel_size_um=1.65)], "leave one out"),
        (lambda a, b: [a, _without(b)], "no cells"),
        (lambda a, b: [_first(a, 4), _first(b, 4)], "are needed"),
    ],
)
def test_what_cannot_be_tracked_is_said(animal: Drawn, change, words: str) -> None:
    with pytest.raises(InputError, match=words):
        track(change(*animal.fields[:2]))


def test_cells_are_taken_too() -> None:
    cells, _ = make_example(count=24, height=80, width=90)
    other = replace(cells, session="/data/other.h5", accepted=~cells.accepted)
    with pytest.raises(InputError):
        track(cells)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="p=2"):
        track([cells, other], p=2)
    found = track([cells, replace(cells, session="/data/again.h5")])
    assert (found.cell[:, 0] == found.cell[:, 1]).all()
    assert sorted(found.cell[:, 0]) == np.flatnonzero(cells.accepted).tolist()


def _first(field: FootprintSet, count: int) -> FootprintSet:
    return replace(field, footprints=field.footprints[:count], rows=field.rows[:count], total=count)


def _without(field: FootprintSet) -> FootprintSet:
    return _first(field, 0)
