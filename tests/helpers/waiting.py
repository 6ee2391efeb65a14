"""A callback for tests of processes that must be at work at the same time."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback


class WaitForOthers(Callback):
    """Begin only when ``count`` processes have come as far, and noted so in ``folder``."""

    def __init__(self, folder: str, count: int) -> None:
        self.folder, self.count = Path(folder), count

    def on_fit_start(self, *_: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / str(os.getpid())).touch()
        limit = time.monotonic() + 120
        while len(list(self.folder.iterdir())) < self.count:
            if time.monotonic() > limit:
                raise TimeoutError("the others didn't come")
            time.sleep(0.05)
