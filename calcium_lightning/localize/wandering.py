"""Whether what is bright moves on from cell to cell: something wanders over the tissue, and is none of it.

An air bubble, debris that floats, a beam of light brightens place after place. Each place gets an outline
that brightens only, as a cell does: the recording upside down has no such places, and expects none to be
false. But those beside it brighten a second before and after it as they do with it. Cells beside each other
don't, or only as all of the field does; what haze they share is over by then. Knows traces and places.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from calcium_lightning.core.cells import Rows

#: traces are compared in bins of so many seconds
BIN_S = 0.2
#: ... so many seconds before and after: by then less than this share of what they have in common at once is
#: left of haze, and of slow transients (.7 and .2 in simulations); .9 to 1.2 and .8 to 1.2 of what wanders
LASTS = {0.4: 0.9, 1.0: 0.75}
#: those beside a cell lie between so many diameters from it
NEAR = (0.3, 2.0)
#: of fewer cells, or seconds, nothing is told
FEWEST, SHORTEST_S = 20, 20.0
#: what is looked at is how far those beside a cell go with it, for one of five cells at least
QUANTILE = 0.8
#: ... more than this is no tissue's: cells of real recordings, and of simulated ones, have .2 at most
WANDERS = 0.3
#: ... and not in two neighbouring pieces of so many seconds only, as where a part of the field flares up once
PIECE_S = 5.0
#: traces that are binned at a time, and bins that are looked at: half an hour, however long the recording is
AT_ONCE, MOST_BINS = 64, 9000


def wandering(traces: Rows, accepted: np.ndarray, centers: np.ndarray, diameter: float, fps: float) -> float:
    """How far the cells beside one brighten a second before and after it, beyond the whole field.

    Parameters
    ----------
    traces : Rows (K, T)
        Denoised; NaN is 0.
    accepted : ndarray, bool (K,)
        Which count.
    centers : ndarray (K, 2)
        Pixels.
    diameter : float
        Of a cell, pixels.
    fps : float
        Hz.

    Returns
    -------
    float
        Sum of the correlations with all of them, where one of five cells has more, beyond that at other
        times: about 0 for cells, .3 and more where something wanders, whichever few seconds are left out. 0
        where they are over by then, or too little is known.
    """
    accepted = accepted & np.isfinite(centers).all(1)
    index = np.flatnonzero(accepted)
    size = max(1, round(BIN_S * fps))
    bins = min(traces.shape[1] // size, MOST_BINS)
    if len(index) < FEWEST or bins * size < SHORTEST_S * fps:
        return 0.0
    active = np.concatenate(
        [
            _binned(traces[begin : begin + AT_ONCE][accepted[begin : begin + AT_ONCE]], size, bins)
            for begin in range(0, len(accepted), AT_ONCE)
        ]
    )
    active -= active.mean(1, keepdims=True)
    active /= np.maximum(active.std(1, keepdims=True), 1e-9)
    near, far = NEAR
    places = cKDTree(centers[index])
    pairs = places.query_pairs(far * diameter, output_type="ndarray")
    apart = np.linalg.norm(centers[index][pairs[:, 0]] - centers[index][pairs[:, 1]], axis=1)
    first, second = pairs[apart > near * diameter].T
    ones = np.ones(len(first), np.float32)
    beside = csr_matrix((ones, (first, second)), (len(index),) * 2)
    beside += beside.T
    around = beside @ active
    around -= np.asarray(beside.sum(1)) * active.mean(0)

    pieces = np.arange(0, bins, max(1, round(PIECE_S * fps / size)))

    def together(lag: int) -> np.ndarray:
        """The correlation with those around, before and after, that one of five cells exceeds.

        First with two neighbouring pieces of time left out, one pair after the other, then of all.
        """
        shared = 0.5 * (_shared(active, around, pieces, lag) + _shared(around, active, pieces, lag))
        whole = shared.sum(1, keepdims=True)
        parts = np.hstack([whole - shared[:, :-1] - shared[:, 1:], whole])
        result: np.ndarray = np.quantile(parts, QUANTILE, axis=0) / (bins - lag)
        return result

    chance, at_once = together(bins // 2), together(0)
    found = 0.0
    for seconds, least in LASTS.items():
        later = together(max(1, round(seconds * fps / size))) - chance
        if later[-1] > least * (at_once - chance)[-1]:
            found = max(found, float(later.min()))
    return found


def _shared(earlier: np.ndarray, later: np.ndarray, pieces: np.ndarray, lag: int) -> np.ndarray:
    """Sums of the products of two sets of traces (K, T), one of them so many bins later, of pieces of time.

    Where pieces (P,) begin; the result is (K, P).
    """
    length = earlier.shape[1] - lag
    bounds = zip(pieces.clip(max=length), [*pieces[1:].clip(max=length), length], strict=True)
    parts = [np.einsum("kt,kt->k", earlier[:, a:b], later[:, a + lag : b + lag]) for a, b in bounds]
    return np.stack(parts, 1)


def _binned(traces: np.ndarray, size: int, bins: int) -> np.ndarray:
    """Means of so many frames of traces (k, T), float32 (k, bins)."""
    whole = np.nan_to_num(traces[:, : bins * size]).reshape(len(traces), bins, size)
    result: np.ndarray = whole.mean(2, dtype=np.float32)
    return result


def wandering_line(value: float) -> str:
    """What a person should know of it; empty where nothing wanders."""
    if value < WANDERS:
        return ""
    return (
        "what is bright moves on from cell to cell: something wanders over the tissue (a bubble, debris, a "
        "beam of light), and outlines on its way are no cells, which the expected number of false ones "
        "leaves out; look at the movie, and leave out where (field=) or when (start=, stop=) it passes"
    )
