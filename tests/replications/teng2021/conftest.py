"""One tiny training of the published model that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tiny_published import TINY
from helpers.tiny_session import make_session


@pytest.fixture(scope="session")
def session(tmp_path_factory) -> Path:
    return make_session(tmp_path_factory.mktemp("published") / "a, b=1.h5", frames=50, size=(40, 44), fps=5.0)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, session) -> Path:
    """A finished run."""
    from hydra.core.global_hydra import GlobalHydra

    from calcium_lightning import train
    from calcium_lightning.command import start

    GlobalHydra.instance().clear()
    run = tmp_path_factory.mktemp("trained") / "run"
    given = [*TINY, f'data.sessions=["{session}"]', f"hydra.run.dir={run}"]
    assert start.run("train", train.main.__wrapped__, given) == 0
    return run
