"""What is known of a simulated or annotated recording.

Knows arrays. Nothing but evaluation and the labels of pretraining may look at it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Truth:
    """What is known of a simulated or annotated recording; every part is optional.

    Attributes
    ----------
    shifts : ndarray, float32 (T, 2)
        True motion (dy, dx), pixels: a point at c in the motion-corrected field lies at c + shifts[t] in
        frame t.
    footprints : csr_matrix, float32 (K, H*W)
        Each with a peak of 1.
    traces, spikes : ndarray, float32 (K, T)
        True calcium and its spikes.
    amplitude : ndarray, float32 (K,)
        Peak brightness of each cell.
    mask : ndarray, uint8 (H', W')
        An annotator's mask of all cells at its own resolution.
    identity : ndarray, int64 (K,)
        Which of the animal's cells each is, the same number on every day.
    """

    shifts: np.ndarray | None = None
    footprints: csr_matrix | None = None
    traces: np.ndarray | None = None
    spikes: np.ndarray | None = None
    amplitude: np.ndarray | None = None
    mask: np.ndarray | None = None
    identity: np.ndarray | None = None

    def beginning(self, frames: int) -> Truth:
        """The truth of the first frames only."""
        return replace(
            self,
            shifts=None if self.shifts is None else self.shifts[:frames],
            traces=None if self.traces is None else self.traces[:, :frames],
            spikes=None if self.spikes is None else self.spikes[:, :frames],
        )
