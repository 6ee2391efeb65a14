import numpy as np
from helpers.example_cells import make_example, take
from helpers.tiny_session import make_session

from calcium_lightning.io.session import Session
from calcium_lightning.training.callbacks.cells import as_table, beginning


def test_a_row_per_cell_with_its_footprint():
    cells = make_example()[0]
    columns, rows = as_table(cells)
    assert columns[:5] == ["cell", "footprint", "accepted", "y", "x"]
    assert len(rows) == len(cells)
    assert all(len(row) == len(columns) for row in rows)
    picture = rows[0][1]
    assert (picture.dtype, picture.max()) == (np.uint8, 255)
    assert [row[3] for row in rows] == [float(y) for y, _ in cells.centers]


def test_no_cells_make_an_empty_table():
    assert as_table(take(make_example()[0], np.zeros(0, int)))[1] == []


def test_the_beginning_of_a_session_is_a_session(tmp_path):
    with Session(make_session(tmp_path / "a.h5", frames=60)) as whole:
        with beginning(whole, 24) as part:
            assert (part.n_frames, part.fps, part.motion_corrected) == (24, whole.fps, True)
            assert np.array_equal(part.frames(), whole.frames(0, 24))
            assert np.array_equal(part.truth.traces, whole.truth.traces[:, :24])
            path = part.path
        assert not path.exists()
        with beginning(whole, 60) as part:
            assert part is whole
