import numpy as np
from helpers.example_cells import make_example, take

from calcium_lightning.training.callbacks.cells import as_table


def test_a_row_per_cell_with_its_footprint():
    cells = make_example()[0]
    columns, rows = as_table(cells)
    assert columns[:6] == ["session", "cell", "footprint", "accepted", "y", "x"]
    assert len(rows) == len(cells)
    assert all(len(row) == len(columns) for row in rows)
    picture = rows[0][2]
    assert (picture.dtype, picture.max()) == (np.uint8, 255)
    assert [row[4] for row in rows] == [float(y) for y, _ in cells.centers]


def test_no_cells_make_an_empty_table():
    assert as_table(take(make_example()[0], np.zeros(0, int)))[1] == []
