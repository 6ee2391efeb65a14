"""The Gaussian-splat decoder: paints coordinates.

For: an image of blobs at sub-pixel positions, differentiable with respect to position, amplitude, sigma and
angle, whose cost is that of the pixels that the blobs touch.
Must not know: where the coordinates come from, or what the image is compared with.

Each blob is ``amplitude * exp(-(u² / sigma_0² + v² / sigma_1²) / 2)`` with ``u = cos(angle) dy + sin(angle)
dx`` and ``v = -sin(angle) dy + cos(angle) dx``: the angle is that of the first axis, from the y axis towards
the x axis.

Blobs end at ``truncate`` standard deviations or further out: with the default of 4, at most exp(-8) = 0.00034
of their peak is cut off anywhere. Nothing is subtracted to make the cut continuous: it would bias the
amplitude by as much as the cut does, everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calcium_lightning.core.device import full_precision
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.nn.coordinates import Coordinates
from calcium_lightning.nn.splat_autograd import PatchSplat, ProfileSplat

# Nanoseconds on one core, forward and backward (measured): per pixel of a patch, per splat and pixel of a
# field as a matrix product, and per pixel of a profile.
PATCH_COST, PRODUCT_COST, PROFILE_COST = 3.0, 0.065, 4.0


def splat(
    positions: Tensor,
    amplitude: Tensor,
    sigma: Tensor,
    angle: Tensor | None,
    size: tuple[int, int],
    truncate: float = 4.0,
    valid: Tensor | None = None,
    largest: float | None = None,
) -> Tensor:
    """Paint Gaussians.

    Parameters
    ----------
    positions : Tensor
        (B, N, 2): (y, x), pixels; may lie outside the field.
    amplitude : Tensor
        (B, N): peak values, of either sign.
    sigma : Tensor
        (B, N, 2) positive: standard deviations along the two axes, pixels; or (B, N, 1) for round ones.
    angle : Tensor, optional
        (B, N): angle of the first axis from the y axis towards the x axis, radians. Without it the axes are y
        and x, and painting is faster.
    size : (int, int)
        Height and width of the images.
    truncate : float
        Standard deviations that are painted at least; the error is at most exp(-truncate² / 2) of each peak.
    valid : Tensor, optional
        (B, N) bool: False for places that hold no splat; whatever is there gets no gradient, NaN included.
    largest : float, optional
        No ``sigma`` is larger, pixels; away from the CPU, a splat is painted no farther out than one of that
        size, and nothing waits for the device. Without it, or on the CPU, the splats themselves are asked.

    Returns
    -------
    Tensor
        (B, H, W), float32 (float64 where the positions are).

    Examples
    --------
    >>> image = splat(torch.tensor([[[2.0, 3.0]]]), torch.tensor([[5.0]]), torch.ones(1, 1, 1), None, (6, 8))
    >>> image.shape, float(image[0, 2, 3])
    (torch.Size([1, 6, 8]), 5.0)
    """
    batch, count = amplitude.shape
    if positions.shape != (batch, count, 2) or sigma.shape not in {(batch, count, 1), (batch, count, 2)}:
        raise ValueError(
            f"splats need positions (B, N, 2), amplitude (B, N) and sigma (B, N, 1 or 2); they have "
            f"{tuple(positions.shape)}, {tuple(amplitude.shape)}, {tuple(sigma.shape)}"
        )
    size = (int(size[0]), int(size[1]))
    dtype = torch.promote_types(positions.dtype, torch.float32)
    if sigma.shape[-1] == 1:
        angle = None  # a circle has none
    if valid is not None:
        positions = torch.where(valid[..., None], positions, 0.0)
        amplitude = torch.where(valid, amplitude, 0.0)
        sigma = torch.where(valid[..., None], sigma, 1.0)
        angle = None if angle is None else torch.where(valid, angle, 0.0)
    positions, amplitude, sigma = positions.to(dtype), amplitude.to(dtype), sigma.to(dtype).expand(-1, -1, 2)
    angle = None if angle is None else angle.to(dtype)
    if batch * count == 0:
        # Keeps the graph: a loss on an empty image still has (zero) gradients.
        return positions.new_zeros(batch, *size) + amplitude.sum()
    with full_precision(positions.device):
        image: Tensor
        if positions.device.type == "cpu":
            largest = None  # to ask is free, and small splats are painted faster
        if angle is None and _product_is_faster(sigma, size, truncate, largest):
            image = ProfileSplat.apply(positions, amplitude, sigma, size)  # type: ignore[no-untyped-call]
        else:
            image = PatchSplat.apply(  # type: ignore[no-untyped-call]
                positions, amplitude, sigma, angle, valid, size, float(truncate), largest
            )
    return image


def splat_dense(
    positions: Tensor, amplitude: Tensor, sigma: Tensor, angle: Tensor | None, size: tuple[int, int]
) -> Tensor:
    """Paint Gaussians everywhere, by the formula: the slow reference for `splat` (B, N, H, W in memory).

    Parameters
    ----------
    positions, amplitude, sigma, angle, size
        As in `splat`; computed in their own precision.

    Returns
    -------
    Tensor
        (B, H, W).
    """
    y = torch.arange(size[0], device=positions.device, dtype=positions.dtype)[:, None]
    x = torch.arange(size[1], device=positions.device, dtype=positions.dtype)
    dy, dx = y - positions[..., :1, None], x - positions[..., 1:, None]
    along, across = sigma[..., :1, None], sigma[..., -1:, None]
    if angle is None:
        exponent = (dy / along) ** 2 + (dx / across) ** 2
    else:
        cos, sin = torch.cos(angle)[..., None, None], torch.sin(angle)[..., None, None]
        exponent = ((cos * dy + sin * dx) / along) ** 2 + ((cos * dx - sin * dy) / across) ** 2
    return (amplitude[..., None, None] * torch.exp(-0.5 * exponent)).sum(dim=1)


class SplatDecoder(nn.Module):
    """Paint `Coordinates`.

    Parameters
    ----------
    shape : {'isotropic', 'anisotropic', 'fixed'}
        'anisotropic' paints ellipses, 'isotropic' circles of the same area, 'fixed' circles of ``sigma`` (the
        prior of a training's first steps, or of a session with few active cells).
    sigma : float
        Standard deviation of 'fixed', pixels.
    truncate : float
        As in `splat`.
    expected : bool
        Paint amplitude times probability, which is the mean over whether a blob is there; otherwise the
        amplitude.
    largest : float
        Largest standard deviation that the coordinates have, pixels, as in `splat`; default: what
        :class:`~calcium_lightning.nn.head.CoordinateHead` gives at most.
    """

    def __init__(
        self,
        shape: str = "anisotropic",
        sigma: float = CELL_SIGMA,
        truncate: float = 4.0,
        *,
        expected: bool = True,
        largest: float = 2 * CELL_SIGMA,
    ) -> None:
        super().__init__()
        if shape not in ("isotropic", "anisotropic", "fixed"):
            raise InputError(f"decoder: shape={shape!r} is not known; choose isotropic, anisotropic or fixed")
        if sigma <= 0 or truncate <= 0 or largest <= 0:
            raise InputError(
                f"decoder: sigma={sigma}, truncate={truncate} and largest={largest} must be positive"
            )
        self.shape = shape
        self.sigma = sigma
        self.truncate = truncate
        self.expected = expected
        self.largest = largest

    def forward(self, coordinates: Coordinates, size: tuple[int, int]) -> Tensor:
        """Paint the valid ones of (B, N) coordinates into images (B, H, W) of ``size``."""
        amplitude = coordinates.amplitude
        if self.expected:
            amplitude = amplitude * coordinates.probability
        sigma, angle = coordinates.sigma, None
        if self.shape == "anisotropic":
            angle = coordinates.angle
        elif self.shape == "isotropic":
            sigma = sigma.prod(dim=-1, keepdim=True).sqrt()
        else:
            sigma = torch.full_like(sigma[..., :1], self.sigma)
        largest = self.sigma if self.shape == "fixed" else self.largest
        return splat(
            coordinates.positions, amplitude, sigma, angle, size, self.truncate, coordinates.valid, largest
        )


def _product_is_faster(
    sigma: Tensor, size: tuple[int, int], truncate: float, largest: float | None = None
) -> bool:
    """Compare what the two ways of painting would cost per splat."""
    height, width = size
    product = height * width * PRODUCT_COST + (height + width) * PROFILE_COST
    if (
        product < PATCH_COST * 5**2
    ):  # not worth asking how large the splats are, which waits for a graphics card
        return True
    radius = truncate * (float(sigma.detach().mean()) if largest is None else largest)
    return product < PATCH_COST * (2 * radius + 1) ** 2
