"""Decisions and the file: kept at once, folded whole, undone to the last bit, replayed after a kill."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.curated import PLACES, Made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calcium_lightning.core.decisions import Draw, Label, Merge, Note, Redo, Split, Undo, Verdict
from calcium_lightning.core.errors import InputError
from calcium_lightning.curation.ledger import Ledger, Stale, fold_in_process, open_ledger
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.journal import journal_of

SQUARE = ((40.0, 56.0), (40.0, 64.0), (48.0, 64.0), (48.0, 56.0))


def opened(path: Path):
    return open_ledger(path, "Ada", background=False)


def killed(path: Path, folder: Path) -> Path:
    """What is on the disk now, elsewhere: as if the process had been killed."""
    copy = Path(shutil.copy(path, folder / "killed.h5"))
    shutil.copytree(journal_of(path), journal_of(copy))
    return copy


def test_what_was_decided_is_in_the_file_afterwards(copied):
    before = read_cells(copied.cells)
    with opened(copied.cells) as ledger:
        ledger.decide(Verdict((0,), False))
        ledger.decide(Verdict((5,), True))
        ledger.decide(Note(5, "dim <b>but</b> real"))
        ledger.decide(Label((0, 5), "place cell"))
    assert not journal_of(copied.cells).exists()
    with h5py.File(copied.cells) as file:
        assert file["accepted"][:].tolist() == [False, *before.accepted[1:5], True, *before.accepted[6:]]
        assert file["curation/automatic"][:].tolist() == before.accepted.tolist()
        assert file["curation/verdict"][:].tolist() == [-1, 0, 0, 0, 0, 1, 0, 0]
        assert file["curation/notes"].asstr()[5] == "dim <b>but</b> real"
        assert json.loads(file["curation/labels"].asstr()[0]) == ["place cell"]
        assert file["curation/who"].asstr()[0] == "Ada"
        assert len(file["curation/log"]) == 4
    after = read_cells(copied.cells)
    assert after.curation.notes[5] == "dim <b>but</b> real"
    np.testing.assert_array_equal(after.traces, before.traces)


def test_extracting_anew_never_drops_decisions(copied, run_command):
    """Neither those in the file nor those in the journal beside it; and the advice is right."""
    command = ("extract", f"session={copied.session}", f"output={copied.cells}", "overwrite=true")
    with opened(copied.cells) as ledger:
        ledger.decide(Verdict((0,), False))
        shown = run_command(*command)
        assert (shown.status, shown.stderr.count("\n")) == (2, 1)
        assert "holds decisions by hand" in shown.stderr
    before = copied.cells.read_bytes()
    again = run_command(*command)
    assert (again.status, again.stderr) == (2, shown.stderr)
    assert copied.cells.read_bytes() == before


def test_merged_cells_are_rows_of_the_file(copied):
    before = read_cells(copied.cells)
    first, second = copied.halves
    with opened(copied.cells) as ledger:
        ledger.decide(Merge(copied.halves))
    with h5py.File(copied.cells) as file:
        count = len(before)
        assert file["traces"].shape == (count + 1, before.n_frames)
        assert file["footprints"].attrs["shape"].tolist() == [count + 1, *before.frame_shape]
        assert not file["accepted"][first]
        assert not file["accepted"][second]
        assert file["accepted"][count]
        assert file["curation/replaced_by"][first] == file["curation/replaced_by"][second] == count
    cells = read_cells(copied.cells)
    # Two halves of one cell are that cell again.
    true, found = copied.footprints[1].ravel(), cells.footprints[count].toarray().ravel()
    assert np.corrcoef(true, found)[0, 1] > 0.99
    assert np.corrcoef(copied.traces[1], cells.denoised[count])[0, 1] > 0.99
    assert 0.95 < cells.denoised[count].max() / copied.traces[1].max() < 1.05
    assert (cells.localizations.cell == count).sum() == (before.localizations.cell == first).sum()


def test_a_cell_is_cut_where_the_line_is(copied):
    with opened(copied.cells) as ledger:
        ledger.decide(Split(copied.both, ((30, 20.5), (50, 20.5))))
    cells = read_cells(copied.cells)
    assert len(cells) == 10
    (_, left), (_, right) = sorted(cells.centers[-2:].tolist(), key=lambda place: place[1])
    assert left < 19.5
    assert right > 21.5
    assert not cells.accepted[copied.both]
    assert cells.accepted[-2:].all()


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (Split(0, ((0, 70), (60, 70))), "leaves nothing on one side"),
        (Draw(((200, 200), (200, 209), (209, 209))), "no pixels of the field"),
        (Verdict((99,), True), "there are 8 cells"),
        (Redo(), "nothing to redo"),
    ],
)
def test_what_can_not_be_is_refused_and_changes_nothing(copied, action, complaint):
    with opened(copied.cells) as ledger:
        with pytest.raises(InputError, match=complaint):
            ledger.decide(action)
        assert ledger.revision == 0
    assert not journal_of(copied.cells).exists()
    with h5py.File(copied.cells) as file:
        assert "curation" not in file


def test_several_actions_are_all_taken_or_none(copied):
    with opened(copied.cells) as ledger:
        with pytest.raises(InputError):
            ledger.decide_all([Verdict((0,), False), Verdict((99,), True)])
        assert ledger.revision == 0
        assert ledger.standing.accepted[0]


ACTIONS = st.lists(
    st.sampled_from(
        [
            Verdict((0,), False),
            Merge((1, 2)),
            Merge((0, 4)),
            Split(3),
            Split(3, ((30, 20.5), (50, 20.5))),
            Draw(SQUARE),
            Note(6, "x"),
            Undo(),
            Undo(),
            Redo(),
        ]
    ),
    max_size=12,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_undoing_everything_gives_back_the_file_as_it_was(made, tmp_path, actions):
    path = Path(shutil.copy(made.cells, tmp_path / "cells.h5"))
    before = read_cells(path)
    with opened(path) as ledger:
        for action in actions:
            try:
                ledger.decide(action)
            except InputError:  # it doesn't fit what the others have left
                continue
            if ledger.revision % 3 == 0:
                ledger.fold()
        standing = ledger.standing
    folded = read_cells(path)
    np.testing.assert_array_equal(folded.accepted, standing.accepted)
    with opened(path) as ledger:
        while ledger.undoable() is not None:
            ledger.decide(Undo())
    after = read_cells(path)
    assert len(after) == len(before)
    for name in ("accepted", "centers", "traces", "denoised", "spikes", "baseline"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert (after.footprints != before.footprints).nnz == 0
    np.testing.assert_array_equal(after.localizations.cell, before.localizations.cell)


def test_a_kill_loses_nothing(copied, tmp_path):
    with opened(copied.cells) as ledger:
        ledger.decide(Verdict((0,), False))
        ledger.decide(Merge(copied.halves))
        copy = killed(copied.cells, tmp_path)
        standing = ledger.standing
    with h5py.File(copy) as file:
        assert "curation" not in file
    cells = read_cells(copy)  # whoever reads it now
    np.testing.assert_array_equal(cells.accepted, standing.accepted)
    with opened(copy) as ledger:  # and whoever goes on
        assert ledger.revision == 2
        ledger.decide(Undo())
    assert len(read_cells(copy)) == 8
    assert not journal_of(copy).exists()


@pytest.mark.parametrize("action", [Merge((1, 2)), Split(3, ((40, 17), (40, 24)))])
def test_what_was_undone_comes_back_after_the_page_was_closed(copied, action):
    with opened(copied.cells) as ledger:
        ledger.decide(action)
        made = read_cells(killed(copied.cells, copied.cells.parent))
        ledger.decide(Undo())
    assert len(read_cells(copied.cells)) == 8
    with opened(copied.cells) as ledger:
        ledger.decide(Redo())
    after = read_cells(copied.cells)
    np.testing.assert_array_equal(after.traces, made.traces)
    np.testing.assert_array_equal(after.curation.replaced_by, made.curation.replaced_by)
    assert (after.footprints != made.footprints).nnz == 0
    with opened(copied.cells) as ledger:  # as older versions left it
        ledger.decide(Undo())
    with h5py.File(copied.cells, "r+") as file:
        del file["curation/remade/1"]
    with opened(copied.cells) as ledger, pytest.raises(InputError, match="was not kept; decide it anew"):
        ledger.decide(Redo())


@pytest.mark.parametrize("what", ["gone", "rows", "far", "pixels", "frames"])
def test_rows_made_anew_that_are_not_those_of_the_log_are_refused(copied, tmp_path, what):
    with opened(copied.cells) as ledger:
        ledger.decide(Merge(copied.halves))
        copy = killed(copied.cells, tmp_path)
    place = journal_of(copy) / "remade-1.h5"
    with h5py.File(place, "r+") as file:
        if what == "pixels":
            file["footprints"].attrs["shape"] = (1, 99, 99)
        elif what == "frames":
            for name in ("traces", "denoised", "spikes"):
                values = file[name][:, :-3]
                del file[name]
                file[name] = values
        else:
            file["rows"][:] = 0 if what == "rows" else 99
    if what == "gone":
        place.unlink()
    with pytest.raises(InputError, match="decision 1 made"):
        read_cells(copy)


@pytest.mark.parametrize("what", ["line twice", "line gone", "quality", "centers"])
def test_a_journal_that_can_not_be_right_is_never_written_into_the_file(copied, tmp_path, what):
    with opened(copied.cells) as ledger:
        ledger.decide(Merge(copied.halves))
        ledger.decide(Verdict((0,), False))
        copy = killed(copied.cells, tmp_path)
    before, folder = copy.read_bytes(), journal_of(copy)
    if what == "quality":
        with h5py.File(folder / "remade-1.h5", "r+") as file:
            del file["quality"]
            file["quality"] = np.zeros(3)
    elif what == "centers":
        with h5py.File(folder / "remade-1.h5", "r+") as file:
            file["centers"][0, 1] = np.nan
    else:
        header, first, *rest = (folder / "log.jsonl").read_bytes().splitlines(keepends=True)
        lines = [header, first, first, *rest] if what == "line twice" else [header, *rest]
        (folder / "log.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=r"no journal|damaged|holds NaN"), opened(copy):
        pass
    with pytest.raises(InputError):
        read_cells(copy)
    assert copy.read_bytes() == before


def test_a_line_that_was_cut_off_was_never_told_as_kept(copied, tmp_path):
    with opened(copied.cells) as ledger:
        ledger.decide(Verdict((0,), False))
        ledger.decide(Verdict((4,), False))
        copy = killed(copied.cells, tmp_path)
    log = journal_of(copy) / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-9])
    assert read_cells(copy).accepted[[0, 4]].tolist() == [False, True]
    with opened(copy) as ledger:
        ledger.decide(Verdict((6,), False))
        assert ledger.revision == 2
    assert read_cells(copy).accepted[[0, 4, 6]].tolist() == [False, True, False]


@pytest.mark.parametrize("when", ["write", "rename"])
def test_a_fold_that_is_broken_off_leaves_the_file_as_it_was(copied, monkeypatch, when):
    before = copied.cells.read_bytes()
    target = {
        "write": "calcium_lightning.io.curation_file._write_curation",
        "rename": "calcium_lightning.core.atomic.os.replace",
    }[when]

    with opened(copied.cells) as ledger:
        ledger.decide(Merge(copied.halves))
        with monkeypatch.context() as patch:
            patch.setattr(target, broken)
            with pytest.raises(OSError, match="disk"):
                ledger.fold()
        assert copied.cells.read_bytes() == before
        assert ledger.unfolded
        assert ledger.unwritten.startswith(f"{copied.cells}: the disk is full; ")
        assert not ledger.settle()
        assert not ledger.unfolded
        ledger.decide(Verdict((0,), False))
    assert len(read_cells(copied.cells)) == 9


def broken(*_: object, **__: object) -> None:
    raise OSError(28, "the disk is full")


def test_what_is_out_of_date_is_refused(copied):
    with opened(copied.cells) as ledger:
        ledger.decide(Verdict((0,), False), revision=0)
        with pytest.raises(Stale):
            ledger.decide(Verdict((0,), True), revision=0)
        assert not ledger.standing.accepted[0]


def test_another_process_is_told_where_the_page_is(copied):
    with opened(copied.cells) as ledger:
        ledger.announce("http://127.0.0.1:1/token/")
        with (
            pytest.raises(InputError, match=r"being curated already, at http://127\.0\.0\.1:1/token/"),
            opened(copied.cells),
        ):
            pass


def test_decisions_about_other_cells_are_not_applied(copied, tmp_path):
    with opened(copied.cells) as ledger:
        ledger.decide(Verdict((0,), False))
        copy = killed(copied.cells, tmp_path)
    with h5py.File(copy, "r+") as file:  # extracted anew
        file["centers"][0] = (3, 3)
    assert read_cells(copy).accepted[0]
    with pytest.raises(InputError, match="about other cells"), opened(copy):
        pass


def test_folding_elsewhere_is_the_same(copied):
    with opened(copied.cells) as ledger:
        ledger.decide(Merge(copied.halves))
        assert fold_in_process(copied.cells) == ""
        with h5py.File(copied.cells) as file:
            assert len(file["accepted"]) == 9
        ledger.decide(Undo())
    assert len(read_cells(copied.cells)) == 8


def test_a_file_that_is_gone_is_told_and_no_decision_lost(copied, tmp_path):
    elsewhere = tmp_path / "elsewhere.h5"
    page = ExitStack()
    ledger = page.enter_context(opened(copied.cells))
    ledger.decide(Verdict((0,), False))
    copied.cells.rename(elsewhere)
    with pytest.raises(InputError, match="no such file"):
        ledger.fold_elsewhere()
    assert ledger.unfolded
    with pytest.raises(InputError, match=r"cells\.h5: .* kept in .*cells\.h5\.curation$"):
        page.close()
    elsewhere.rename(copied.cells)
    with opened(copied.cells) as ledger:
        assert ledger.unfolded
    assert not read_cells(copied.cells).accepted[0]
    assert not journal_of(copied.cells).exists()


def test_only_looking_leaves_the_file_alone(copied):
    before = copied.cells.read_bytes()
    with opened(copied.cells) as ledger:
        assert isinstance(ledger, Ledger)
    assert copied.cells.read_bytes() == before
    assert sorted(path.name for path in copied.cells.parent.iterdir()) == ["cells.h5", "session.h5"]


def test_a_protected_file_is_to_look_at_and_rights_stay(copied, monkeypatch):
    """Its folder would let it be replaced. Root may write anything, so the question is answered by the mode."""
    monkeypatch.setattr("os.access", lambda path, how: bool(Path(path).stat().st_mode & 0o200))
    copied.cells.chmod(0o440)
    before = copied.cells.read_bytes()
    with opened(copied.cells) as ledger:
        assert not ledger.is_kept
        with pytest.raises(InputError, match="can't be written"):
            ledger.decide(Verdict((0,), False))
        assert not journal_of(copied.cells).exists()
    assert copied.cells.read_bytes() == before
    copied.cells.chmod(0o660)
    with opened(copied.cells) as ledger:
        ledger.decide(Verdict((0,), False))
    assert copied.cells.read_bytes() != before
    assert copied.cells.stat().st_mode & 0o777 == 0o660


def test_a_cell_is_split_by_what_its_localisations_tell(copied: Made) -> None:
    """At once, without the recording: where the two lie, and which of them is lit when."""
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        ledger.decide(Split(copied.both))
        cells = ledger.cells
        parts = cells.centers[8:]
        order = np.argsort(parts[:, 1])
        assert np.abs(parts[order] - PLACES[[2, 3]]).max() < 1.5
        light = np.asarray(cells.footprints[[8, 9]].todense())
        assert light.max(1) == pytest.approx([1, 1])
        traces = cells.denoised[slice(8, 10)][order]
        for row, true in enumerate((2, 3)):
            own, other = (np.corrcoef(traces[row], copied.traces[who])[0, 1] for who in (true, 5 - true))
            assert own > 0.7
            assert own > other + 0.4


def test_a_cell_without_localisations_is_cut_across_its_longest_extent(copied: Made) -> None:
    with h5py.File(copied.cells, "r+") as file:
        file["localizations/cell"][...] = np.where(file["localizations/cell"][...] == copied.both, 0, -1)
        for axis in "yx":
            file[f"localizations/{axis}"][...] = 1
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        ledger.decide(Split(copied.both))
        parts = ledger.cells.footprints[[8, 9]]
        assert parts[0].multiply(parts[1]).nnz == 0
