"""Whether two groups of localisations take turns in time.

For: what splits a place, and what splits a cell on a person's word. Knows memberships and seconds only.
"""

from __future__ import annotations

import numpy as np

#: transients last about so long, seconds: what is lit in one such time counts once
EVENT_S = 1.0


def seconds(frame: np.ndarray, fps: float) -> np.ndarray:
    """The time of an event in which each frame lies, int64 (N,)."""
    return (frame / (EVENT_S * fps)).astype(np.int64)


def turns(
    member: np.ndarray, place: np.ndarray, second: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """In how many seconds each of two groups is what is lit, and how often they change.

    Parameters
    ----------
    member : ndarray (2, N)
        Probability that a localisation is of a group.
    place, second : ndarray of int (N,)
        Of the localisations.
    count : int
        Number of places K.

    Returns
    -------
    lit : ndarray of int (K, 2)
    turns : ndarray (K,)
        Number of runs over that which chance makes (Wald & Wolfowitz 1940).
    """
    times, event = np.unique(np.stack([place, second], 1), axis=0, return_inverse=True)
    mass = np.stack([np.bincount(event.ravel(), group, len(times)) for group in member], 1)
    # Seconds in which both are lit say nothing of which is.
    clear = mass.max(1) > 0.6 * np.bincount(event.ravel(), minlength=len(times))
    owner, brighter = times[clear, 0], mass[clear].argmax(1)
    lit = np.stack([np.bincount(owner[brighter == group], minlength=count) for group in (0, 1)], 1)
    turn = (owner[1:] == owner[:-1]) & (brighter[1:] != brighter[:-1])
    runs = 1 + np.bincount(owner[1:][turn], minlength=count)
    return lit, runs / (1 + 2 * lit.prod(1) / np.maximum(lit.sum(1), 1))
