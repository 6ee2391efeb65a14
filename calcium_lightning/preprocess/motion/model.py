"""What a registered frame shows, so that motion isn't mistaken for it: a linear model, solved for all frames.

A frame that was moved by almost the right shift is ::

    template + (error of the shift) . gradient + smooth modes . template + stray light + cells + noise

Smooth modes take up a drifting background *and* the static vignette, which moves against the registered
tissue; stray light, alike everywhere, takes up what fog and glare cost of the contrast, where it wanders;
small local images ("atoms") at places that blink take up cells. All coefficients of all frames come from one
small constant normal matrix, with noise-variance weights. A cell's brightness is alike in neighbouring frames
while the motion isn't: a prior from the neighbours in time, with a variance learned per coefficient and given
up where a cell lights up, wins back most of the precision that free cells cost.

Knows registered tensors only, neither files nor how frames are moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from calcium_lightning.core.device import exact
from calcium_lightning.core.scale import FWHM
from calcium_lightning.preprocess.motion.local_images import LocalImages
from calcium_lightning.preprocess.motion.prior import conjugate_gradients, predict_from_neighbours
from calcium_lightning.preprocess.motion.registration import FEW, smooth

#: relative ridge that keeps the normal matrix invertible where there is no contrast
RIDGE = 1e-5
#: a basis image that shows less than this share of what the clearest does is not seen
INVISIBLE = 1e-6
#: a residual beyond so many of its standard deviations weighs less (Huber 1964)
HUBER = 1.5
#: fewer frames than this say nothing about time
MIN_FRAMES_IN_TIME = 16
#: pixels that robust rounds look at, about, spread evenly; and whose products of modes are held at a time
ROBUST_PIXELS, FEW_PIXELS = 1 << 13, 1024
#: a coefficient that differs by more standard deviations from its neighbours in time is left free
SURPRISE = 2.0
#: where an atom may be non-zero, in cell diameters from its place
SUPPORT = 1.1


@dataclass
class Solution:
    """Coefficients of a block of frames.

    Attributes
    ----------
    steps : Tensor (n, 2)
        Error of the shifts, pixels: to be subtracted from them. (With P windows 2 P in place of 2.)
    atoms : Tensor (n, K)
        Brightness of the atoms.
    misfit : Tensor (n,)
        Root mean square of the weighted residual; 1 is noise.
    residual : Tensor (n, h*w)
    normal : Tensor (2 + M + K, 2 + M + K)
        What all coefficients, scaled, were solved with in a typical frame.
    scale : Tensor (2 + M + K,)
        Of the coefficients.
    """

    steps: Tensor
    atoms: Tensor
    misfit: Tensor
    residual: Tensor
    normal: Tensor
    scale: Tensor

    @cached_property
    def covariance(self) -> Tensor:
        """Covariance of a frame's steps from noise and from the coefficients' freedom, pixels, (2, 2)."""
        count, scale = self.steps.shape[1], self.scale[: self.steps.shape[1]]
        normal = exact(self.normal)
        first = torch.eye(len(normal), count, dtype=normal.dtype, device=normal.device)
        return torch.linalg.solve(normal, first)[:count].to(self.steps) / scale / scale[:, None]


@dataclass
class MotionModel:
    """Template, modes, atoms and noise of the registered field (h, w).

    Attributes
    ----------
    cell_diameter : float
        Full width at half maximum of a cell, pixels of this field.
    inside : Tensor (h, w)
        1 where the field is compared, 0 in the margin that motion uncovers.
    modes : Tensor (M, h*w)
        Smooth functions over the field.
    modulated : bool
        Whether modes multiply the template (raw counts: vessels shade the background), or stand alone (ΔF/F).
    template : Tensor (h, w)
    precision : Tensor (h*w,)
        Inverse noise variance, 0 outside.
    atoms : LocalImages
        K local images, ordered by the rows of their places.
    shapes : LocalImages
        What they began as: zero where they may never shine.
    places : Tensor (K, 2)
    windows : Tensor (P, h*w), optional
        Where the field moves by parts: the share of each in every pixel's motion. Steps are then (dy, dx) of
        the first part, of the second, and so on.
    stiffness : Tensor (2 P, 2 P), optional
        Prior precision of the parts' shifts around zero, pixels to the power of -2.
    stray : bool
        Whether light that is alike everywhere comes and goes; of a field that modes multiply.
    """

    cell_diameter: float
    inside: Tensor
    modes: Tensor
    modulated: bool
    template: Tensor
    precision: Tensor
    atoms: LocalImages
    shapes: LocalImages
    places: Tensor
    windows: Tensor | None = None
    stiffness: Tensor | None = None
    stray: bool = False
    _smooth: Tensor = field(init=False, repr=False)
    _smooth_weighted: Tensor = field(init=False, repr=False)
    _local: LocalImages = field(init=False, repr=False)
    _local_weighted: LocalImages = field(init=False, repr=False)
    _scale: Tensor = field(init=False, repr=False)
    _normal: Tensor = field(init=False, repr=False)
    _free: Tensor = field(init=False, repr=False)

    @classmethod
    def start(
        cls, template: Tensor, inside: Tensor, cell_diameter: float, mode_diameters: float, modulated: bool
    ) -> MotionModel:
        """Return the model without atoms, every pixel of the inside weighing the same."""
        rows, columns = (
            _cosines(n, min(6, max(2, 1 + round(n / cell_diameter / mode_diameters))), template.device)
            for n in template.shape
        )
        modes = torch.einsum("ah,bw->abhw", rows, columns).flatten(0, 1).flatten(1)
        places = torch.zeros(0, 2, device=template.device)
        none = _atoms(places, cell_diameter, template)
        model = cls(cell_diameter, inside, modes, modulated, template, inside.flatten(), none, none, places)
        model.update(template)
        return model

    def update(self, template: Tensor) -> None:
        """Take a new template (h, w), and whatever changed in precision and atoms, into the normal matrix."""
        self.template = template
        gradient = torch.zeros(2, *template.shape, device=template.device)
        gradient[0, 1:-1] = (template[2:] - template[:-2]) / 2
        gradient[1, :, 1:-1] = (template[:, 2:] - template[:, :-2]) / 2
        modes = self.modes
        if self.modulated:
            modes = modes * template.flatten()
        if self.stray:  # no multiple of the template
            modes = torch.cat([modes, torch.ones_like(modes[:1])])
        steps = gradient.flatten(1)
        if self.windows is not None:
            steps = (self.windows[:, None] * steps).flatten(0, 1)
        self._smooth = torch.cat([steps, modes])
        self._smooth_weighted = self._smooth * self.precision
        self._local, self._local_weighted = self.atoms, self.atoms.times(self.precision)
        scale = torch.cat(
            [
                torch.einsum("kp,kp->k", self._smooth_weighted, self._smooth),
                self._local_weighted.products(self._local),
            ]
        )
        if self.stiffness is not None:
            scale[: self.steps] += self.stiffness.diagonal()
        scale = scale.sqrt()
        # A basis image that is invisible (a constant template has no gradient) gets a coefficient of 0. What
        # is made of the template is in the frames' units; what isn't is compared as if it were as bright.
        shown, made = scale.clone(), len(steps) + (len(self.modes) if self.modulated else 0)
        shown[made:] *= template.abs().amax().clamp_min(1e-30)
        self._scale = torch.where(shown > INVISIBLE * shown.max().clamp_min(1e-30), scale, torch.inf)
        smooth_scale, local_scale = self._scale.split([len(self._smooth), len(self.atoms)])
        self._smooth /= smooth_scale[:, None]
        self._smooth_weighted /= smooth_scale[:, None]
        self._local = self._local.scaled(1 / local_scale)
        self._local_weighted = self._local_weighted.scaled(1 / local_scale)
        mixed = self._local_weighted.project(self._smooth)
        self._normal = torch.cat(
            [
                torch.cat([self._smooth @ self._smooth_weighted.T, mixed], 1),
                torch.cat([mixed.T, self._local.overlaps(self._local_weighted)], 1),
            ]
        )
        self._normal.diagonal().add_(RIDGE + (self._scale == torch.inf))
        if self.stiffness is not None:
            scale = self._scale[: self.steps]
            self._normal[: self.steps, : self.steps] += self.stiffness / scale / scale[:, None]
        self._free = torch.linalg.inv(exact(self._normal)).to(self._normal)

    @property
    def steps(self) -> int:
        """How many of the coefficients are errors of shifts."""
        return 2 if self.windows is None else 2 * len(self.windows)

    def solve(
        self, frames: Tensor, *, robust: bool = False, in_time: bool = False, moved: Tensor | None = None
    ) -> Solution:
        """Fit registered frames (n, h*w).

        Parameters
        ----------
        robust : bool
            Weigh down pixels that don't fit, while there are no atoms yet.
        in_time : bool
            Frames are consecutive: use the prior from neighbours.
        moved : Tensor (n, 2 P), optional
            The parts' shifts that were undone in ``frames``, for the prior on them.
        """
        steps, right = self.steps, self._project(frames)
        if self.stiffness is not None and moved is not None:
            right[:, :steps] += moved @ self.stiffness / self._scale[:steps]
        theta = right @ self._free
        if robust:
            theta = self._reweighted(frames, theta)
        extra = torch.zeros_like(self._normal.diagonal())
        if in_time and len(frames) >= MIN_FRAMES_IN_TIME:
            theta, extra = self._with_prior(right, theta, self._free.diagonal())
        smooth_part, brightness = theta.split([len(self._smooth), len(self.atoms)], 1)
        residual = torch.addmm(frames, smooth_part, self._smooth, alpha=-1)
        self._local.subtract_from(residual, brightness)
        squares = torch.cat([some.square() @ self.precision for some in residual.split(FEW)])
        misfit = (squares / (self.precision > 0).sum().clamp_min(1)).sqrt()
        theta = theta / self._scale
        brightness = theta[:, len(self._smooth) :]
        normal = self._normal + torch.diag(extra)
        return Solution(theta[:, :steps], brightness, misfit, residual, normal, self._scale)

    def _project(self, images: Tensor) -> Tensor:
        """Weighted products of images (n, h*w) with the basis, (n, 2 + M + K)."""
        return torch.cat([images @ self._smooth_weighted.T, self._local_weighted.project(images)], 1)

    def _reweighted(self, frames: Tensor, theta: Tensor, rounds: int = 2) -> Tensor:
        """Huber's regression by iteratively reweighted least squares; there are no atoms yet."""
        size = len(self._smooth)
        upper = torch.triu_indices(size, size, device=frames.device)
        # The first rounds place frames roughly; a few of many pixels do that as well.
        step = max(1, frames.shape[1] // ROBUST_PIXELS)
        looked = [values[..., ::step].contiguous() for values in (self._smooth, frames, self.precision)]
        for _ in range(rounds):
            products = frames.new_zeros(len(frames), upper.shape[1])
            right = frames.new_zeros(len(frames), size)
            for images, some, precision in zip(
                *(values.split(FEW_PIXELS, -1) for values in looked), strict=True
            ):
                residual = torch.addmm(some, theta, images, alpha=-1).abs_()
                spread = 1.2533 * residual.mean(0).clamp_min(1e-30)
                weights = (HUBER * spread / residual.clamp_min_(1e-30)).clamp_max_(1).mul_(precision)
                products.addmm_(weights, (images[upper[0]] * images[upper[1]]).T)
                right.addmm_(weights.mul_(some), images.T)
            normal = torch.empty(len(frames), size, size, device=frames.device)
            normal[:, upper[0], upper[1]] = normal[:, upper[1], upper[0]] = products
            normal.diagonal(dim1=1, dim2=2).add_(RIDGE / step + (self._scale == torch.inf))
            theta = torch.linalg.solve(normal, right)
        return theta

    def _with_prior(self, right: Tensor, theta: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        steps = self.steps
        mean, spread = predict_from_neighbours(theta[:, steps:])
        noise = noise[steps:]
        prior = (spread - noise).clamp_min(0.05 * noise)
        surprise = (theta[:, steps:] - mean).square()
        variance = prior + (surprise - SURPRISE**2 * (prior + noise)).clamp_min(0)
        precision = functional.pad(1 / variance, (steps, 0))
        target = right + functional.pad(mean / variance, (steps, 0))
        return conjugate_gradients(self._normal, precision, target, theta), precision.median(0).values

    def blinking(self, power: Tensor, noise: Tensor, threshold: float, limit: int) -> Tensor:
        """Places (P, 2) where cell-sized residuals exceed noise, the strongest ``limit`` of them.

        Parameters
        ----------
        power : Tensor (h, w)
            Mean square of residuals after :meth:`band_pass`.
        noise : Tensor (h, w)
            Their expectation from noise alone.
        threshold : float
            Least ratio of the two.
        limit : int
        """
        ratio = power / noise.clamp_min(1e-30) * self.inside
        size = 2 * max(1, round(0.35 * self.cell_diameter)) + 1
        peak = functional.max_pool2d(ratio[None, None], size, 1, size // 2)[0, 0]
        places = ((ratio == peak) & (ratio > threshold)).nonzero()
        order = ratio[places[:, 0], places[:, 1]].argsort(descending=True)
        return places[order[:limit]]

    def band_pass(self, images: Tensor) -> Tensor:
        """Keep what has the size of a cell in images (..., h, w)."""
        return smooth(images, self.cell_diameter / FWHM) - smooth(images, self.cell_diameter)

    def learn_atoms(self, numerator: LocalImages, denominator: Tensor, rate: float) -> None:
        """Move each atom by ``rate`` times ``numerator / denominator`` (K,), within its reach."""
        step = numerator.scaled(rate / denominator.clamp_min(1e-30))
        for atom, change, shape in zip(self.atoms.blocks, step.blocks, self.shapes.blocks, strict=True):
            atom.add_(change).mul_(shape > 0)

    def add_atoms(self, places: Tensor) -> None:
        """Add Gaussian atoms of a cell's size at places (P, 2)."""
        known = len(self.atoms)
        together = torch.cat([self.places, places])
        order = together[:, 0].argsort(stable=True)
        self.places, learned = together[order], self.atoms
        self.shapes = _atoms(self.places, self.cell_diameter, self.template)
        self.atoms = self.shapes.map(lambda block, *_: block.clone())
        self.atoms.take(learned, order.argsort()[:known])


def _atoms(places: Tensor, cell_diameter: float, field: Tensor) -> LocalImages:
    height, width = field.shape
    return LocalImages.gaussians(places, cell_diameter / FWHM, SUPPORT * cell_diameter, (height, width))


def _cosines(length: int, count: int, device: torch.device) -> Tensor:
    place = (torch.arange(length, device=device) + 0.5) * (math.pi / length)
    return torch.cos(place * torch.arange(count, device=device)[:, None])
