"""Which settings are best? Optuna proposes them. (Being built.)"""

from __future__ import annotations

from typing import Any

from calcium_lightning.sweeps.base import SweeperBase


class OptunaSweeper(SweeperBase):
    """Being built."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(settings.get("params"))

    def sweep(self, arguments: list[str]) -> Any:
        """Being built."""
        raise NotImplementedError
