"""Cells that a day lacks: looked for in its recording at the expected place, and only what is there is found."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.curated import MISSED, PLACES, Made, make_curated
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Localizations
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.tracks import TrackedSession, Tracks
from calcium_lightning.io.cells_file import read_cells, write_cells
from calcium_lightning.io.footprints import read_footprints
from calcium_lightning.tracking.search import search, wanted

#: the other day lies so, (dy, dx), and has a cell here where this day has none
MOVED, GHOST = (3.0, -4.0), (24.0, 27.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make_curated(tmp_path_factory.mktemp("searched"))
    cells = read_cells(made.cells)
    # The detector saw it where it was bright, and no cell claimed that.
    frame = np.flatnonzero(made.traces[MISSED] > 20).astype(np.int32)
    real = np.ones(len(frame), np.float32)
    y, x = (place * real for place in PLACES[MISSED].astype(np.float32))
    seen = Localizations(frame, y, x, 20 * real, 0.3 * real, 0.3 * real, np.full(len(frame), -1, np.int32))
    whole = Localizations.concatenate([cells.localizations, seen])
    order = np.argsort(whole.frame, kind="stable")
    whole = Localizations(*(getattr(whole, part.name)[order] for part in fields(Localizations)))
    write_cells(made.cells, replace(cells, localizations=whole), overwrite=True)
    return made


def two_days(made: Made) -> tuple[Tracks, list[FootprintSet]]:
    """This day, which lacks a cell, and another that has all of them and one more."""
    here = read_footprints(made.cells)[0]
    y, x = np.mgrid[: here.frame_shape[0], : here.frame_shape[1]]
    places = np.concatenate([PLACES, [GHOST]]) + MOVED
    shapes = np.exp(-((y - places[:, :1, None]) ** 2 + (x - places[:, 1:, None]) ** 2) / (2 * 3.8**2))
    footprints = csr_matrix(np.where(shapes > 0.02, shapes, 0).reshape(len(places), -1).astype(np.float32))
    there = FootprintSet(footprints, here.frame_shape, np.arange(10), name="other", path="other.h5", total=10)
    back = FieldTransform(np.array([[1.0, 0.0, -MOVED[0]], [0.0, 1.0, -MOVED[1]]]))
    sessions = tuple(
        TrackedSession(
            name=field.name, path=field.path, sha256="", frame_shape=field.frame_shape, cells=field.total,
            used=len(field), transform=transform, residual_px=0.3, agreement=50.0, chance=5.0,
        )
        for field, transform in ((here, FieldTransform.identity()), (there, back))
    )  # fmt: skip
    cell = np.column_stack([np.full(10, -1), np.arange(10)]).astype(np.int32)
    tracks = Tracks(cell=cell, probability=np.ones((10, 2), np.float32), sessions=sessions, reference=0)
    return tracks, [here, there]


def test_only_free_places_are_looked_at(made: Made) -> None:
    tracks, days = two_days(made)
    lacking = wanted(tracks, days, 0)
    # The halves' middle lies farther than half a diameter from either; the two that are one, too.
    expected = {tuple(np.round(PLACES[MISSED])), GHOST}
    assert expected <= {tuple(np.round(place)) for place in lacking.places}
    assert len(lacking.places) <= 5
    shapes = lacking.footprints.toarray().reshape(-1, *days[0].frame_shape)
    for place, shape in zip(lacking.places, shapes, strict=True):
        assert np.hypot(*(np.unravel_index(shape.argmax(), shape.shape) - place)) < 1
        assert shape.max() == 1


def test_a_missed_cell_is_found_and_marked_and_nothing_else(made: Made, tmp_path: Path) -> None:
    tracks, days = two_days(made)
    alone = replace(tracks, cell=tracks.cell[[MISSED, 9]], probability=tracks.probability[[MISSED, 9]])
    before = read_cells(made.cells)
    content = made.cells.read_bytes()
    paths = search(alone, days, tmp_path / "out")
    assert paths == [tmp_path / "out" / "cells.h5", Path("other.h5")]
    assert made.cells.read_bytes() == content
    after = read_cells(paths[0])
    assert len(after) == len(before) + 1
    assert after.accepted[-1]
    assert np.hypot(*(after.centers[-1] - PLACES[MISSED])) < 0.5
    assert np.corrcoef(made.traces[MISSED], after.denoised[-1])[0, 1] > 0.98
    assert after.curation.labels[-1] == ("looked for",)
    assert after.curation.who[-1] == "track"
    with h5py.File(paths[0]) as file:
        assert len(file["curation/log"]) == 2
    with pytest.raises(InputError, match="overwrite"):
        search(alone, days, tmp_path / "out")


def test_recordings_must_be_there(made: Made, tmp_path: Path) -> None:
    tracks, days = two_days(made)
    with pytest.raises(InputError, match="give one recording for each"):
        search(tracks, days, tmp_path, sessions=["a.h5"])
    with pytest.raises(InputError, match=r"recording nowhere\.h5 isn't there"):
        search(tracks, days, tmp_path, sessions=["nowhere.h5", "b.h5"])
    nameless = (replace(tracks.sessions[0], path=""), tracks.sessions[1])
    with pytest.raises(InputError, match="only cells from a cells file"):
        search(replace(tracks, sessions=nameless), days, tmp_path)
