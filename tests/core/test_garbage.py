"""The garbage collector while a process loads."""

from __future__ import annotations

import gc
import sys
from types import ModuleType

import pytest

from calcium_lightning.core import garbage


def test_what_loads_much_is_not_gone_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "MANY", 1)
    before = gc.get_freeze_count()
    with garbage.loading():
        assert not gc.isenabled()
        stays = [[number] for number in range(100)]
        for name in ("loaded_here", "and_this_one"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(stays)


def test_what_loads_little_keeps_no_garbage() -> None:
    before = gc.get_freeze_count()
    with garbage.loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_who_collects_nothing_anyhow_is_left_so() -> None:
    gc.disable()
    try:
        with garbage.loading():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), garbage.loading():
        raise ImportError
    assert gc.isenabled()
