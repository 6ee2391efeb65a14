"""Times that are counted from 1970, where others count from a recording's start. Knows numbers only."""

from __future__ import annotations

import numpy as np

#: seconds beyond this are Unix times: three years are no recording
UNIX = 1e8


def to_show(times: np.ndarray) -> np.ndarray:
    """Seconds (T,) as people read them, and float32 holds them: Unix times are counted from the first."""
    times = np.asarray(times, np.float64)
    return times - times[0] if len(times) and times[0] > UNIX else times
