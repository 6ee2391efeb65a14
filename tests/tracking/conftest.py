from __future__ import annotations

import pytest
from helpers.drawn_days import Drawn, draw


@pytest.fixture(scope="session")
def animal() -> Drawn:
    """Three days of one animal, about 120 cells each, moved, turned and bent."""
    return draw(days=3, seed=11)
