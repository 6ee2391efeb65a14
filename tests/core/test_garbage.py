"""The garbage collector while a process loads."""

from __future__ import annotations

import gc

import pytest

from calcium_lightning.core import garbage


def test_the_first_block_collects_nothing_and_later_ones_are_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage._State, "loaded", False)
    before = gc.get_freeze_count()
    with garbage.loading():
        assert not gc.isenabled()
        stays = [[number] for number in range(100)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(stays)
    with garbage.loading():
        assert gc.isenabled()


def test_who_collects_nothing_anyhow_is_left_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage._State, "loaded", False)
    gc.disable()
    try:
        with garbage.loading():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_an_import_that_fails_leaves_the_collector_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage._State, "loaded", False)
    with pytest.raises(ImportError), garbage.loading():
        raise ImportError
    assert gc.isenabled()
