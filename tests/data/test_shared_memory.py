"""Batches that memory, or what processes share of it, has no room for."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from calcium_lightning.core import system
from calcium_lightning.core.errors import InputError
from calcium_lightning.data import shared_memory
from calcium_lightning.data.shared_memory import AHEAD, check_batch, workers_that_fit


def test_workers_go_where_shared_memory_has_no_room_for_what_they_hold(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(shared_memory, "PLACE", tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_bavail=64, f_frsize=1 << 20))
    assert workers_that_fit(2, "cpu", (64 << 20) // (2 * AHEAD)) == 2
    assert capsys.readouterr().err == ""
    assert workers_that_fit(2, "cpu", (64 << 20) // AHEAD) == 0
    told = capsys.readouterr().err
    assert "67.1 MB are free" in told
    assert "--shm-size" in told
    assert workers_that_fit(None, "cpu", 1) == 0
    assert workers_that_fit(0, "cpu", 1 << 40) == 0


def test_a_batch_of_which_memory_holds_no_two_is_refused(monkeypatch):
    monkeypatch.setattr(system, "memory", lambda: 1000 * 4096)
    check_batch("data.batch_size=8", 2_048_000)
    with pytest.raises(InputError, match=r"data\.batch_size=9: a batch has 0\.00205 GB"):
        check_batch("data.batch_size=9", 2_048_001)
