"""Frames that hold no picture, or not their own: black, white, torn, duplicated.

Knows frame numbers and arrays, nothing of what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcium_lightning.simulation.settings import SceneSettings

GOOD, BLACK, WHITE, TORN, DUPLICATED = range(5)
#: light that saturates every sensor; 1 is the background
BLINDING = np.float32(1e3)


@dataclass(frozen=True)
class BadFrames:
    """Which frames are bad, and how.

    Attributes
    ----------
    shown : ndarray of int (T,)
        The frame that is shown: another one where it is duplicated.
    kind : ndarray, int8 (T,)
        Of the frame that is shown: GOOD, BLACK, WHITE or TORN.
    first_row : ndarray of int (T,)
        The row of the picture that it begins with.
    """

    shown: np.ndarray
    kind: np.ndarray
    first_row: np.ndarray

    @classmethod
    def draw(cls, settings: SceneSettings, rng: np.random.Generator) -> BadFrames:
        """Draw them: of each kind a Poisson number, each frame of one kind only. The first one is good."""
        n_frames, minutes = settings.n_frames, settings.n_frames / settings.fps / 60
        rates = (
            settings.black_frames_per_minute,
            settings.white_frames_per_minute,
            settings.torn_frames_per_minute,
            settings.duplicated_frames_per_minute,
        )
        kinds = np.repeat([BLACK, WHITE, TORN, DUPLICATED], rng.poisson(np.array(rates) * minutes))
        kinds = rng.permutation(kinds)[: n_frames - 1]
        kind = np.zeros(n_frames, np.int8)
        kind[rng.choice(np.arange(1, n_frames), len(kinds), replace=False)] = kinds
        height = settings.height_px
        rows = rng.integers(height // 8, height - height // 8, n_frames)
        source = np.where(kind == DUPLICATED, 0, np.arange(n_frames))
        shown = np.maximum.accumulate(source)
        return cls(shown, kind[shown], np.where(kind[shown] == TORN, rows[shown], 0))

    @property
    def bad(self) -> np.ndarray:
        """Frames that have no whole picture of their own, bool (T,)."""
        return (self.kind != GOOD) | (self.shown != np.arange(len(self.shown)))

    def lit(self, light: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Take the light away in black frames, and blind the sensor in white ones: (n, H, W), in place."""
        light[self.kind[frames] == BLACK] = 0
        light[self.kind[frames] == WHITE] = BLINDING
        return light

    def torn(self, levels: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Let torn frames begin at their row: (n, H, W), in place."""
        for place in np.flatnonzero(self.first_row[frames]):
            levels[place] = np.roll(levels[place], -self.first_row[frames[place]], 0)
        return levels
