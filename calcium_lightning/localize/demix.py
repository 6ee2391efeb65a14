"""Traces from footprints and footprints from traces: two linear regressions, streamed over a movie.

The movie is what preprocessing's high-pass filter F left of the frames, so a footprint A is seen in it as FA.
With traces C the frames are C·FA plus noise. Given A, the traces are regressed on all cells at once; given C,
each pixel is regressed on the traces of the cells around it. Sums over frames are in memory and traces on
disk, so memory does not grow with the number of frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from calcium_lightning.core.pieces import in_order
from calcium_lightning.localize.patches import Patches, Surround
from calcium_lightning.localize.scratch import Foreground, ScratchTraces

#: edge of the squares in which pixels are regressed together, network pixels
TILE = 48
#: relative ridge that keeps nearly identical cells from cancelling each other
RIDGE = 1e-2
#: the same where pictures of a cell differ: what fits none makes cells that are lit together cancel
LOOSE_RIDGE = 2.5e-2
#: of what a cell adds to the movie, what is below this share of its peak is left out
SEEN = 1e-3
#: of a dim cell's probe, so much of what the high-pass filter takes off a footprint is taken off. White noise
#: went through the same filter, so the footprint itself is nearer to the best probe (generalised least
#: squares); but what is left of the background, and what bright neighbours don't fit, is projected more
DIM_PASS = 0.5


def ridged(mixing: np.ndarray) -> np.ndarray:
    """Put :data:`RIDGE` on a mixing matrix (K, K), in place; what isn't seen gets a 1, in whatever units."""
    own = np.diag_indices(len(mixing))
    mixing[own] = np.where(mixing[own] != 0, (1 + RIDGE) * mixing[own], 1.0)
    return mixing


@dataclass
class Model:
    """Footprints as the movie shows them.

    Attributes
    ----------
    footprints : Patches
        Brightness, peak 1, (K, P, P).
    seen : csr_matrix (K, h*w)
        Filtered and divided by the noise: what a trace of 1 adds to the movie.
    probe : csr_matrix (K, h*w)
        What the movie is projected on: the part of ``seen`` within the footprint's own patch, of dim cells
        with less of the filter.
    """

    footprints: Patches
    seen: csr_matrix
    probe: csr_matrix

    def __len__(self) -> int:
        return self.probe.shape[0]

    def __getitem__(self, keep: np.ndarray) -> Model:
        return Model(self.footprints[keep], self.seen[keep], self.probe[keep])


class Residual(Foreground):
    """What cells don't explain of a movie, computed as it is read.

    Parameters
    ----------
    movie : Foreground
        (T, h, w) in units of its noise.
    model : Model
        The cells.
    traces : ScratchTraces
        Theirs (K, T).
    """

    def __init__(self, movie: Foreground, model: Model, traces: ScratchTraces) -> None:
        self.movie, self.traces = movie, traces
        self.size, self.n_frames, self.block_frames = movie.size, movie.n_frames, movie.block_frames
        self._seen = model.seen.T.tocsr()

    def read(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop), float32 (n, h, w)."""
        return self._less(self._seen, self.movie.read(start, stop), start)

    def read_rows(self, start: int, stop: int, top: int, bottom: int) -> Tensor:
        """Rows [top, bottom) of frames [start, stop), float32 (n, bottom - top, w)."""
        width = self.size[1]
        seen = self._seen[top * width : bottom * width]
        return self._less(seen, self.movie.read_rows(start, stop, top, bottom), start)

    def _less(self, seen: csr_matrix, frames: Tensor, start: int) -> Tensor:
        explained = seen @ self.traces.frames(start, start + len(frames))
        return frames - torch.from_numpy(explained).T.reshape(frames.shape)


class Demixer:
    """Regress traces and footprints on a movie.

    Parameters
    ----------
    movie : Foreground
        (T, h, w) in units of its noise.
    noise : Tensor (h, w)
        Standard deviation of the noise, units of the frames.
    surround : Surround
        The high-pass filter that the movie went through.

    Attributes
    ----------
    ridge : float
        Of pixels' regression, relative: :data:`RIDGE`, or :data:`LOOSE_RIDGE`.
    """

    def __init__(self, movie: Foreground, noise: Tensor, surround: Surround) -> None:
        self.movie = movie
        self.noise = noise
        self.surround = surround
        self.ridge = RIDGE

    def of_sums(self, count: int) -> Demixer:
        """The same for sums of so many frames of the movie."""
        demixer = Demixer(self.movie.summed(count), self.noise, self.surround)
        demixer.ridge = self.ridge
        return demixer

    def model(self, footprints: Patches, dim: np.ndarray | None = None) -> Model:
        """What footprints (brightness, peak 1) look like in the movie.

        Parameters
        ----------
        footprints : Patches
            K of them.
        dim : ndarray, bool (K,), optional
            :func:`~calcium_lightning.localize.plain.noise_limited` cells: see :data:`DIM_PASS`.
        """
        wide = self.surround.high_pass(footprints)
        wide.values *= wide.look_up(1 / self.noise)
        reach = self.surround.reach
        core = slice(reach, reach + footprints.values.shape[-1])
        probe = wide.values[:, core, core]
        if dim is not None and dim.any():
            low = torch.from_numpy(np.where(dim, 1 - DIM_PASS, 0.0)).float()[:, None, None]
            probe = torch.lerp(probe, footprints.values * footprints.look_up(1 / self.noise), low)
        local = Patches(probe * (footprints.values > 0), footprints.corner, footprints.size)
        return Model(footprints, wide.to_csr(SEEN), local.to_csr())

    def project(self, model: Model) -> ScratchTraces:
        """Project the movie on each cell's own pixels, where its signal is, (K, T)."""
        projections = ScratchTraces(len(model), self.movie.n_frames, self.movie.block_frames)
        step = self.movie.block_frames

        def project(start: int) -> tuple[int, np.ndarray]:
            return start, model.probe @ self.movie.read(start, start + step).flatten(1).numpy().T

        for start, block in in_order(project, range(0, self.movie.n_frames, step) if len(model) else ()):
            projections.write_block(start, block)
        return projections

    def unmix(
        self, model: Model, projections: ScratchTraces, keep: np.ndarray | None = None
    ) -> ScratchTraces:
        """Brightness of every cell in every frame, units of the frames, unclipped, (K, T).

        The projections are unmixed with what every other cell, its filtered halo included, adds there.

        Parameters
        ----------
        model : Model
            The cells that were projected.
        projections : ScratchTraces
            :meth:`project` of all of them.
        keep : ndarray of int, optional
            Only these exist.
        """
        keep = np.arange(len(model)) if keep is None else keep
        traces = ScratchTraces(len(keep), projections.n_frames, projections.block_frames)
        if not len(keep):
            return traces
        mixing = (model.probe[keep] @ model.seen[keep].T).toarray().astype(np.float64)
        factors = torch.linalg.lu_factor(torch.from_numpy(ridged(mixing)))

        def solve(start: int) -> tuple[int, np.ndarray]:
            block = torch.from_numpy(projections.block(start)[keep]).double()
            return start, (torch.linalg.lu_solve(*factors, block) * (1 + RIDGE)).numpy()

        for start, block in in_order(solve, range(0, projections.n_frames, projections.block_frames)):
            traces.write_block(start, block)
        return traces

    def footprints(
        self, model: Model, activity: ScratchTraces, which: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor]:
        """Regress every pixel on the activity around it.

        Parameters
        ----------
        model : Model
            Says where cells are.
        activity : ScratchTraces
            Denoised traces; noise in them would be copied from the movie into the footprints.
        which : ndarray of int (n,), optional
            Rows of the cells whose footprints are wanted; default: all, n = K.

        Returns
        -------
        filtered : Tensor, float32 (n, P, P)
            Estimate of each cell's filtered footprint, units of the frames per unit of activity.
        error : Tensor, float32 (n, P, P)
            Its standard error.
        """
        patches = model.footprints
        height, width = patches.size
        side = patches.values.shape[-1]
        which = np.arange(len(patches)) if which is None else which
        wanted = np.full(len(patches), -1)
        wanted[which] = np.arange(len(which))
        filtered = patches.values.new_zeros(len(which), side, side)
        error = torch.full_like(filtered, torch.inf)
        if not len(which):
            return filtered, error
        reach = self.surround.reach // 2
        corner = patches.corner.numpy()

        def regress(top: int) -> None:
            """Regress the pixels of a row of tiles; their sums over frames are all that is held."""
            bottom, tiles = min(top + TILE, height), []
            for left in range(0, width, TILE):
                right = min(left + TILE, width)
                low, high = np.array([top, left]), np.array([bottom, right])
                within = (corner < high + reach) & (corner + side > low - reach)
                cells = np.flatnonzero(within.all(1))
                asked = (corner[which] < high) & (corner[which] + side > low)
                if asked.all(1).any():
                    size = len(cells) + 1
                    sums = torch.zeros(size, bottom - top, right - left, dtype=torch.float32)
                    gram = torch.zeros(size, size, dtype=torch.float64)
                    tiles.append((left, right, cells, sums, gram))
            for start, part in activity.blocks() if tiles else ():
                frames = self.movie.read_rows(start, start + part.shape[1], top, bottom)
                traces = torch.from_numpy(part)
                for left, right, cells, sums, gram in tiles:
                    pixels = frames[:, :, left:right].flatten(1)
                    regressors = torch.cat([traces[cells], torch.ones(1, len(frames))])
                    sums += (regressors @ pixels).view_as(sums)
                    gram += regressors @ regressors.T
            for left, right, cells, sums, gram in tiles:
                own = gram.diagonal()
                # Of a cell that is never lit, nothing is known.
                own.copy_(torch.where(own > 0, (1 + self.ridge) * own, 1e-9))
                inverse = torch.linalg.inv(gram)
                solved = (inverse @ sums.flatten(1).double()).float().view_as(sums)
                spread = inverse.diagonal().clamp_min(0).sqrt().float()
                noise = self.noise[top:bottom, left:right]
                for row, cell in enumerate(cells):
                    if wanted[cell] < 0:
                        continue
                    y, x = corner[cell]
                    low_y, high_y = max(y, top), min(y + side, bottom)
                    low_x, high_x = max(x, left), min(x + side, right)
                    if low_y >= high_y or low_x >= high_x:
                        continue
                    to = (wanted[cell], slice(low_y - y, high_y - y), slice(low_x - x, high_x - x))
                    of = (slice(low_y - top, high_y - top), slice(low_x - left, high_x - left))
                    filtered[to] = solved[(row, *of)] * noise[of]
                    error[to] = spread[row] * noise[of]

        list(in_order(regress, range(0, height, TILE)))
        return filtered, error
