"""What each of our LightningDataModules needs on many processes, and after a kill: its rank and position.

Knows Lightning; nothing of sessions, samplers and batches.
"""

from __future__ import annotations

from typing import Any

import lightning as L


class ResumableData(L.LightningDataModule):
    """A data module whose training goes on with the batch after the last that is done.

    Attributes
    ----------
    position : int
        Batches of the whole run that were done when the checkpoint that it resumes from was written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.position = 0

    @property
    def ranks(self) -> tuple[int, int]:
        """Rank of this process, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the whole run are done, so that a resumed run goes on with the next."""
        if self.trainer is None:
            return {"position": self.position}
        return {"position": self.trainer.fit_loop.epoch_loop.batch_progress.total.completed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        self.position = int(state_dict["position"])
