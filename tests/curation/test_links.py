"""Who is who on other days, decided by a person: kept in the tracks file at once, and refused where it can't be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.browser import barriers, browser, serving, why_not
from helpers.curated import Made
from starlette.testclient import TestClient

from calcium_lightning.core.decisions import Note, Redo, Undo, Verdict
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.field_transform import FieldTransform
from calcium_lightning.core.links import Link
from calcium_lightning.core.tracks import TrackedSession, Tracks
from calcium_lightning.curation.curator import Curator
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.curation.links import Links
from calcium_lightning.curation.server import application
from calcium_lightning.io.tracks_file import (
    check_unlinked,
    read_linked,
    read_tracks,
    write_linked,
    write_tracks,
)

#: tracks: (this day's cell, the other's)
CELLS = [(0, 3), (1, 0), (2, -1), (3, 1), (4, -1), (5, -1), (6, -1), (7, -1), (-1, 2)]


def with_tracks(copied: Made, other: str = "gone.h5") -> Path:
    cell = np.array(CELLS, np.int32)
    probability = np.where(cell >= 0, 1, np.nan).astype(np.float32)
    probability[0], probability[1] = 0.97, 0.6
    sessions = tuple(
        TrackedSession(
            name=name, path=path, sha256=name, frame_shape=(64, 80), cells=8, used=8,
            transform=FieldTransform.identity(), residual_px=0.3, agreement=50.0, chance=5.0,
        )
        for name, path in (("today", str(copied.cells)), ("tomorrow", other))
    )  # fmt: skip
    path = copied.cells.parent / "tracks.h5"
    write_tracks(path, Tracks(cell=cell, probability=probability, sessions=sessions, reference=0))
    return path


def pairs(path: Path) -> list[tuple[int, ...]]:
    return sorted(map(tuple, read_tracks(path).cell.tolist()))


def test_links_are_confirmed_cut_and_joined(copied: Made) -> None:
    path = with_tracks(copied)
    path.chmod(0o660)
    links = Links(path, copied.cells)
    links.decide("confirm", 1)
    assert path.stat().st_mode & 0o777 == 0o660
    tracks = read_tracks(path)
    row = int(np.flatnonzero(tracks.cell[:, 0] == 1)[0])
    assert tracks.probability[row, 0] == 1
    assert tracks.decided[row].tolist() == [True, False]
    links.decide("apart", 0)
    assert {(0, -1), (-1, 3)} <= set(pairs(path))
    assert read_tracks(path).probability[read_tracks(path).cell == 3].min() == 1
    to = int(np.flatnonzero(read_tracks(path).cell[:, 1] == 2)[0])
    links.decide("join", 2, to)
    assert (2, 2) in pairs(path)
    assert (2, -1) not in pairs(path)
    assert len(pairs(path)) == len(CELLS) + 1 - 1
    counts = [np.sort(read_tracks(path).cell[:, day]) for day in (0, 1)]
    assert [row[row >= 0].tolist() for row in counts] == [
        list(range(8)),
        [0, 1, 2, 3],
    ]  # nobody is lost or twice


def test_what_can_not_be_is_refused_and_nothing_is_written(
    copied: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_tracks(copied)
    links, before = Links(path, copied.cells), path.read_bytes()
    for arguments, words in (
        (("join", 4, 0), "has cell 0 of this session"),
        (("join", 4, 99), "there are 9"),
        (("join", 4, None), "no decision about tracks"),
        (("marry", 4, None), "no decision about tracks"),
        (("confirm", 40, None), "was not looked at"),
        (("confirm", 1, None, 5), "changed meanwhile"),
    ):
        with pytest.raises(InputError, match=words):
            links.decide(*arguments)
    with monkeypatch.context() as patch:
        patch.setattr("os.access", lambda *_: False)
        with pytest.raises(InputError, match="can't be written"):
            links.decide("confirm", 1)
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="track again"):
        Links(path, copied.session)


def test_decisions_are_undone_and_done_again_without_end(copied: Made) -> None:
    """Whatever was decided, and however often it is turned: the tracks are those of the log, and found again."""
    path = with_tracks(copied)
    start = read_linked(path)
    rng = np.random.default_rng(2)
    linked, course = start, [start.tracks]
    while len(course) < 12:
        count = len(linked.tracks)
        do, track = str(rng.choice(["confirm", "apart", "join"])), int(rng.integers(count))
        session = int(rng.integers(2))
        action = Link(do, session, int(rng.integers((8, 4)[session])), track if do == "join" else None)
        try:
            linked = linked.decide(action, "Ada")
        except InputError:  # that track has a cell of this session
            continue
        course.append(linked.tracks)
    write_linked(path, linked, overwrite=True)
    linked = read_linked(path)
    same(linked.tracks, course[-1])
    for expected in course[-2::-1]:
        linked = linked.decide(Undo())
        same(linked.tracks, expected)
    same(linked.tracks, start.found)
    with pytest.raises(InputError, match="nothing to undo"):
        linked.decide(Undo())
    for expected in course[1:]:
        linked = linked.decide(Redo())
        same(linked.tracks, expected)
    with pytest.raises(InputError, match="nothing to redo"):
        linked.decide(Redo())
    with pytest.raises(InputError, match="decided by hand, which overwrite=true would lose"):
        check_unlinked(path)
    with h5py.File(path, "r+") as file:
        file["curation/log"][0] = '{"number": 1, "do": "marry", "session": 0, "cell": 0}'
    with pytest.raises(InputError, match="curation is damaged"):
        read_tracks(path)


def same(one: Tracks, other: Tracks) -> None:
    np.testing.assert_array_equal(one.cell, other.cell)
    np.testing.assert_array_equal(one.probability, other.probability)
    assert one.expected_false == pytest.approx(other.expected_false)
    decided = [
        np.zeros(item.cell.shape, bool) if item.decided is None else item.decided for item in (one, other)
    ]
    np.testing.assert_array_equal(*decided)


def test_near_tracks_are_offered(copied: Made) -> None:
    """The other day has the same file under another name: its cell 2 lies where this day's is."""
    other = copied.cells.parent / "other.h5"
    other.write_bytes(copied.cells.read_bytes())
    links = Links(with_tracks(copied, str(other)), copied.cells)
    offered = links.of(2)["others"]
    assert offered[0]["track"] == 8
    assert offered[0]["distance"] == 0
    assert links.of(0)["members"][1] == {"session": 1, "cell": 3, "probability": 0.97, "byHand": False}


def test_files_of_other_days_are_found_beside_the_tracks(copied: Made, monkeypatch) -> None:
    """The tracks file says their places as they were typed, from a folder that nobody may stand in now."""
    other = copied.cells.parent / "other.h5"
    other.write_bytes(copied.cells.read_bytes())
    with h5py.File(other, "r+") as file:
        file.attrs["day"] = 2
    path = with_tracks(copied, "some/folder/other.h5")
    linked = read_linked(path)
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    today, tomorrow = linked.found.sessions
    sessions = (today, replace(tomorrow, sha256=digest))
    write_tracks(path, replace(linked.found, sessions=sessions), overwrite=True)
    assert Links(path, copied.cells).of(2)["others"][0]["track"] == 8
    other.write_bytes(b"another file of that name")
    assert Links(path, copied.cells).of(2)["others"] == []


def test_the_server_takes_decisions_about_tracks(copied: Made) -> None:
    path = with_tracks(copied)
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        client = TestClient(application(Curator(ledger, links=Links(path, copied.cells))))
        assert client.get("/api/start").json()["tracks"]["days"] == [2, 2, 1, 2, 1, 1, 1, 1]
        answer = client.post("/api/link", content=json.dumps({"do": "apart", "cell": 1, "known": 1}))
        assert answer.json()["tracks"]["days"][1] == 1
        # One history of cells and links: the last comes first, and what came since bars redo.
        ledger.decide(Verdict((0,), False))
        assert client.get("/api/standing").json()["undo"]["of"] == "cells"
        ledger.decide(Undo())
        state = client.get("/api/standing").json()
        assert (state["undo"]["of"], state["undo"]["do"], state["redo"]["of"]) == ("tracks", "apart", "cells")
        state = client.post("/api/link", content='{"do": "undo", "known": 1, "who": "Grace"}').json()
        assert (state["tracks"]["days"][1], state["undo"], state["redo"]["of"]) == (2, None, "tracks")
        assert client.post("/api/link", content='{"do": "redo", "known": 1}').status_code == 400
        state = client.post("/api/link", content='{"do": "redo", "known": 2}').json()
        assert (state["tracks"]["days"][1], state["redo"]["of"]) == (1, "cells")
        assert [entry.who for entry in read_linked(path).log] == ["Ada", "Grace", "Grace"]
        client.post("/api/link", content='{"do": "undo", "known": 3}')
        ledger.decide(Note(3, "since then"))
        assert client.get("/api/standing").json()["redo"] is None
        for body in (
            "[]",
            "{",
            '{"do": "apart"}',
            '{"do": 1, "cell": 0}',
            '{"do": "join", "cell": 0, "track": "x"}',
        ):
            assert client.post("/api/link", content=body).status_code == 400
        plain = TestClient(application(Curator(ledger)))
        assert plain.get("/api/start").json()["tracks"] is None
        assert "tracks=" in plain.get("/api/tracks/0").json()["error"]


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is one")
def test_by_keys_and_mouse_in_the_page(copied: Made) -> None:
    path = with_tracks(copied)
    with browser() as chromium, serving(copied.cells.parent, "cells=cells.h5", "tracks=tracks.h5") as served:
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(served.address)
        page.wait_for_selector("html[data-ready=true]")
        page.select_option("#colour", "track")
        page.locator("#item-1").click()
        page.wait_for_selector("#across[data-cell='1']")
        assert page.locator("#members").inner_text().splitlines() == [
            "this day: cell 1, 60%",
            "tomorrow: cell 0, 60%",
        ]
        page.keyboard.press("i")
        page.wait_for_selector("html[data-links='1']")
        page.locator("#item-0").click()
        page.wait_for_selector("#across[data-cell='0']")
        page.keyboard.press("u")
        page.wait_for_selector("html[data-links='2']")
        page.wait_for_function(
            "() => document.getElementById('track-words').textContent.includes('this day only')"
        )
        page.keyboard.press("z")
        page.wait_for_selector("html[data-links='3']")
        page.wait_for_function(
            "() => document.getElementById('track-words').textContent.includes('on 2 of 2')"
        )
        page.locator("#redo").click()
        page.wait_for_selector("html[data-links='4']")
        page.locator("#item-2").click()
        page.wait_for_selector("#across[data-cell='2']")
        page.keyboard.press("r")
        page.wait_for_selector("html[data-revision='1']")
        page.keyboard.press("z")  # the verdict, not the link
        page.wait_for_selector("html[data-revision='2']")
        page.locator("#item-1").click()
        page.wait_for_selector("#across[data-cell='1']")
        page.locator("#set-apart").click()
        page.wait_for_selector("html[data-links='5']")
        page.locator("#undo").click()
        page.wait_for_selector("html[data-links='6']")
        other = chromium.new_page()
        other.goto(served.address)
        other.wait_for_selector("html[data-links='6']")
        page.locator("#redo").click()
        other.wait_for_selector("html[data-links='7']")  # it is told at once
        other.keyboard.press("z")
        page.wait_for_selector("html[data-links='8']")
        page.locator("#theme").click()
        assert barriers(page) == []
        page.locator("#condition").fill("days > 1")
        page.locator("#condition").press("Enter")
        page.wait_for_function("() => document.querySelectorAll('#list .item').length === 2")
        assert faults == []
    assert {(0, -1), (-1, 3), (1, 0)} <= set(pairs(path))
    assert read_tracks(path).decided.sum() == 2
