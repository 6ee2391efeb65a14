"""What is noticed about a recording's values while it is ingested, and said.

Knows frames and a recording's notes; changes neither values nor files.
"""

from __future__ import annotations

import numpy as np

from calcium_lightning.io.geometry import Cut
from calcium_lightning.io.readers.base import Recording

#: frames that are looked at to tell ΔF/F from counts
SAMPLE = 16
#: ΔF/F lies about zero (this share of its values at least is below) and stays small
BELOW, SMALL = 0.05, 30.0


def tell_kind(recording: Recording, cut: Cut) -> str | None:
    """Tell ΔF/F from counts where nobody says: fractions about zero can't be counts.

    None where the values of single frames don't tell.
    """
    if recording.dtype.kind != "f":
        return None
    spread = np.unique(np.linspace(cut.start, cut.stop - 1, SAMPLE).astype(int))
    values = np.concatenate([next(iter(recording.stream(int(t), int(t) + 1, 1))).ravel() for t in spread])
    values = values[np.isfinite(values)]
    if not len(values) or not (negative := values < 0).any():
        return None
    about_zero = negative.mean() > BELOW and abs(np.median(values)) < np.std(values)
    fractions = bool((values != np.rint(values)).any())
    if about_zero and fractions and np.abs(values).max() < SMALL:
        recording.note("fractions about zero: taken for ΔF/F (kind=dff); kind=raw says otherwise")
        return "dff"
    recording.note(
        "some values are negative: taken for counts with a background removed (kind=raw); kind=dff says "
        "otherwise"
    )
    return "raw"


class Constancy:
    """Whether all values of a recording are one and the same."""

    def __init__(self) -> None:
        self._value: float | None = None
        self._constant = True

    def look(self, block: np.ndarray) -> None:
        """Look at the next frames."""
        if not self._constant or not block.size:
            return
        if self._value is None:
            self._value = block.flat[0]
        self._constant = bool((block == self._value).all())

    def say(self, recording: Recording) -> None:
        """Say so, if they are."""
        if self._constant and self._value is not None:
            black = "all black: " if self._value == 0 else ""
            recording.note(
                f"{black}every pixel of every frame is {self._value:g}; there is nothing to find in it"
            )
