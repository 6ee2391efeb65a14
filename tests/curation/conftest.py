"""A small session whose cells are known, and a cells file of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.curated import Made, make_curated


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A recording, and cells as found in it: one missing, one in two, two in one."""
    return make_curated(tmp_path_factory.mktemp("curated"))


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Made:
    """The same, to be changed."""
    return made.copied(tmp_path)
