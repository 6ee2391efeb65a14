"""Sessions that the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.tiny_session import make_session
from hypothesis import settings

settings.register_profile("calm", deadline=None, derandomize=True)
settings.load_profile("calm")
torch.set_num_threads(1)  # tiny products: more threads only wait for each other


@pytest.fixture(scope="session")
def session_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny session, 60 frames of 48x48 at 20 Hz."""
    return make_session(tmp_path_factory.mktemp("sessions") / "a.h5")


@pytest.fixture(scope="session")
def two_sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two sessions of different sizes and frame rates."""
    folder = tmp_path_factory.mktemp("sessions")
    return [
        make_session(folder / "a.h5"),
        make_session(folder / "b.h5", frames=40, size=(56, 40), fps=7.0, seed=1),
    ]
