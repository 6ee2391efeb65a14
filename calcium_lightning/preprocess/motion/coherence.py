"""How alike the parts of a field move: a prior on their shifts, learned from the shifts themselves.

Neighbouring places of a grid differ by a Gaussian whose width is learned by expectation maximisation
(Dempster, Laird & Rubin 1977). Knows tensors of shifts, not where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from calcium_lightning.core.device import exact

#: steps of expectation maximisation at a time
STEPS = 100


@dataclass(frozen=True)
class CoherencePrior:
    """Prior on the shifts of P places; coefficients are (dy, dx) of the first, of the second, and so on.

    Attributes
    ----------
    differences : Tensor (P, P)
        The form that gives the sum of squared differences between neighbours.
    spread : Tensor (P, P)
        The form that gives the variance over the field of what the places span.
    least : float
        Least standard deviation of a difference, pixels.
    """

    differences: Tensor
    spread: Tensor
    least: float

    @classmethod
    def of(cls, count: tuple[int, int], windows: Tensor, least: float) -> CoherencePrior:
        """Return the prior for places in rows and columns, whose shares in each pixel are (P, h*w)."""
        index = torch.arange(count[0] * count[1], device=windows.device).view(count)
        down = torch.stack([index[1:], index[:-1]], -1).flatten(0, 1)
        right = torch.stack([index[:, 1:], index[:, :-1]], -1).flatten(0, 1)
        unit = torch.eye(index.numel(), device=windows.device)
        pairs = unit[torch.cat([down, right])]
        steps = pairs[:, 0] - pairs[:, 1]
        shares = windows.mean(1)
        spread = windows @ windows.T / windows.shape[1] - shares[:, None] * shares
        return cls(steps.T @ steps, spread, least)

    def stiffness(self, moments: Tensor) -> Tensor:
        """Prior precision (2 P, 2 P) under which neighbours differ as in these second moments (2 P, 2 P)."""
        result, differences = torch.zeros_like(moments), self.differences.to(moments.device)
        for axis in (0, 1):
            squared = (differences * moments[axis::2, axis::2]).sum() / (len(differences) - 1)
            result[axis::2, axis::2] = differences / squared.clamp_min(self.least**2)
        return result

    def learn(self, shifts: Tensor, covariance: Tensor, stiffness: Tensor | None) -> tuple[Tensor, Tensor]:
        """Learn the prior from the shifts of many frames.

        Parameters
        ----------
        shifts : Tensor (n, P, 2)
        covariance : Tensor (2 P, 2 P)
            Of their errors, the same in all frames.
        stiffness : Tensor (2 P, 2 P), optional
            The prior precision under which they were found.

        Returns
        -------
        stiffness : Tensor (2 P, 2 P)
        moments : Tensor (2 P, 2 P)
            Second moments of the shifts, noise taken off.
        """
        flat, covariance = exact(shifts.flatten(1)), exact(covariance)
        scatter = flat.T @ flat / len(flat)
        if stiffness is None or not (covariance.diagonal() > 0).all():  # a place where nothing is to be seen
            moments = scatter + covariance
            return self.stiffness(moments).to(shifts), moments.to(shifts)
        learned, told = exact(stiffness), torch.linalg.inv(covariance)
        data = told - learned
        # What the shifts would be under another prior follows from what they are: no frame is needed again.
        for _ in range(STEPS):
            learned = self.stiffness(scatter + covariance)
            now = torch.linalg.inv(data + learned)
            change = now @ told
            scatter, covariance, told = change @ scatter @ change.T, now, data + learned
        return learned.to(shifts), (scatter + covariance).to(shifts)

    def disagreement(self, moments: Tensor) -> float:
        """Root mean square over the field of the length of what isn't common to it, pixels."""
        variance = sum((self.spread * moments[axis::2, axis::2]).sum() for axis in (0, 1))
        return max(0.0, float(variance)) ** 0.5
