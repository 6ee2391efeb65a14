"""A session is the recording of cells if it shows what they do, whatever its file is; another is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.curated import make_curated

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.array_session import ArraySession
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.same_recording import agreement, check_recording
from calcium_lightning.io.session import Session


def test_a_recording_is_known_by_what_its_cells_do(tmp_path):
    """Ingested anew it is another file, which the cells don't name; another day looks like it, and isn't."""
    for name in ("day", "other"):
        (tmp_path / name).mkdir()
    made, other = make_curated(tmp_path / "day"), make_curated(tmp_path / "other", seed=4)
    cells = read_cells(made.cells)
    with Session(made.session) as session, Session(other.session) as another:
        assert session.sha256() != cells.session_sha256
        check_recording(session, cells)
        with pytest.raises(InputError, match=r"isn't the recording of these cells.*they are of .*day"):
            check_recording(another, cells)
        # Where nothing else can be told: by the file, and by its shape.
        for changes in (
            {"session_sha256": another.sha256()},
            {"session_sha256": ""},
            {"accepted": np.zeros(len(cells), bool)},
        ):
            check_recording(another, replace(cells, **changes))
        with pytest.raises(InputError, match="the cells are of"):
            check_recording(session, replace(cells, frame_shape=(80, 64)))
        frames = session.frames()
    wander = np.random.default_rng(0).integers(-12, 13, (len(frames), 2))
    moved = np.stack([np.roll(frame, step, (0, 1)) for frame, step in zip(frames, wander, strict=True)])
    shifted = ArraySession(moved, fps=20)
    assert agreement(shifted, replace(cells, shifts=wander.astype(np.float32))) > 0.8
    assert agreement(shifted, cells) < 0.3
