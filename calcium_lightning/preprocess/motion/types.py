"""What goes into an estimate of motion and what comes out: settings and result.

Knows no tensors and no method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: ``patches`` where the recording decides
AUTO = "auto"


@dataclass(frozen=True)
class MotionSettings:
    """How motion is estimated. Lengths are in cell diameters, so that they hold at any magnification.

    Attributes
    ----------
    max_shift : float
        Largest motion, as a share of the field.
    cell_pixels : float
        Frames are averaged down until a cell has about so many pixels across.
    mode_diameters : float
        Half a wavelength of the finest smooth mode of the background, cell diameters.
    learn_frames : int
        Frames that the model is learned on, at most.
    block_frames : int
        Frames that are worked on at a time, at most.
    rounds : int
        Rounds of learning; the first two are robust and without atoms.
    search_rounds : tuple of int
        After which rounds blinking places are looked for.
    atom_threshold : float
        Power of cell-sized residuals over that of noise, from which a place blinks.
    max_atoms : int
        Atoms added in one search, at most.
    patches : "auto", (int, int) or None
        Motion may differ over the field: it is estimated at so many places along y and x, from border to
        border, and is bilinear between them. "auto": at 2 x 2 where the picture gets sharper by it. None: the
        whole field moves as one. A session that knows its shifts, or is corrected, is taken at its word.
    """

    max_shift: float = 0.2
    cell_pixels: float = 4.0
    mode_diameters: float = 10.0
    learn_frames: int = 1280
    block_frames: int = 256
    rounds: int = 9
    search_rounds: tuple[int, ...] = (1, 4, 6)
    atom_threshold: float = 1.4
    max_atoms: int = 250
    patches: Sequence[int] | str | None = AUTO


@dataclass(frozen=True)
class PatchShifts:
    """Motion at a grid of places, as in :class:`~calcium_lightning.preprocess.motion.patches.PatchGrid`.

    Attributes
    ----------
    shifts : ndarray, float32 (T, Py, Px, 2)
        (dy, dx) in pixels, all of it: what the whole field has in common is in there.
    std : ndarray, float32 (Py, Px, 2)
        Typical standard error of a frame's ``shifts``, pixels.
    """

    shifts: np.ndarray
    std: np.ndarray

    @property
    def count(self) -> tuple[int, int]:
        """Places along y and x."""
        rows, columns, _ = self.std.shape
        return rows, columns


@dataclass(frozen=True)
class Motion:
    """Estimated motion.

    Attributes
    ----------
    shifts : ndarray, float32 (T, 2)
        (dy, dx) in pixels: a point at c in the corrected field lies at c + shifts[t] in frame t; median 0.
    std : ndarray, float32 (T, 2)
        Standard error that noise alone leaves, pixels; infinite where there is nothing to register.
    residual : ndarray, float32 (T,)
        Misfit of each frame to the model, 1 = noise; NaN for lost frames.
    lost : ndarray, bool (T,)
        Black or constant frames: their shift is interpolated.
    template : ndarray, float32 (h, w)
        Mean of the registered frames that were learned on, averaged over ``binning`` pixels each way.
    binning : int
    nonrigid : float
        How much motion differs over the field: root mean square, over field and frames, of the length of what
        isn't common to the field, pixels. Without ``patches`` it is an estimate of what was left.
    patches : PatchShifts, optional
        Motion over the field, where it was asked for, or differs; ``shifts`` is then its mean over the field.
    told : bool
        Whether frames hold a picture to tell their motion by; ``shifts`` are 0 where they don't.
    """

    shifts: np.ndarray
    std: np.ndarray
    residual: np.ndarray
    lost: np.ndarray
    template: np.ndarray
    binning: int
    nonrigid: float = 0.0
    patches: PatchShifts | None = None
    told: bool = True
