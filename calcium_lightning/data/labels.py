"""True cells of simulated sessions as labels: where they are in every frame, and how bright.

The only place besides evaluation that looks at a session's truth, and only where it is asked to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.nn.windows import Labels
from calcium_lightning.preprocess.prepared import Crop, Prepared

#: footprints brought to the network's scale at a time; bounds memory
CELLS_AT_ONCE = 32


@dataclass(frozen=True)
class LabelTable:
    """True cells of a session in the network's terms.

    Attributes
    ----------
    positions : ndarray, float32 (K, 2)
        (y, x) of the centres, network pixels.
    brightness : ndarray, float32 (K, T)
        At the peak of the footprint, units of the foreground's noise there.
    drift : ndarray, float32 (T, K or 1, 2)
        What the estimated motion left over: added to the positions, network pixels.
    """

    positions: np.ndarray
    brightness: np.ndarray
    drift: np.ndarray

    def lit(self, start: int, count: int, crop: Crop, threshold: float) -> Labels:
        """Cells within a crop that are brighter than ``threshold`` in each of ``count`` frames from
        ``start``.

        Returns
        -------
        Labels
            Of B = ``count`` samples; positions are within the crop.
        """
        frames = slice(start, start + count)
        top, bottom, left, right = crop
        positions = self.positions[None] + self.drift[frames] - np.array([top, left], np.float32)
        brightness = self.brightness[:, frames].T
        inside = (positions > -0.5).all(-1) & (positions < np.array([bottom - top, right - left]) - 0.5).all(
            -1
        )
        valid = inside & (brightness > threshold)
        most = int(valid.sum(1).max(initial=0))
        order = np.argsort(~valid, axis=1, kind="stable")[:, :most]
        kept = np.take_along_axis(valid, order, 1)
        return Labels(
            positions=torch.from_numpy(
                np.where(kept[..., None], np.take_along_axis(positions, order[..., None], 1), 0).astype(
                    np.float32
                )
            ),
            amplitude=torch.from_numpy(
                np.where(kept, np.take_along_axis(brightness, order, 1), 0).astype(np.float32)
            ),
            valid=torch.from_numpy(kept),
        )


def label_table(prepared: Prepared) -> LabelTable:
    """Read the truth of a simulated session.

    The brightness of a cell is that of its footprint at the network's scale in units of the noise, before the
    background is removed: the decoder's splats go through that filter, too.

    Raises
    ------
    InputError
        If the session has no footprints and traces under /truth.
    """
    session = prepared.session
    truth = session.truth
    if truth is None or truth.footprints is None or truth.traces is None:
        raise InputError(
            f"{session.path}: no /truth/footprints and /truth/traces, which data.labels=true needs; "
            "use a simulated session"
        )
    centers = footprint_centers(truth.footprints, session.shape[1:])
    known = np.isfinite(centers).all(1)
    if prepared.usable is not None:  # nothing is seen of a cell that lies where frames aren't looked at
        place = np.clip(np.rint(np.nan_to_num(centers)), 0, np.array(session.shape[1:]) - 1).astype(int)
        known &= prepared.usable.numpy()[place[:, 0], place[:, 1]]
    positions = prepared.scale.to_network(centers[known]).astype(np.float32)
    traces = truth.traces[known]
    # The quiet tissue is taken off the frames, and with it what a cell shows all the time.
    traces = traces - np.median(traces, axis=1, keepdims=True)
    drift = np.zeros((session.n_frames, 1, 2), np.float32)
    if truth.shifts is not None:
        removed = prepared.shifts_at(centers[known])
        drift = ((truth.shifts[:, None] - removed) * prepared.scale.factor).astype(np.float32)
    return LabelTable(
        positions, (_response(prepared, truth.footprints[known]) * traces).astype(np.float32), drift
    )


def true_diameter(session: BaseSession) -> float:
    """Median full width at half maximum of a simulated session's true footprints, pixels.

    The width is that of a disc with the area above half of the peak.

    Raises
    ------
    InputError
        If the session has no true footprints.
    """
    truth = session.truth
    if truth is None or truth.footprints is None or not truth.footprints.shape[0]:
        raise InputError(
            f"{session.path}: no /truth/footprints to tell the cells' diameter; give cell_diameter= (pixels)"
        )
    footprints = csr_matrix(truth.footprints)
    rows = np.repeat(np.arange(footprints.shape[0]), np.diff(footprints.indptr))
    peaks = np.zeros(footprints.shape[0])
    np.maximum.at(peaks, rows, footprints.data)
    area = np.bincount(rows[footprints.data > 0.5 * peaks[rows]], minlength=footprints.shape[0])
    return float(np.median(2 * np.sqrt(area / np.pi)))


def _response(prepared: Prepared, footprints: csr_matrix) -> np.ndarray:
    """Peak of each footprint at the network's scale, over the noise, for a trace of 1, float32 (K, 1)."""
    peaks = []
    for first in range(0, footprints.shape[0], CELLS_AT_ONCE):
        part = footprints[first : first + CELLS_AT_ONCE].toarray().astype(np.float32)
        images = torch.from_numpy(part.reshape(-1, *prepared.scale.field))
        still = replace(
            prepared,
            shifts=np.zeros((len(images), 2), np.float32),
            gain=np.ones(len(images), np.float32),
            offset=np.zeros(len(images), np.float32),
            patches=None,
        )
        peaks.append((still.resample(images, 0) / prepared.noise).flatten(1).amax(1).numpy())
    return np.concatenate([*peaks, np.zeros(0, np.float32)])[:, None]
