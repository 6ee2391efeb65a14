"""The benchmark's modules, found as its scripts find them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "benchmark"


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import one of its modules by name; they are forgotten when the test ends."""
    for folder in (FOLDER / "peers", FOLDER):
        monkeypatch.syspath_prepend(str(folder))
    known = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - known:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent in (FOLDER, FOLDER / "peers"):
            sys.modules.pop(name)
