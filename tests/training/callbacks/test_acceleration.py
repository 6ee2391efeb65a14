"""What a graphics card is told, and that nothing is told elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from calcium_lightning.training.callbacks.acceleration import Acceleration


@pytest.fixture(autouse=True)
def as_before():
    precision, backend = torch.get_float32_matmul_precision(), torch.backends.cudnn
    kept = backend.allow_tf32, backend.benchmark
    yield
    torch.set_float32_matmul_precision(precision)
    backend.allow_tf32, backend.benchmark = kept


def trainer_on(kind: str) -> Any:
    return SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(kind)))


def model() -> Any:
    whole = nn.Module()
    whole.network = nn.Module()
    whole.network.encoder = nn.Conv2d(1, 1, 1)
    return whole


def test_a_card_computes_in_tf32_and_the_part_is_compiled_under_its_names(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    whole = model()
    names = list(whole.state_dict())
    Acceleration(compile="network.encoder").setup(trainer_on("cuda"), whole, "fit")
    assert torch.get_float32_matmul_precision() == "high"
    assert compiled == [whole.network.encoder]
    assert list(whole.state_dict()) == names


def test_a_cpu_is_told_nothing(monkeypatch):
    before = torch.get_float32_matmul_precision()
    monkeypatch.setattr(nn.Module, "compile", lambda self: pytest.fail("compiled"))
    Acceleration(compile="network.encoder").setup(trainer_on("cpu"), model(), "fit")
    assert torch.get_float32_matmul_precision() == before
