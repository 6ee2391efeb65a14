"""Who may ask the server: nobody but the page that was opened here, and for nothing else."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.curated import Made
from starlette.testclient import TestClient

from calcium_lightning.curation.curator import Curator
from calcium_lightning.curation.guard import Guard, new_token
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.curation.serve import Page
from calcium_lightning.curation.server import application

HOST, TOKEN = "127.0.0.1:8123", "t" * 43
JSON = {"content-type": "application/json"}


@pytest.fixture
def client(copied: Made) -> Iterator[TestClient]:
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        app = Guard(application(Curator(ledger)), TOKEN, {HOST})
        yield TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False)


def decide(
    client: TestClient, revision: int = 0, headers: dict[str, str] | None = None, **action: Any
) -> Any:
    body = json.dumps({"revision": revision, "actions": [action or {"do": "reject", "cells": [0]}]})
    return client.post(f"/{TOKEN}/api/decide", content=body, headers={**JSON, **(headers or {})})


def test_the_page_may(client):
    assert client.get(f"/{TOKEN}/").status_code == 200
    assert client.get(f"/{TOKEN}/api/start").json()["revision"] == 0
    assert (
        decide(client, headers={"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}).status_code
        == 200
    )
    assert client.get(f"/{TOKEN}/api/standing").json()["standing"]["verdict"][0] == -1


@pytest.mark.parametrize(
    "path", ["/", "/api/start", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/api/start", "//", "/%00/"]
)
def test_without_the_token_nothing_is_told(client, path):
    answer = client.get(path)
    assert answer.status_code == 403
    assert "cells" not in answer.text
    assert "of an earlier start; open the one that was printed" in answer.text


def test_another_name_for_this_machine_is_refused(client):
    """DNS rebinding: a page of evil.example whose name leads to 127.0.0.1."""
    for host in ("evil.example:8123", "127.0.0.1", "127.0.0.1:9", ""):
        assert client.get(f"/{TOKEN}/api/start", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_pages_may_neither_ask_nor_decide(client, headers):
    assert client.get(f"/{TOKEN}/api/start", headers=headers).status_code == 403
    assert decide(client, headers=headers).status_code == 403
    assert client.get(f"/{TOKEN}/api/standing").json()["revision"] == 0


def test_the_address_that_a_browser_is_started_with_is_good_once(copied: Made):
    """Other users see the command lines of all processes."""
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        app = Guard(application(Curator(ledger)), TOKEN, {HOST}, "ticket")
        with TestClient(app, base_url=f"http://{HOST}", follow_redirects=False) as browser:
            assert browser.get("/ticket", headers={"host": "evil.example"}).status_code == 421
            first = browser.get("/ticket")
            assert (first.status_code, first.headers["location"]) == (303, f"/{TOKEN}/")
            late = browser.get("/ticket")
            assert (late.status_code, TOKEN in late.text) == (403, False)


def test_a_form_of_another_page_can_not_decide(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = client.post(f"/{TOKEN}/api/decide", content="{}", headers={"content-type": kind})
        assert answer.status_code == 415
    large = client.post(f"/{TOKEN}/api/decide", content=b" " * (2 << 20), headers=JSON)
    assert large.status_code == 413


@pytest.mark.parametrize(
    "name",
    ["../../pyproject.toml", "..%2f..%2fledger.py", "/etc/passwd", "%2e%2e/server.py", "vendor/../../pages/page.py", "nothing.js"],
)  # fmt: skip
def test_no_other_file_is_served(client, name):
    assert client.get(f"/{TOKEN}/static/{name}").status_code in (403, 404)


def test_every_answer_forbids_what_pages_could_load(client):
    for path in (f"/{TOKEN}/", f"/{TOKEN}/static/app.js", f"/{TOKEN}/api/start", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"no", "no JSON"),
        (b"[]", "a JSON object is wanted"),
        (b"{}", "a list is wanted"),
        (b'{"actions": [{"do": "accept", "cells": [0]}]}', "revision"),
        (b'{"revision": 0, "actions": [{"do": "accept", "cells": [99]}]}', "there are 8 cells"),
        (b'{"revision": 0, "actions": [{"do": "accept", "cells": "all"}]}', "a list of numbers"),
        (b'{"revision": 0, "actions": [{"do": "draw", "outline": [[1,1],[1,5],[5,5]]}]}', "session="),
        (b'{"revision": 0, "who": 3, "actions": []}', "who"),
    ],
)
def test_what_is_no_decision_is_refused_in_words(client, body, complaint):
    answer = client.post(f"/{TOKEN}/api/decide", content=body, headers=JSON)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]
    assert client.get(f"/{TOKEN}/api/standing").json()["revision"] == 0


def test_who_is_out_of_date_is_told_how_things_stand(client):
    assert decide(client).status_code == 200
    late = decide(client, do="accept", cells=[0])
    assert late.status_code == 409
    assert late.json()["standing"]["verdict"][0] == -1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("cell/99", 404),
        ("traces?cells=99", 404),
        ("traces?cells=x", 400),
        ("layer/9", 400),
        ("frames/raw?start=0", 400),
        ("activity?start=x", 400),
    ],
)
def test_what_is_not_there_is_told_in_words(client, path, status):
    answer = client.get(f"/{TOKEN}/api/{path}")
    assert answer.status_code == status
    assert answer.json()["error"]


def test_only_this_machine_can_reach_it(copied: Made):
    """Bound to the loopback interface; and as TCP by name, without which each answer waits for an acknowledgement."""
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        pages = [Page(Curator(ledger)) for _ in range(2)]
        for page in pages:
            assert page.socket.getsockname() == ("127.0.0.1", page.port)
            assert page.address.startswith(f"http://127.0.0.1:{page.port}/")
            assert page.socket.proto == socket.IPPROTO_TCP
            page.socket.close()
        assert pages[0].address.split("/")[3] != pages[1].address.split("/")[3]


def test_tokens_are_long_and_differ():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 43
