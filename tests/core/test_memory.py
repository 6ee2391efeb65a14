"""Giving freed memory back between stages: it changes nothing, on any system."""

from __future__ import annotations

import ctypes

import numpy as np

from calcium_lightning.core import memory


def test_what_is_held_stays():
    held = [np.full(1 << 12, number) for number in range(64)]
    del held[::2]
    memory.give_back_freed()
    assert [int(array[0]) for array in held] == list(range(1, 64, 2))


def test_another_c_library_is_left_alone(monkeypatch):
    memory._trim.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert memory._trim() is None
    memory.give_back_freed()
    memory._trim.cache_clear()
