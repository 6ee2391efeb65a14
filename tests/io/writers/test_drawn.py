"""What was drawn by hand and never regressed has no trace: exports say so, and write no silent cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.example_cells import make_example

from calcium_lightning.core.decisions import Draw, Verdict
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.exports import export
from calcium_lightning.io.cells_file import read_cells, write_cells

OUTLINE = ((5.0, 5.0), (5.0, 12.0), (12.0, 12.0), (12.0, 5.0))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> tuple[Path, int]:
    cells, _ = make_example()
    path = tmp_path_factory.mktemp("drawn") / "cells.h5"
    write_cells(path, cells)
    with open_ledger(path, "Ada", background=False) as ledger:
        ledger.decide_all([Draw(OUTLINE), Verdict((0,), True)])
    return path, len(cells)


def test_tables_hold_no_trace_of_it(drawn, tmp_path) -> None:
    path, row = drawn
    (told,) = export(path, tmp_path / "tables", "csv")
    assert f"cell {row}: drawn by hand and not regressed" in told
    for name in ("traces", "denoised", "spikes"):
        table = pd.read_csv(tmp_path / "tables" / f"{name}.csv")
        assert table[f"cell_{row}"].isna().all()
        assert table["cell_0"].notna().all()
    cells = pd.read_csv(tmp_path / "tables" / "cells.csv").set_index("cell")
    assert np.isnan(cells["events_per_min"][row])
    assert cells["regressed"].to_dict() == {cell: cell != row for cell in cells.index}


def test_a_cells_file_of_it_is_whole(drawn, tmp_path) -> None:
    export(drawn[0], tmp_path / "again.h5")
    assert np.isfinite(read_cells(tmp_path / "again.h5").traces).all()


def test_the_command_says_it(drawn, tmp_path, run_command) -> None:
    result = run_command("export", f"cells={drawn[0]}", f"output={tmp_path}/one.nwb")
    assert result.status == 0
    assert "drawn by hand and not regressed" in result.stderr
