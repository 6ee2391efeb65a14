"""A source of frames that counts how often each is read."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import Tensor

from calcium_lightning.data.sources import Source


class Counted:
    """A source in place of another."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.read: Counter[int] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read_into(self, start: int, out: Tensor) -> None:
        """Count, and read."""
        self.read.update(range(start, start + len(out)))
        self._source.read_into(start, out)
