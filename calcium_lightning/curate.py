"""``python -m calcium_lightning.curate``: look at cells and decide, in the browser, on this machine only."""

from __future__ import annotations

import getpass
import sys
from contextlib import ExitStack

from omegaconf import DictConfig

from calcium_lightning.command.inputs import one_path
from calcium_lightning.command.start import entry_point
from calcium_lightning.sweeps.plugins import register


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return ""


@entry_point("curate", plugins=register)
def main(cfg: DictConfig) -> None:
    """Look at cells and decide by hand: accept, reject, merge, split, draw, annotate.

    Opens a page in the browser, for this machine only. With session= there is the movie, and cells that are
    merged, split or drawn are regressed on it. Every decision is kept at once, can be undone, and counts for
    whatever reads the cells file afterwards. With tracks= outlines can be coloured by track, and what is the
    same cell on other days can be confirmed, set apart and joined. from= takes decisions over to cells that
    were extracted anew.
    """
    given_cells = one_path("cells", cfg.cells)
    given = None if cfg["from"] is None else one_path("from", cfg["from"])

    from calcium_lightning.curation.curator import Curator
    from calcium_lightning.curation.ledger import open_ledger
    from calcium_lightning.curation.links import Links
    from calcium_lightning.curation.serve import Page
    from calcium_lightning.curation.transfer import read_decisions, transfer
    from calcium_lightning.exports import own_file
    from calcium_lightning.io.session import Session

    path = own_file(given_cells)
    if path != given_cells:
        print(f"{given_cells}: another program's results; decisions are kept in {path}", flush=True)
    with ExitStack() as stack:
        decisions = None if given is None else read_decisions(given)
        ledger = stack.enter_context(open_ledger(path, cfg.who or _user()))
        if not ledger.is_kept:
            words = "can't be written, or not beside it; to look at, nothing can be decided"
            print(f"{path}: {words}", file=sys.stderr)
        session = None
        if cfg.session is not None:
            session = stack.enter_context(Session(one_path("session", cfg.session)))
        links = None if cfg.tracks is None else Links(one_path("tracks", cfg.tracks), path)
        curator = Curator(ledger, session, links=links)
        if decisions is not None:
            found = transfer(decisions, ledger.cells, draw=session is not None)
            if found.actions:
                ledger.decide_all(found.actions)
            print(f"{path}: {found}", flush=True)
        if not cfg.serve:
            curator.finish_regressions()
            return
        page = Page(curator, cfg.port)

        def ready(address: str) -> None:
            ledger.announce(address)
            print(f"{path}: {address}  (Ctrl-C ends it)", flush=True)

        page.run(cfg.open, ready)


if __name__ == "__main__":
    main()
