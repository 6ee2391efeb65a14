"""The rigid motion of a session.

Frames are averaged over small squares (a cell keeps about four pixels across: nothing that carries motion in
one-photon data is finer), registered by FFT against a template, and refined against
:class:`~calcium_lightning.preprocess.motion.model.MotionModel`, which is learned on blocks of frames from all
over the session. Memory is bounded by those blocks, whatever the session's length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.frames import Frames
from calcium_lightning.core.memory import give_back_freed
from calcium_lightning.core.pieces import in_order
from calcium_lightning.preprocess.motion.agreement import tells_motion
from calcium_lightning.preprocess.motion.blocks import binned, blocks, repaired
from calcium_lightning.preprocess.motion.contrast import contrast_wanders
from calcium_lightning.preprocess.motion.model import MIN_FRAMES_IN_TIME, MotionModel, Solution
from calcium_lightning.preprocess.motion.registration import (
    FEW,
    REFERENCE_FRAMES,
    Correlator,
    clear_of_edges,
    shift_frames,
    smooth,
)
from calcium_lightning.preprocess.motion.types import Motion, MotionSettings

#: a frame with less contrast than this share of the usual one was lost (a black frame)
LOST_CONTRAST = 0.1
#: pixels of all frames that are worked on at a time, and that the model is learned on, at most: large fields
#: tell more in each frame, and memory doesn't grow with them
BLOCK_VALUES, LEARN_VALUES = 256 * 96**2, 1280 * 128**2
#: how far an atom moves towards its new estimate in one round
RELAXATION = 0.7


def check_diameter(cell_diameter: float, field: tuple[int, int]) -> None:
    """Refuse cells that don't fit the field, pixels."""
    if not 0 < cell_diameter <= min(field):
        raise InputError(f"cell_diameter={cell_diameter:g} px: the field has {field[0]}x{field[1]} pixels")


class RigidEstimator:
    """The state of one estimate: which blocks were learned on, and every frame's result."""

    #: share of each part of the field in every pixel's motion (P, h*w); None: the field moves as one
    windows: Tensor | None = None

    def __init__(
        self,
        session: Frames,
        settings: MotionSettings,
        cell_diameter: float,
        device: torch.device,
        advance: Callable[[int], Any] | None,
    ) -> None:
        self.session, self.settings, self.device = session, settings, device
        self.advance = advance or (lambda _: None)
        count, height, width = session.shape
        self.binning = max(1, int(cell_diameter / settings.cell_pixels))
        while self.binning > 1 and min(height, width) // self.binning < 16:
            self.binning -= 1
        self.cell = cell_diameter / self.binning
        self.size = (height // self.binning, width // self.binning)
        self.usable = self._usable()
        telling = None if self.usable is None else clear_of_edges(self.usable, self.cell)
        self.correlate = Correlator(*self.size, self.cell, settings.max_shift, device, telling)
        pixels = self.size[0] * self.size[1]
        self.block_frames = int(np.clip(BLOCK_VALUES // pixels, MIN_FRAMES_IN_TIME, settings.block_frames))
        self.learn_frames = int(np.clip(LEARN_VALUES // pixels, self.block_frames, settings.learn_frames))
        self.blocks = blocks(count, self.block_frames)
        self.shifts = torch.zeros(count, 2, device=device)
        self.std = torch.full((count, 2), torch.inf, device=device)
        self.misfit = torch.full((count,), torch.nan, device=device)
        self.contrast = torch.zeros(count, device=device)
        #: of the steps of the last block that was solved
        self.covariance = torch.zeros(2, 2, device=device)
        self.raw = getattr(session, "kind", "raw") != "dff"
        self.model: MotionModel | None = None
        self.told = True
        #: whether fog or glare comes and goes
        self.veiled = False

    def run(self) -> Motion:
        """Learn on a sample of the blocks, then estimate the others."""
        wanted = max(1, self.learn_frames // self.block_frames)
        chosen = sorted({round(i) for i in np.linspace(0, len(self.blocks) - 1, wanted)})
        sample = dict(zip(chosen, in_order(self._packed, self._read(chosen)), strict=True))
        usual = torch.cat([self.contrast[slice(*self.blocks[i])] for i in chosen]).median()
        self.threshold = LOST_CONTRAST * usual
        self.model = model = self._learn(sample)
        if model is not None:
            self.advance(sum(self.blocks[i][1] - self.blocks[i][0] for i in chosen))
            others = [i for i in range(len(self.blocks)) if i not in sample]
            sample.clear()  # they are done
            give_back_freed()
            applied = in_order(
                lambda block: self._apply(model, self.binned(*block), block[0]), self._read(others)
            )
            for i, covariance in zip(others, applied, strict=True):
                self.covariance = covariance
                self.advance(self.blocks[i][1] - self.blocks[i][0])
        return self._finish(model)

    def _read(self, chosen: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first frame and the frames (n, H, W) of blocks."""
        for i in chosen:
            start, stop = self.blocks[i]
            yield start, self.session.frames(start, stop)

    def binned(self, start: int, raw: np.ndarray) -> Tensor:
        """Binned frames (n, h, w), float32, of frames that were read; notes each frame's contrast."""
        (height, width), side = self.size, self.binning
        frames = torch.from_numpy(binned(raw[:, : height * side, : width * side], side)).to(self.device)
        self.contrast[start : start + len(raw)] = frames.flatten(1).std(1)
        return frames

    def _packed(self, block: tuple[int, np.ndarray]) -> Tensor:
        """Frames as they are kept: sums of 8-bit pixels in half the memory, without loss."""
        frames, area = self.binned(*block), self.binning**2
        if self.session.dtype != np.uint8 or 255 * area > torch.iinfo(torch.int16).max:
            return frames
        return (frames * area).round_().to(torch.int16)

    def unpacked(self, kept: Tensor) -> Tensor:
        """Frames (n, h, w), float32, of what was kept of them."""
        return kept if kept.is_floating_point() else kept.float() / self.binning**2

    def lost(self, start: int, stop: int) -> Tensor:
        """Which frames have next to no contrast, bool (n,); :meth:`binned` has looked at them."""
        contrast = self.contrast[start:stop]
        return (contrast <= self.threshold) | (contrast == 0)

    def _learn(self, sample: dict[int, Tensor]) -> MotionModel | None:
        """Learn the model on the sample, and the sample's shifts with it."""
        settings = self.settings
        spans = {i: slice(*self.blocks[i]) for i in sample}
        good = {i: ~self.lost(*self.blocks[i]) for i in sample}
        count = sum(int(kept.sum()) for kept in good.values())
        if count == 0:
            return None
        step = max(1, count // REFERENCE_FRAMES)
        some = {i: good[i].nonzero()[::step, 0] for i in sample}
        template = self._first_template(sample, some)
        give_back_freed()
        if not self.told:
            return None
        learned = torch.cat([torch.arange(*self.blocks[i], device=self.device)[good[i]] for i in sample])
        self._centre(learned)
        modulated = self.raw and bool(template.quantile(0.05) > 0)
        model = MotionModel.start(
            template, self._inside(learned), self.cell, settings.mode_diameters, modulated
        )
        model.stray = modulated and self.veiled
        model.windows = self.windows
        warped = {i: torch.empty(kept.shape, device=self.device).flatten(1) for i, kept in sample.items()}
        for round_ in range(settings.rounds):
            self._centre(learned)  # not after the last: other blocks are compared with its template

            def registered(i: int) -> Tensor:
                self._register(model, warped[i], sample[i], spans[i])
                return good[i].float() @ warped[i]

            total = torch.stack(list(in_order(registered, sample))).sum(0)
            model.update((total / len(learned)).view(self.size))
            self._learn_round(model, warped, spans, good, round_, len(learned))
            self._learn_parts(model, learned)
            give_back_freed()
        return model

    def _first_template(self, sample: dict[int, Tensor], some: dict[int, Tensor]) -> Tensor:
        """Template (h, w) of some frames of the sample; first shifts of all, and whether they are told."""
        few = torch.cat([self.unpacked(sample[i][some[i]]) for i in sample])
        template = self.correlate.first_template(few)

        def place(i: int) -> None:
            self._place(slice(*self.blocks[i]), self.unpacked(sample[i]), template)

        list(in_order(place, sample))
        moved = torch.cat([self.shifts[self.blocks[i][0] + some[i]] for i in sample])
        self.told = tells_motion(self.correlate, few, template, moved)
        still = [shift_frames(*part) for part in zip(few.split(FEW), moved.split(FEW), strict=True)]
        self.veiled = contrast_wanders(self.correlate, torch.cat(still), template)
        return template

    def _place(self, span: slice, frames: Tensor, template: Tensor) -> None:
        """First shifts of frames."""
        self.shifts[span] = self.correlate(self.correlate.transform(frames), template)

    def _solve(
        self, model: MotionModel, frames: Tensor, span: slice, *, robust: bool = False, in_time: bool = False
    ) -> Solution:
        """Fit registered frames (n, h*w), and move them by what was found."""
        found = model.solve(frames, robust=robust, in_time=in_time)
        self._move(span, found)
        return found

    def _learn_round(
        self,
        model: MotionModel,
        warped: dict[int, Tensor],
        spans: dict[int, slice],
        good: dict[int, Tensor],
        round_: int,
        count: int,
    ) -> None:
        settings = self.settings
        size, atoms = self.size, len(model.atoms)
        searching = round_ in settings.search_rounds and count >= MIN_FRAMES_IN_TIME
        variance = torch.zeros(size, device=self.device)
        power = torch.zeros_like(variance)
        numerator = model.atoms.zeros()
        denominator = torch.zeros(atoms, device=self.device)
        last_search = max(settings.search_rounds, default=0)
        robust = not atoms and round_ < 2 and self.windows is None

        def solve(i: int) -> Solution:
            found = self._solve(model, warped[i], spans[i], robust=robust, in_time=round_ >= 4)
            if round_ == settings.rounds - 1:
                self._note_error(spans[i], found)
            return found

        for i, found in zip(warped, in_order(solve, warped), strict=True):
            residual, share = found.residual, good[i].float()
            variance += (share @ residual.square()).view(size)
            if searching:
                for some in residual[good[i]].view(-1, *size).split(FEW):
                    power += model.band_pass(some).square().sum(0)
            if atoms and round_ > settings.search_rounds[0] + 1:
                brightness = found.atoms * share[:, None]
                numerator.accumulate(brightness, residual)
                denominator += brightness.square().sum(0)
        if self.windows is not None:
            self.covariance = found.covariance
        variance = smooth(variance / count, 0.5 * self.cell)
        brightest = model.template.abs().amax().square()
        floor = 1e-3 * variance[model.inside > 0].median() + 1e-12 * brightest + 1e-30
        if atoms:
            model.learn_atoms(numerator, denominator, RELAXATION)
        model.precision = (model.inside / variance.clamp_min(floor)).flatten()
        if searching and round_ <= last_search:
            noise = variance * self._band_gain(model)
            places = model.blinking(power / count, noise, settings.atom_threshold, settings.max_atoms)
            model.add_atoms(places)

    def _learn_parts(self, model: MotionModel, learned: Tensor) -> None:
        """Learn how parts of the field move against each other, where they may, from some frames."""

    def _band_gain(self, model: MotionModel) -> float:
        """Variance of band-passed white noise of variance 1."""
        impulse = torch.zeros(self.size, device=self.device)
        impulse[self.size[0] // 2, self.size[1] // 2] = 1
        return float(model.band_pass(impulse).square().sum())

    def _apply(self, model: MotionModel, frames: Tensor, start: int, rounds: int = 4) -> Tensor:
        """Estimate the shifts of a block that the model wasn't learned on; the last steps' covariance."""
        span = slice(start, start + len(frames))
        self._place(span, frames, model.template)
        warped = torch.empty_like(frames).flatten(1)
        for round_ in range(rounds):
            self._register(model, warped, frames, span)
            found = self._solve(model, warped, span, in_time=True)
            # The second step is small unless the FFT went astray somewhere.
            if round_ > 0 and found.steps.abs().max() < 0.5:
                break
        self._note_error(span, found)
        return found.covariance

    def _register(self, model: MotionModel, warped: Tensor, kept: Tensor, span: slice) -> None:
        """Move frames, as they are kept, into ``warped`` (n, h*w), a few at a time."""
        for start in range(0, len(kept), FEW):
            few = slice(start, min(start + FEW, len(kept)))
            frames = slice(span.start + few.start, span.start + few.stop)
            warped[few] = self.warp(model, self.unpacked(kept[few]), frames)

    def warp(self, model: MotionModel, frames: Tensor, span: slice) -> Tensor:
        """Registered frames (n, h*w); what they don't show is filled from the template."""
        shifts = self.shifts[span]
        warped = shift_frames(frames, shifts)
        if shifts.abs().max() > self._margin(model):
            seen = torch.ones(len(frames), *self.size, device=self.device)
            for axis, n in enumerate(self.size):
                place = torch.arange(n, device=self.device) + shifts[:, axis, None]
                visible = ((place >= 0) & (place <= n - 1)).float()
                seen *= visible[:, :, None] if axis == 0 else visible[:, None]
            warped = filled(model, warped, seen)
        return warped.flatten(1)

    def _margin(self, model: MotionModel) -> Tensor:
        """Rows at the top that aren't compared."""
        return (model.inside[:, self.size[1] // 2] == 0).sum() / 2

    def _move(self, span: slice, found: Solution) -> None:
        limit = torch.tensor([self.settings.max_shift * n for n in self.size], device=self.device)
        moved = self.shifts[span] - found.steps.clamp(-1, 1)
        self.shifts[span] = torch.maximum(torch.minimum(moved, limit), -limit)
        self.misfit[span] = found.misfit

    def _note_error(self, span: slice, found: Solution) -> None:
        """Note how far the shifts of frames may be off, of their last fit."""
        self.std[span] = found.covariance.diagonal().clamp_min(0).sqrt()

    def _centre(self, learned: Tensor) -> None:
        self.shifts -= self.shifts[learned].median(0).values

    def _inside(self, learned: Tensor) -> Tensor:
        """Return the field without the margin that motion uncovers in more than one frame of a hundred."""
        reach = self._reach(learned) + 1
        inside = torch.zeros(self.size, device=self.device)
        top, left = (min(int(reach[i].ceil()), n // 10) for i, n in enumerate(self.size))
        inside[top : self.size[0] - top, left : self.size[1] - left] = 1
        if self.usable is not None:
            # An edge that stands still comes as near as the field moves.
            sides = [2 * int(reach[i].ceil()) + 1 for i in (0, 1)]
            sides = [min(side, n // 5 * 2 + 1) for side, n in zip(sides, self.size, strict=True)]
            gone = functional.max_pool2d(
                1 - self.usable[None, None], sides, 1, [side // 2 for side in sides]
            )[0, 0]
            narrowed = inside * (1 - gone)
            inside = narrowed if narrowed.any() else inside * self.usable
        return inside

    def _usable(self) -> Tensor | None:
        """1 where the field shows tissue that tells its motion (h, w), averaged pixels; None: everywhere."""
        usable = getattr(self.session, "telling", getattr(self.session, "usable", None))
        if usable is None or usable.all() or not usable.any():
            return None
        height, width = (n * self.binning for n in self.size)
        whole = binned(usable[None, :height, :width].astype(np.float32), self.binning)[0] > 0.999
        return torch.from_numpy(whole.astype(np.float32)).to(self.device) if whole.any() else None

    def _reach(self, learned: Tensor) -> Tensor:
        """How far the field moves in all but one frame of a hundred, (2,)."""
        return self.shifts[learned].abs().quantile(0.99, dim=0)

    def _finish(self, model: MotionModel | None) -> Motion:
        count = len(self.shifts)
        if model is None:
            # No frame holds a picture; or all do, and none that lasts.
            lost, template = np.full(count, self.told), np.zeros(self.size, np.float32)
            shifts = np.zeros((count, 2), np.float32)
        else:
            lost = self.lost(0, count).cpu().numpy()
            template = model.template.cpu().numpy()
            shifts = self.shifts.cpu().numpy() * self.binning
            shifts = repaired(shifts, lost)
        residual, std = self.misfit.cpu().numpy(), self.std.cpu().numpy() * self.binning
        residual[lost], std[lost] = np.nan, np.inf
        return Motion(shifts, std, residual, lost, template, self.binning, told=self.told)


def filled(model: MotionModel, frames: Tensor, seen: Tensor) -> Tensor:
    """Frames (n, h, w) with what they don't show (``seen`` is 0) from the template, as bright as they are."""
    gain = (frames * seen).sum((1, 2)) / (model.template * seen).sum((1, 2)).clamp_min(1e-6)
    gain = gain.clamp(0.1, 10) if model.modulated else torch.ones_like(gain)
    return frames * seen + (1 - seen) * model.template * gain[:, None, None]
