"""The baseline detector: a matched filter and its local maxima. Never in the network's place."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.scale import CELL_SIGMA, MAD_TO_STD
from calcium_lightning.nn.coordinates import Coordinates


class BandpassDetector(nn.Module):
    """Average the window, correlate with a cell-sized Gaussian, take local maxima above a threshold.

    Has the network's ``localize``, so that either can stand in :mod:`calcium_lightning.localize`.

    Parameters
    ----------
    sigma : float
        Of the Gaussian, network pixels.
    threshold_sigmas : float
        Least height of a maximum, in standard deviations of the filtered noise.
    """

    def __init__(self, sigma: float = CELL_SIGMA, threshold_sigmas: float = 4.0) -> None:
        super().__init__()
        self.sigma = sigma
        self.threshold_sigmas = threshold_sigmas
        reach = math.ceil(3 * sigma)
        grid = torch.arange(-reach, reach + 1, dtype=torch.float32)
        self.register_buffer("profile", torch.exp(-0.5 * (grid / sigma) ** 2))
        self.profile: Tensor

    @torch.inference_mode()
    def localize(
        self, windows: Tensor, extent: Tensor | None = None, threshold: float = 0.5, count: int = 512
    ) -> Coordinates:
        """Detect cells in windows (B, taps, h, w); ``threshold`` is ignored: there is no probability."""
        mean = windows.mean(1)
        response = self._correlate(mean)
        # In units of the noise's own response, measured robustly: averaging depends on the frame rate.
        noise = response.abs().flatten(1).median(1).values[:, None, None] * MAD_TO_STD
        score = response / noise.clamp_min(1e-6)
        peak = F.max_pool2d(score[:, None], 5, 1, 2)[:, 0]
        lit = (score == peak) & (score > self.threshold_sigmas)
        strength = torch.where(lit, score, 0).flatten(1)
        top = strength.topk(min(count, strength.shape[1]), 1)
        valid = top.values > 0
        width = windows.shape[-1]
        y, x = top.indices // width, top.indices % width
        frame = torch.arange(len(windows), device=windows.device)[:, None].expand_as(y)
        positions = torch.stack(
            [y + _vertex(response, frame, y, x, 0), x + _vertex(response, frame, y, x, 1)], -1
        )
        # A blob of unit height gives this response, as the kernel sums to 1.
        gain = float((self.profile.square().sum() / self.profile.sum()) ** 2)
        amplitude = response[frame, y, x] / gain
        std = (self.sigma / top.values.clamp_min(1)).unsqueeze(-1).expand(-1, -1, 2)
        return Coordinates(
            positions=positions,
            amplitude=amplitude,
            sigma=torch.full_like(positions, self.sigma),
            angle=torch.zeros_like(amplitude),
            probability=torch.special.ndtr(top.values - self.threshold_sigmas),
            amplitude_std=torch.ones_like(amplitude),
            position_std=std.clone(),
            valid=valid,
        )

    def _correlate(self, images: Tensor) -> Tensor:
        kernel = self.profile / self.profile.sum()
        reach = len(kernel) // 2
        stack = F.pad(images[:, None], (reach, reach, reach, reach), mode="replicate")
        return F.conv2d(F.conv2d(stack, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))[:, 0]


def _vertex(response: Tensor, frame: Tensor, y: Tensor, x: Tensor, axis: int) -> Tensor:
    """Sub-pixel offset of a maximum along one axis: the vertex of a parabola through three pixels."""
    length = response.shape[1 + axis]
    here = (y, x)[axis]
    before, after = (here - 1).clamp(0, length - 1), (here + 1).clamp(0, length - 1)
    low = response[frame, before, x] if axis == 0 else response[frame, y, before]
    high = response[frame, after, x] if axis == 0 else response[frame, y, after]
    curve = low + high - 2 * response[frame, y, x]
    return torch.where(curve < -1e-9, 0.5 * (low - high) / curve, torch.zeros_like(curve)).clamp(-0.5, 0.5)
