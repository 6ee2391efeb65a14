"""A cell that was made by hand and can't be regressed says so, and why."""

from __future__ import annotations

from pathlib import Path

from helpers.curated import PLACES, Made
from starlette.testclient import TestClient

from calcium_lightning.core.decisions import Draw, Merge
from calcium_lightning.core.remade import Remade
from calcium_lightning.curation.curator import Curator
from calcium_lightning.curation.ledger import Ledger, open_ledger
from calcium_lightning.curation.regressor import Regressor
from calcium_lightning.curation.server import application


class Refusing:
    """A worker to which no frame shows anything."""

    def regress(self, number: int, target: Path) -> Remade | str:
        return "no frame shows a cell there"


def told(ledger: Ledger, regressor: Regressor | None, cell: int) -> dict[str, str]:
    curator = Curator(ledger)
    curator.regressor = regressor
    answer: dict[str, str] = TestClient(application(curator)).get(f"/api/cell/{cell}").json()
    return answer


def test_why_a_cell_is_not_regressed_is_said(copied: Made) -> None:
    with open_ledger(copied.cells, "Ada", background=False) as ledger:
        ledger.decide(Merge(copied.halves))
        y, x = PLACES[4]
        ledger.decide(Draw(((y - 4, x), (y, x + 4), (y + 4, x), (y, x - 4))))
        assert told(ledger, None, 0)["regression"] == ""
        assert "start the page with session=" in told(ledger, None, 8)["regression"]
        regressor = Regressor(ledger, Refusing(), lambda: None)
        assert "not regressed yet" in told(ledger, regressor, 9)["regression"].lower()
        assert regressor.waiting() == [1, 2]
        regressor.work(2)
        assert regressor.waiting() == [1]
        assert regressor.failures == {2: "no frame shows a cell there"}
        assert told(ledger, regressor, 9)["regression"].endswith(
            "no measurement: no frame shows a cell there."
        )
        assert TestClient(application(Curator(ledger))).get("/api/standing").json()["failures"] == []
