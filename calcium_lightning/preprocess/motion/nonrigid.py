"""Motion that differs over the field, estimated at a grid of places in the same stream as the rigid one.

One model for the whole field, as for rigid motion, but with a step of its own at each place of a
:class:`~calcium_lightning.preprocess.motion.patches.PatchGrid`: what a frame tells of the motion is weighed
jointly with the background and the cells, and with a prior by which neighbouring places move alike
(:mod:`~calcium_lightning.preprocess.motion.coherence`), whose width is learned: a field that moves as one is
left to, and a place without contrast follows its neighbours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from calcium_lightning.core.frames import Frames
from calcium_lightning.preprocess.motion.blocks import repaired
from calcium_lightning.preprocess.motion.coherence import CoherencePrior
from calcium_lightning.preprocess.motion.contrast import contrast_wanders
from calcium_lightning.preprocess.motion.model import MotionModel, Solution
from calcium_lightning.preprocess.motion.patches import PatchGrid, undo
from calcium_lightning.preprocess.motion.registration import FEW, shift_frames
from calcium_lightning.preprocess.motion.rigid import RigidEstimator, filled
from calcium_lightning.preprocess.motion.types import Motion, MotionSettings, PatchShifts

#: least standard deviation of the difference between neighbouring places, session pixels
LEAST_DIFFERENCE = 0.01
#: frames that tell how much motion a rigid estimate left, in so many places of the recording
LOOK_FRAMES, LOOKS = 128, 4


class PatchEstimator(RigidEstimator):
    """The state of an estimate of motion at P places; shifts are the mean over the field."""

    windows: Tensor

    def __init__(
        self,
        session: Frames,
        settings: MotionSettings,
        cell_diameter: float,
        device: torch.device,
        rigid: Motion,
        grid: PatchGrid,
    ) -> None:
        super().__init__(session, settings, cell_diameter, device, None)
        self.grid = grid
        self.y, self.x = (_centers(n, self.binning, device) for n in self.size)
        self.windows = _windows(grid, self.y, self.x)
        self.shares = self.windows.mean(1)
        self.coherence = CoherencePrior.of(grid.count, self.windows, LEAST_DIFFERENCE / self.binning)
        self.shifts = torch.from_numpy(rigid.shifts).to(device) / self.binning
        self.moves = self.shifts[:, None].repeat(1, len(self.windows), 1)
        self.covariance = torch.zeros(2 * len(self.windows), 2 * len(self.windows), device=device)
        self.moments = torch.zeros_like(self.covariance)

    def _first_template(self, sample: dict[int, Tensor], some: dict[int, Tensor]) -> Tensor:
        still = torch.cat(
            [
                shift_frames(self.unpacked(frames[some[i]]), self.shifts[slice(*self.blocks[i])][some[i]])
                for i, frames in sample.items()
            ]
        )
        template = still.mean(0)
        self.veiled = contrast_wanders(self.correlate, still, template)
        return template

    def _place(self, span: slice, frames: Tensor, template: Tensor) -> None:
        """Frames begin where the rigid motion put them."""

    def _solve(
        self, model: MotionModel, frames: Tensor, span: slice, *, robust: bool = False, in_time: bool = False
    ) -> Solution:
        found = model.solve(frames, in_time=in_time, moved=self.moves[span].flatten(1))
        self._move(span, found)
        return found

    def _learn_parts(self, model: MotionModel, learned: Tensor) -> None:
        model.stiffness, self.moments = self.coherence.learn(
            self.moves[learned], self.covariance, model.stiffness
        )

    def warp(self, model: MotionModel, frames: Tensor, span: slice) -> Tensor:
        """As for rigid motion, each pixel by its own."""
        height, width = self.size
        rows, columns = (torch.arange(n, device=self.device) for n in self.size)
        outside = self.moves[span].abs().max() > self._margin(model)
        warped = torch.empty(len(frames), height * width, device=self.device)
        parts = zip(
            frames.split(FEW),
            self.moves[span].split(FEW),
            self.shifts[span].split(FEW),
            warped.split(FEW),
            strict=True,
        )
        for few, moves, shifts, result in parts:
            down, right = moves.unflatten(1, self.grid.count).unbind(-1)
            # A column of the frame shows the column of the field that lies beneath it.
            beneath = self.x - shifts[:, 1:] * self.binning
            down = rows[:, None] + self.grid.displacement(down, self.y, beneath)
            right = columns + self.grid.displacement(right, self.y, self.x)
            still = undo(few, down, right)
            if outside:
                seen = (down >= 0) & (down <= height - 1) & (right >= 0) & (right <= width - 1)
                still = filled(model, still, seen.float())
            result.copy_(still.flatten(1))
        return warped

    def _move(self, span: slice, found: Solution) -> None:
        limit = torch.tensor([self.settings.max_shift * n for n in self.size], device=self.device)
        moved = self.moves[span] - found.steps.unflatten(1, (-1, 2)).clamp(-1, 1)
        self.moves[span] = torch.maximum(torch.minimum(moved, limit), -limit)
        self._average(span)
        self.misfit[span] = found.misfit

    def _note_error(self, span: slice, found: Solution) -> None:
        variance = [self.shares @ found.covariance[axis::2, axis::2] @ self.shares for axis in (0, 1)]
        self.std[span] = torch.stack(variance).clamp_min(0).sqrt()

    def _average(self, span: slice) -> None:
        self.shifts[span] = torch.einsum("p,tpa->ta", self.shares, self.moves[span])

    def _centre(self, learned: Tensor) -> None:
        self.moves -= self.moves[learned].median(0).values
        self._average(slice(None))

    def _reach(self, learned: Tensor) -> Tensor:
        return self.moves[learned].abs().amax(1).quantile(0.99, dim=0)

    def _finish(self, model: MotionModel | None) -> Motion:
        motion = super()._finish(model)
        if model is None:
            return motion
        moves = self.moves.flatten(1).cpu().numpy() * self.binning
        shifts = repaired(moves, motion.lost).reshape(-1, *self.grid.count, 2)
        std = self.covariance.diagonal().clamp_min(0).sqrt().reshape(*self.grid.count, 2) * self.binning
        return replace(
            motion,
            patches=PatchShifts(shifts, std.cpu().numpy()),
            nonrigid=self.coherence.disagreement(self.moments) * self.binning,
        )


def remaining(rigid: RigidEstimator) -> float:
    """How much motion differs over the field after a rigid estimate, pixels: of a few frames."""
    model, grid = rigid.model, PatchGrid(rigid.session.shape[1:], (2, 2))
    if model is None:
        return 0.0
    y, x = (_centers(n, rigid.binning, rigid.device) for n in rigid.size)
    model.windows = _windows(grid, y, x)
    coherence = CoherencePrior.of(grid.count, model.windows, LEAST_DIFFERENCE / rigid.binning)
    model.stiffness = coherence.stiffness(torch.eye(model.steps, device=rigid.device))
    model.update(model.template)
    chosen = sorted({round(i) for i in np.linspace(0, len(rigid.blocks) - 1, LOOKS + 2)[1:-1]})
    parts = []
    for start, stop in (rigid.blocks[i] for i in chosen):
        span = slice(start, min(stop, start + LOOK_FRAMES // len(chosen)))
        raw = rigid.session.frames(span.start, span.stop)
        found = model.solve(rigid.warp(model, rigid.binned(span.start, raw), span), in_time=True)
        parts.append(found.steps[~rigid.lost(span.start, span.stop)])
    steps = torch.cat(parts)
    if not len(steps):
        return 0.0
    _, moments = coherence.learn(steps.unflatten(1, (-1, 2)), found.covariance, model.stiffness)
    return coherence.disagreement(moments) * rigid.binning


def _centers(count: int, binning: int, device: torch.device) -> Tensor:
    """Where averaged pixels lie, session pixels."""
    return (torch.arange(count, device=device) + 0.5) * binning - 0.5


def _windows(grid: PatchGrid, y: Tensor, x: Tensor) -> Tensor:
    """Share of each place in the motion of each pixel, (P, h*w)."""
    rows, columns = grid.weights(0, y), grid.weights(1, x)
    return torch.einsum("hp,wq->pqhw", rows, columns).flatten(2).flatten(0, 1)
