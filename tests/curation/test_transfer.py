"""Decisions taken over to cells that were extracted anew: matched by place, whatever their order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.curated import Made
from helpers.example_cells import take

from calcium_lightning.core.decisions import Draw, Entry, Label, Merge, Note, Split, Undo, Verdict
from calcium_lightning.core.standing import ORIGINS, Standing
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.curation.transfer import decisions_of, read_decisions, transfer
from calcium_lightning.io.cells_file import read_cells, write_cells

ORDER = np.array([5, 3, 0, 7, 2, 6, 1, 4])
SQUARE = ((40.0, 56.0), (40.0, 64.0), (48.0, 64.0), (48.0, 56.0))


def anew(copied: Made, rows: np.ndarray = ORDER) -> Path:
    """The same cells as another extraction would have found them: in another order, a little beside."""
    cells = take(read_cells(copied.cells), rows)
    moved = cells.centers + np.random.default_rng(0).normal(0, 0.4, cells.centers.shape)
    path = copied.cells.with_name("anew.h5")
    write_cells(path, replace(cells, centers=moved.astype(np.float32)), overwrite=True)
    return path


def decide(copied: Made, *actions) -> None:
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        ledger.decide_all(actions)


def row(old: int, rows: np.ndarray = ORDER) -> int:
    return int(np.flatnonzero(rows == old)[0])


def test_decisions_find_their_cells(copied, run_command):
    path = anew(copied)
    decide(
        copied,
        Verdict((0,), False), Verdict((5,), True), Note(6, "odd"), Label((6, 5), "edge"), Merge((1, 2)),
        Split(3, ((30, 20.5), (50, 20.5))), Verdict((4,), False), Undo(),
    )  # fmt: skip
    result = run_command("curate", f"cells={path}", f"from={copied.cells}", "serve=false", "who=Grace")
    assert result.status == 0, result.stderr
    assert "6 decisions applied, 0 found no cell" in result.stdout
    cells = read_cells(path)
    assert cells.curation.verdict[row(0)] == -1
    assert cells.curation.verdict[row(5)] == 1
    assert cells.curation.verdict[row(4)] == 0
    assert cells.curation.notes[row(6)] == "odd"
    assert cells.curation.labels[row(6)] == cells.curation.labels[row(5)] == ("edge",)
    assert cells.curation.replaced_by[[row(1), row(2)]].tolist() == [8, 8]
    assert cells.curation.replaced_by[row(3)] == 9
    assert cells.accepted[8:].tolist() == [True] * 3
    assert set(cells.curation.who) == {"", "Grace"}


def test_a_merger_whose_cells_are_one_now_accepts_it(copied):
    decide(copied, Merge((1, 2)))
    found = take(read_cells(copied.cells), np.array([8, 0, 3]))
    result = transfer(read_decisions(copied.cells), replace(found, curation=None))
    # Its parts lie within half a cell of it.
    assert result.actions == [Verdict((0,), True)]


def beside(cell: int, copied: Made) -> Draw:
    """An outline whose centre lies a third of a diameter from a found cell's."""
    y, x = read_cells(copied.cells).centers[cell]
    return Draw(tuple((float(y) + dy + 3, float(x) + dx) for dy, dx in ((-3, -3), (-3, 3), (3, 3), (3, -3))))


def test_what_was_drawn_beside_a_cell_never_becomes_that_cell(copied):
    """Whether that was rejected by hand, left to the tests, split, merged, or rejected by hand since."""
    decide(
        copied,
        Verdict((0,), False), beside(0, copied), Label((8,), "better"), beside(5, copied), beside(3, copied),
        Note(10, "mine"), Split(3, ((30, 20.5), (50, 20.5))), beside(1, copied), Merge((1, 2)),
    )  # fmt: skip
    path = anew(copied)
    with open_ledger(path, "Grace", background=False) as ledger:
        found = transfer(read_decisions(copied.cells), ledger.cells)
        ledger.decide_all(found.actions)
        standing = ledger.standing
    assert (found.matched, found.lost) == (8, [])
    assert [ORIGINS[origin] for origin in standing.origin[8:]] == [
        "drawn", "drawn", "drawn", "drawn", "merged", "split", "split"
    ]  # fmt: skip
    assert standing.verdict[row(0)] == -1
    assert np.flatnonzero(standing.verdict).tolist() == [row(0)]
    assert [(at, note) for at, note in enumerate(standing.notes) if note] == [(10, "mine")]
    assert [(at, labels) for at, labels in enumerate(standing.labels) if labels] == [(8, ("better",))]
    assert set(np.flatnonzero(~standing.present)) == {row(1), row(2), row(3)}


def test_what_was_drawn_is_what_was_found_there_since(copied):
    """But not if that was rejected by hand meanwhile; and then it is told, where it can't be drawn again."""
    decide(copied, beside(7, copied))
    cells = replace(take(read_cells(copied.cells), np.array([*range(7), 8])), curation=None)
    decisions = read_decisions(copied.cells)
    assert transfer(decisions, cells).actions == [Verdict((7,), True)]
    standing = Standing.of(cells.accepted, [Entry(1, "Grace", "", "", Verdict((7,), False))])
    told = transfer(decisions, replace(cells, curation=standing), draw=False)
    assert (told.actions, len(told.lost)) == ([], 1)


def test_decisions_taken_over_twice_make_nothing_anew(copied):
    """Wherever regression has put the parts of what was split, and the cell that was merged, since."""
    decide(
        copied, Merge((1, 2)), Split(3, ((30, 20.5), (50, 20.5))), Verdict((10,), False), Draw(SQUARE),
    )  # fmt: skip
    decisions = read_decisions(copied.cells)
    with open_ledger(anew(copied), "Grace", background=False) as ledger:
        ledger.decide_all(transfer(decisions, ledger.cells).actions)
        drawn = int(np.flatnonzero(ledger.standing.origin == ORIGINS.index("drawn"))[0])
        ledger.decide(Verdict((drawn,), False))
        cells = ledger.cells
    first, second = np.flatnonzero(cells.curation.origin == ORIGINS.index("split"))
    merged = int(np.flatnonzero(cells.curation.origin == ORIGINS.index("merged"))[0])
    centers = cells.centers.copy()
    off = centers[second] - centers[first]
    centers[first], centers[second] = centers[row(3)], centers[second] + off
    centers[merged] = centers[row(1)]
    found = transfer(decisions, replace(cells, centers=centers))
    assert not [action for action in found.actions if not isinstance(action, Verdict)]
    assert {action.cells[0]: action.accepted for action in found.actions} == {
        merged: True, int(first): True, int(second): False, drawn: True,
    }  # fmt: skip
    assert not found.lost


@pytest.mark.parametrize(
    ("session", "digest", "doubtful"),
    [("day1.h5", "1", False), ("day1.h5", "2", False), ("renamed.h5", "1", False), ("day2.h5", "2", True)],
)
def test_decisions_about_another_recording_are_told(copied, session, digest, doubtful) -> None:
    decide(copied, Verdict((0,), False))
    decisions = {**read_decisions(copied.cells), "session": "day1.h5", "session_sha256": "1"}
    cells = replace(read_cells(copied.cells), curation=None, session=session, session_sha256=digest)
    found = transfer(decisions, cells)
    assert found.matched == 1
    assert ("day1.h5" in str(found)) == doubtful


def test_a_cell_that_is_gone_pushes_no_neighbour_on(copied):
    """As many pairs as possible would be two, with both decisions about the wrong cells."""
    before = read_cells(copied.cells)
    centers, moved = before.centers.copy(), before.centers.copy()
    centers[[0, 6]] = (22, 20), (22, 24)
    moved[[0, 6]] = (22, 24.1), (22, 28)
    write_cells(copied.cells, replace(before, centers=centers), overwrite=True)
    decide(copied, Verdict((0,), True), Verdict((6,), False))
    told = transfer(read_decisions(copied.cells), replace(before, centers=moved))
    assert told.actions == [Verdict((0,), False)]
    assert len(told.lost) == 1


def test_what_finds_no_cell_is_told(copied, run_command):
    decide(copied, Verdict((0,), True), Verdict((4,), False), Draw(SQUARE))
    path = anew(copied, np.array([1, 2, 3, 5, 6, 7]))
    result = run_command("curate", f"cells={path}", f"from={copied.cells}", "serve=false")
    assert result.status == 0, result.stderr
    assert "0 decisions applied, 2 found no cell" in result.stdout
    assert "was decided on, and none is there now" in result.stdout
    assert "session= is needed to draw it again" in result.stdout


def test_a_drawn_cell_is_drawn_again_and_regressed(copied, run_command):
    decide(copied, Draw(SQUARE))
    saved = copied.cells.with_name("my decisions, 1.json")
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        saved.write_text(json.dumps(decisions_of(ledger.cells, ledger.log)))
    path = anew(copied)
    result = run_command(
        "curate", f"cells={path}", f'from="{saved}"', f"session={copied.session}", "serve=false"
    )
    assert result.status == 0, result.stderr
    cells = read_cells(path)
    assert cells.accepted[8]
    assert np.corrcoef(cells.denoised[8], copied.traces[4])[0, 1] > 0.98


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        ("text", "not JSON"),
        ("[]", "no decisions"),
        ('{"format": "calcium-lightning-decisions", "version": 9, "cells": []}', "version 9"),
        (
            '{"format": "calcium-lightning-decisions", "version": 1, "frame_shape": [9, 9], "cells": []}',
            "about a field of (9, 9)",
        ),
        (
            '{"format": "calcium-lightning-decisions", "version": 1, "frame_shape": [64, 80], "cells": [{}]}',
            "damaged",
        ),
    ],
)
def test_bad_decisions_are_one_clear_line(copied, run_command, content, complaint):
    path = copied.cells.with_name("decisions.json")
    if content is not None:
        path.write_text(content)
    before = copied.cells.read_bytes()
    result = run_command("curate", f"cells={copied.cells}", f"from={path}", "serve=false")
    assert result.status == 2
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert copied.cells.read_bytes() == before


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        (["cells=gone.h5"], "no such file"),
        (["cells=[a.h5,b.h5]"], "one path is wanted"),
        (["cells=cells.h5", "session=cells.h5"], "calcium-lightning-cells"),
        (["cells=cells.h5", "port=99999"], "port=99999"),
    ],
)
def test_bad_input_is_one_clear_line(copied, run_command, keys, complaint):
    result = run_command("curate", "open=false", *keys, cwd=copied.cells.parent)
    assert result.status == 2
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
