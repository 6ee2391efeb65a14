"""From one frame to the activity of known cells: motion, foreground, projection, unmixing, baseline.

Everything that can be is computed beforehand, so that a frame of 608 x 608 pixels takes a few milliseconds.
Knows how a beginning of the recording was prepared and which cells are in it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import lu_factor, lu_solve
from scipy.sparse import csr_matrix, vstack
from torch import Tensor

from calcium_lightning.core.cells import CellTable
from calcium_lightning.core.scale import MAD_TO_STD, NETWORK_DIAMETER
from calcium_lightning.localize.demix import RIDGE, SEEN, ridged
from calcium_lightning.preprocess.motion.registration import Correlator
from calcium_lightning.preprocess.prepared import Prepared

#: frames whose mean is what others are registered to, and frames that tell the noise and level of traces
TEMPLATE_FRAMES, LEVEL_FRAMES = 200, 600
#: largest motion, as a share of the field
MAX_SHIFT = 0.2
#: a footprint's pixels above this share of its peak are what the frame is projected on
CORE = 0.1
#: share of the time in which a trace is below its baseline, and seconds in which the baseline follows a drift
QUIET, DRIFT_S = 0.3, 30.0
#: footprints that are brought to the network's scale at a time
FEW = 32


@dataclass
class Sources:
    """Cells as frames show them.

    Attributes
    ----------
    seen, probe : csr_matrix (K, h * w)
        As of :class:`~calcium_lightning.localize.demix.Model`.
    centers : ndarray (K, 2)
        Session pixels, of the beginning's field.
    """

    seen: csr_matrix
    probe: csr_matrix
    centers: np.ndarray

    def plus(self, others: Sources) -> Sources:
        """These and others behind them."""
        return Sources(
            vstack([self.seen, others.seen]).tocsr(),
            vstack([self.probe, others.probe]).tocsr(),
            np.concatenate([self.centers, others.centers]),
        )


class Projector:
    """Activity of cells in frames.

    Parameters
    ----------
    prepared : Prepared
        The beginning of the recording: its quiet tissue, noise and scale hold from here on.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.fps = prepared.fps
        count = prepared.shape[0]
        index = np.unique(np.linspace(0, count - 1, min(count, TEMPLATE_FRAMES)).astype(int))
        self.template = torch.stack([prepared.resampled(i, i + 1)[0] for i in index]).mean(0)
        step = 1 / prepared.scale.factor
        self.step = torch.from_numpy(step).float()
        size = self.template.shape
        self.correlate = Correlator(size[0], size[1], NETWORK_DIAMETER, MAX_SHIFT, torch.device("cpu"))
        self.still = replace(
            prepared,
            shifts=np.zeros((1, 2), np.float32),
            gain=np.ones(1, np.float32),
            offset=np.zeros(1, np.float32),
            baseline=prepared.baseline[-1:],
            knots=prepared.knots[:1],
            patches=None,
            shade=None,
        )
        self.sources = self.empty()
        self.level, self.noise = np.zeros(0), np.ones(0)
        self.factors: tuple[np.ndarray, np.ndarray] | None = None

    def empty(self) -> Sources:
        """No cells."""
        nothing = csr_matrix((0, self.template.numel()), dtype=np.float32)
        return Sources(nothing, nothing, np.zeros((0, 2)))

    def sources_of(self, cells: CellTable, offset: np.ndarray | None = None) -> Sources:
        """The accepted cells of an extraction; ``offset`` (dy, dx) is where its field lies in this one."""
        moved = np.zeros((1, 2), np.float32) if offset is None else -np.asarray(offset, np.float32)[None]
        rows = np.flatnonzero(cells.accepted)
        height, width = self.still.scale.field
        seen, probe = [], []
        for some in (rows[i : i + FEW] for i in range(0, len(rows), FEW)):
            images = torch.from_numpy(cells.footprints[some].toarray().reshape(-1, height, width)).float()
            few = replace(
                self.still,
                shifts=np.repeat(moved, len(some), 0),
                gain=np.ones(len(some), np.float32),
                offset=np.zeros(len(some), np.float32),
            )
            small = few.resample(images, 0)
            filtered = few.high_pass(small) / few.noise
            core = small > CORE * small.amax((1, 2), keepdim=True)
            seen.append(_sparse(filtered, filtered.abs() > SEEN * filtered.amax((1, 2), keepdim=True)))
            probe.append(_sparse(filtered, core))
        if not seen:
            return self.empty()
        centers = cells.centers[rows] + (0 if offset is None else np.asarray(offset))
        return Sources(vstack(seen).tocsr(), vstack(probe).tocsr(), centers)

    def knowing(self, sources: Sources, frames: np.ndarray) -> Projector:
        """One of the same field with these for its cells; recent frames (n, H, W) tell baseline and noise."""
        other = copy.copy(self)
        other._know(sources, frames)
        return other

    def go_on_from(self, other: Projector) -> None:
        """Take over the baseline and the noise of the cells that another knew: this one's first ones."""
        count = len(other.level)
        self.level[:count], self.noise[:count] = other.level, other.noise

    def _know(self, sources: Sources, frames: np.ndarray) -> None:
        self.sources = sources
        mixing = (sources.probe @ sources.seen.T).toarray().astype(np.float64)
        self.factors = lu_factor(ridged(mixing)) if len(mixing) else None
        traces = np.stack([self.project(frame)[0] for frame in frames], 1)
        difference = np.diff(traces, 2, axis=1)
        white = (
            np.median(np.abs(difference), 1) * MAD_TO_STD / np.sqrt(6)
            if difference.size
            else np.ones(len(traces))
        )
        self.noise = np.maximum(white, 1e-9)
        self.level = np.quantile(traces, QUIET, axis=1) if traces.size else np.zeros(len(traces))

    @torch.inference_mode()
    def shift_of(self, frame: Tensor) -> np.ndarray:
        """How far the tissue is displaced in a frame (1, H, W), session pixels, float32 (1, 2).

        0 where the beginning's frames held nothing to tell it by.
        """
        if not self.still.motion_told:
            return np.zeros((1, 2), np.float32)
        small = self.still.resample(frame, 0)
        found = self.correlate(self.correlate.transform(small), self.template) * self.step
        shift: np.ndarray = found.numpy().astype(np.float32)
        return shift

    @torch.inference_mode()
    def project(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Brightness of each cell in a frame (H, W), float64 (K,), and the motion (2,) that was undone."""
        block = torch.from_numpy(np.ascontiguousarray(frame)[None]).float()
        shift = self.shift_of(block)
        if self.factors is None:
            return np.zeros(0), shift[0]
        foreground = replace(self.still, shifts=shift).foreground_of(block, 0)
        projected = self.sources.probe @ foreground.flatten().numpy()
        return lu_solve(self.factors, projected.astype(np.float64), check_finite=False) * (1 + RIDGE), shift[
            0
        ]

    def activity(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fluorescence of each cell above its baseline, in units of its noise, (K,), and the motion (2,)."""
        trace, shift = self.project(frame)
        # A running quantile: the baseline rises slowly while the trace is above it, and falls faster below.
        rate = 2 * self.noise / (DRIFT_S * self.fps)
        self.level += rate * np.where(trace > self.level, QUIET, QUIET - 1) * 2
        return ((trace - self.level) / self.noise).astype(np.float32), shift


def _sparse(images: Tensor, keep: Tensor) -> csr_matrix:
    return csr_matrix((images * keep).flatten(1).numpy())
