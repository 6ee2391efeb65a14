"""What a registered frame shows, so that motion isn't mistaken for it: a linear model, solved for all frames.

A frame that was moved by almost the right shift is ::

    template + (error of the shift) . gradient + smooth modes . template + cells + noise

Smooth modes take up a drifting background *and* the static vignette, which moves against the registered
tissue; small local images ("atoms") at places that blink take up cells. All coefficients of all frames come
from one small constant normal matrix, with noise-variance weights. A cell's brightness is alike in
neighbouring frames while the motion isn't: a prior from the neighbours in time, with a variance learned per
coefficient and given up where a cell lights up, wins back most of the precision that free cells cost.

Knows registered tensors only, neither files nor how frames are moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from calcium_lightning.preprocess.registration import FWHM, smooth

#: relative ridge that keeps the normal matrix invertible where there is no contrast
RIDGE = 1e-5
#: a residual beyond so many of its standard deviations weighs less (Huber 1964)
HUBER = 1.5
#: time constants, frames, among which a coefficient's prior chooses
TIME_CONSTANTS = (1.0, 2.0, 4.0, 8.0, 16.0)
#: fewer frames than this say nothing about time
MIN_FRAMES_IN_TIME = 16
#: a coefficient that differs by more standard deviations from its neighbours in time is left free
SURPRISE = 2.0
#: conjugate-gradient steps
SOLVER_STEPS = 15


@dataclass
class Solution:
    """Coefficients of a block of frames.

    Attributes
    ----------
    steps : Tensor (n, 2)
        Error of the shifts, pixels: to be subtracted from them.
    std : Tensor (n, 2)
        Its standard error from noise and from the coefficients' freedom, pixels.
    atoms : Tensor (n, K)
        Brightness of the atoms.
    misfit : Tensor (n,)
        Root mean square of the weighted residual; 1 is noise.
    residual : Tensor (n, h*w)
    """

    steps: Tensor
    std: Tensor
    atoms: Tensor
    misfit: Tensor
    residual: Tensor


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
    atoms, support : Tensor (K, h*w)
        Local images and where they may be non-zero.
    """

    cell_diameter: float
    inside: Tensor
    modes: Tensor
    modulated: bool
    template: Tensor
    precision: Tensor
    atoms: Tensor
    support: Tensor
    _basis: Tensor = field(init=False, repr=False)
    _scale: Tensor = field(init=False, repr=False)
    _normal: Tensor = field(init=False, repr=False)
    _weighted: Tensor = field(init=False, repr=False)
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
        none = torch.zeros(0, template.numel(), device=template.device)
        model = cls(cell_diameter, inside, modes, modulated, template, inside.flatten(), none, none)
        model.update(template)
        return model

    def update(self, template: Tensor) -> None:
        """Take a new template (h, w), and whatever changed in precision and atoms, into the normal matrix."""
        self.template = template
        gradient = torch.zeros(2, *template.shape, device=template.device)
        gradient[0, 1:-1] = (template[2:] - template[:-2]) / 2
        gradient[1, :, 1:-1] = (template[:, 2:] - template[:, :-2]) / 2
        modes = self.modes * template.flatten() if self.modulated else self.modes
        basis = torch.cat([gradient.flatten(1), modes, self.atoms])
        scale = (basis.square() @ self.precision).sqrt()
        # A basis image that is invisible (a constant template has no gradient) gets a coefficient of 0.
        self._scale = torch.where(scale > 1e-6 * scale.max().clamp_min(1e-30), scale, torch.inf)
        self._basis = basis / self._scale[:, None]
        self._weighted = self._basis * self.precision
        self._normal = self._weighted @ self._basis.T
        self._normal.diagonal().add_(RIDGE + (self._scale == torch.inf))
        self._free = torch.linalg.inv(self._normal.double()).float()

    def solve(self, frames: Tensor, *, robust: bool = False, in_time: bool = False) -> Solution:
        """Fit registered frames (n, h*w).

        Parameters
        ----------
        robust : bool
            Weigh down pixels that don't fit, while there are no atoms yet.
        in_time : bool
            Frames are consecutive: use the prior from neighbours.
        """
        right = frames @ self._weighted.T
        theta = right @ self._free
        if robust:
            theta = self._reweighted(frames, theta)
        extra = torch.zeros_like(self._normal.diagonal())
        if in_time and len(frames) >= MIN_FRAMES_IN_TIME:
            theta, extra = self._with_prior(right, theta, self._free.diagonal())
        residual = frames - theta @ self._basis
        misfit = ((residual.square() @ self.precision) / (self.precision > 0).sum().clamp_min(1)).sqrt()
        covariance = torch.linalg.inv((self._normal + torch.diag(extra)).double()).float()
        std = covariance.diagonal()[:2].clamp_min(0).sqrt() / self._scale[:2]
        theta = theta / self._scale
        first_atom = 2 + len(self.modes)
        return Solution(theta[:, :2], std.expand(len(frames), 2), theta[:, first_atom:], misfit, residual)

    def _reweighted(self, frames: Tensor, theta: Tensor, rounds: int = 2) -> Tensor:
        """Huber's regression by iteratively reweighted least squares."""
        size = len(self._basis)
        upper = torch.triu_indices(size, size, device=frames.device)
        products = self._basis[upper[0]] * self._basis[upper[1]]
        for _ in range(rounds):
            residual = frames - theta @ self._basis
            spread = 1.2533 * residual.abs().mean(0).clamp_min(1e-6)
            weights = self.precision * (HUBER * spread / residual.abs().clamp_min(1e-6)).clamp_max(1)
            normal = torch.empty(len(frames), size, size, device=frames.device)
            normal[:, upper[0], upper[1]] = normal[:, upper[1], upper[0]] = weights @ products.T
            normal.diagonal(dim1=1, dim2=2).add_(RIDGE + (self._scale == torch.inf))
            theta = torch.linalg.solve(normal, (weights * frames) @ self._basis.T)
        return theta

    def _with_prior(self, right: Tensor, theta: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = predict_from_neighbours(theta[:, 2:])
        noise = noise[2:]
        prior = (spread - noise).clamp_min(0.05 * noise)
        surprise = (theta[:, 2:] - mean).square()
        variance = prior + (surprise - SURPRISE**2 * (prior + noise)).clamp_min(0)
        precision = functional.pad(1 / variance, (2, 0))
        target = right + functional.pad(mean / variance, (2, 0))
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
        ratio = power / noise.clamp_min(1e-12) * self.inside
        size = 2 * max(1, round(0.35 * self.cell_diameter)) + 1
        peak = functional.max_pool2d(ratio[None, None], size, 1, size // 2)[0, 0]
        places = ((ratio == peak) & (ratio > threshold)).nonzero()
        order = ratio[places[:, 0], places[:, 1]].argsort(descending=True)
        return places[order[:limit]]

    def band_pass(self, images: Tensor) -> Tensor:
        """Keep what has the size of a cell in images (..., h, w)."""
        return smooth(images, self.cell_diameter / FWHM) - smooth(images, self.cell_diameter)

    def add_atoms(self, places: Tensor) -> None:
        """Add Gaussian atoms of a cell's size at places (P, 2)."""
        height, width = self.template.shape
        y = torch.arange(height, device=places.device) - places[:, :1]
        x = torch.arange(width, device=places.device) - places[:, 1:]
        distance2 = (y.square()[:, :, None] + x.square()[:, None]).flatten(1).float()
        sigma = self.cell_diameter / FWHM
        self.atoms = torch.cat([self.atoms, torch.exp(-0.5 * distance2 / sigma**2)])
        self.support = torch.cat([self.support, (distance2 <= (1.1 * self.cell_diameter) ** 2).float()])


def predict_from_neighbours(values: Tensor) -> tuple[Tensor, Tensor]:
    """Prediction of each value from those before and after it, not from itself.

    Two-sided exponentials; each column takes the time constant that predicts it best.

    Parameters
    ----------
    values : Tensor (n, K)

    Returns
    -------
    mean : Tensor (n, K)
    spread : Tensor (K,)
        Robust mean square of the prediction's error.
    """
    lines = values.T[:, None]
    best_mean, best_spread = values, torch.full_like(values[0], torch.inf)
    for constant in TIME_CONSTANTS:
        reach = min(int(3 * constant) + 1, len(values) - 1)
        kernel = torch.exp(-torch.arange(-reach, reach + 1, device=values.device).abs() / constant)
        kernel[reach] = 0
        total = functional.conv1d(torch.ones_like(lines[:1]), kernel[None, None], padding=reach)
        mean = (functional.conv1d(lines, kernel[None, None], padding=reach) / total)[:, 0].T
        error = (values - mean).square()
        # Most of the time most cells rest; a few onsets must not count for all.
        spread = torch.minimum(error, 9 * (values - mean).abs().mean(0).square()).mean(0)
        better = spread < best_spread
        best_mean = torch.where(better, mean, best_mean)
        best_spread = torch.where(better, spread, best_spread)
    return best_mean, best_spread


def conjugate_gradients(normal: Tensor, extra: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """Solve (normal + diag(extra[t])) x[t] = target[t] for all rows t at once, Jacobi-preconditioned."""
    scale = 1 / (normal.diagonal() + extra)
    solution = start
    rest = target - solution @ normal - extra * solution
    direction = conditioned = scale * rest
    power = (rest * conditioned).sum(1, keepdim=True)
    for _ in range(SOLVER_STEPS):
        image = direction @ normal + extra * direction
        step = power / (direction * image).sum(1, keepdim=True).clamp_min(1e-30)
        solution = solution + step * direction
        rest = rest - step * image
        conditioned = scale * rest
        previous, power = power, (rest * conditioned).sum(1, keepdim=True)
        direction = conditioned + power / previous.clamp_min(1e-30) * direction
    return solution


def _cosines(length: int, count: int, device: torch.device) -> Tensor:
    place = (torch.arange(length, device=device) + 0.5) * (math.pi / length)
    return torch.cos(place * torch.arange(count, device=device)[:, None])
