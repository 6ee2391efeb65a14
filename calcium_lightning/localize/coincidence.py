"""How much of a cell's activity single frames show in its place.

A regression gives every footprint a trace, and every trace a footprint: what is smooth over many cells, or
left over between them, gets both. A cell is seen by itself, too: when it is lit, the detector finds it there.
Knows localisations and traces; must not know footprints.
"""

from __future__ import annotations

import math

import numpy as np

from calcium_lightning.localize.gather import assign
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.localize.scratch import ScratchTraces
from calcium_lightning.localize.turns import EVENT_S, seconds


def lit_seconds(
    localizations: StoredLocalizations, centers: np.ndarray, reach: float, n_frames: int, fps: float
) -> np.ndarray:
    """In which seconds cells are localised.

    Parameters
    ----------
    localizations : StoredLocalizations
        Of all frames.
    centers : ndarray (K, 2)
        Of the cells, network pixels; the nearest one within ``reach`` claims a localisation.
    reach : float
        Network pixels.
    n_frames : int
        T.
    fps : float
        Hz.

    Returns
    -------
    ndarray, bool (K, S)
    """
    lit = no_seconds(len(centers), n_frames, fps)
    for block in localizations.blocks():
        owner = assign(np.stack([block["y"], block["x"]], 1), centers, reach)
        mine = owner >= 0
        lit[owner[mine], seconds(block["frame"][mine], fps)] = True
    return lit


def no_seconds(count: int, n_frames: int, fps: float) -> np.ndarray:
    """The same of cells that aren't localised at all."""
    return np.zeros((count, math.ceil(n_frames / (EVENT_S * fps)) + 1), bool)


def coincidence(lit: np.ndarray, denoised: ScratchTraces, fps: float) -> np.ndarray:
    """Share of the energy of denoised traces in the seconds (K, S) in which the cells are localised, (K,).

    1 where nothing is to be seen.
    """
    shown, whole = np.zeros(len(denoised)), np.zeros(len(denoised))
    for start, block in denoised.blocks():
        second = seconds(np.arange(start, start + block.shape[1]), fps)
        energy = np.square(block)
        whole += energy.sum(1, dtype=np.float64)
        shown += (energy * lit[:, second]).sum(1, dtype=np.float64)
    return np.where(whole > 0, shown / np.maximum(whole, 1e-30), 1.0)
