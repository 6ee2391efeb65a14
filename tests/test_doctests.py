"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import calcium_lightning

ROOT = Path(calcium_lightning.__file__).parent
MODULES = sorted(
    ".".join(("calcium_lightning", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if any(">>> " in line and "+SKIP" not in line for line in path.read_text().splitlines())
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_rooms_where_an_example_helps_have_one() -> None:
    wanted = {"core.scale", "metrics.table", "metrics.cells", "io.geometry", "nn.splat", "nn.windows"}
    assert {f"calcium_lightning.{name}" for name in wanted} <= set(MODULES)
