"""The two ways in which splats are painted, each with its own gradient.

For: `splat`. Nothing else should need this module.
Must not know: where splats come from; validation and the choice between the two ways are `splat`'s.

A Gaussian's gradient with respect to all of its parameters is a combination of the moments

    M_pq = sum over pixels of grad * gaussian * dy^p * dx^q,   p + q <= 2,

so the backward passes only ever sum grad against profiles, and never hold anything the size of (splats,
pixels).

`PatchSplat` visits a square patch around each splat: time and memory in proportion to the touched pixels,
whatever the frame's size. Patches are painted in blocks that fit a processor's cache and added to a canvas
whose margins catch what falls outside, so that no pixel has to be tested. A splat outside the field has its
patch at the border. `ProfileSplat` is for small frames and splats along the axes: the image is then a matrix
product of profiles, sum_n a_n y_n x_n^T, which a processor does far faster per pixel than it can address
memory.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from calcium_lightning.core.device import full_precision

# Elements per block of patches: a mebibyte of float32 stays in a core's cache; a graphics card wants large
# launches.
BLOCK_ELEMENTS = {"cpu": 1 << 18}
BLOCK_ELEMENTS_OTHERWISE = 1 << 24
# What one more bucket of splats of similar support costs, in pixels.
BUCKET_ELEMENTS = 1 << 17
# exp(-40) is nothing beside 1, and products of two such are still no denormal numbers (which are slow).
LEAST_EXPONENT = -40.0


class ProfileSplat(torch.autograd.Function):
    """Axis-aligned Gaussians as a product of two matrices of profiles, without truncation."""

    @staticmethod
    def forward(
        ctx: Any, positions: Tensor, amplitude: Tensor, sigma: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Paint (B, N) splats: positions (B, N, 2), amplitude (B, N), sigma (B, N, 2) -> (B, H, W)."""
        y, x = (_profile(positions[..., i], sigma[..., i], size[i]) for i in (0, 1))
        ctx.save_for_backward(positions, amplitude, sigma, y, x)
        ctx.size = size
        return torch.bmm((y * amplitude[..., None]).transpose(1, 2), x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Sum the gradient against the profiles."""
        positions, amplitude, sigma, y, x = ctx.saved_tensors
        with full_precision(positions.device):
            weighted_y = y * torch.bmm(x, gradient.transpose(1, 2))
            weighted_x = x * torch.bmm(y, gradient)
        zeroth = weighted_y.sum(dim=-1)
        first, second = [], []
        for i, weighted in enumerate((weighted_y, weighted_x)):
            distance = _distance(positions[..., i], ctx.size[i])
            weighted *= distance
            first.append(weighted.sum(dim=-1))
            weighted *= distance
            second.append(weighted.sum(dim=-1))
        scale = amplitude[..., None] / sigma**2
        return (
            torch.stack(first, dim=-1) * scale,
            zeroth,
            torch.stack(second, dim=-1) * scale / sigma,
            None,
        )


class PatchSplat(torch.autograd.Function):
    """Gaussians with local support, along the axes or rotated."""

    @staticmethod
    def forward(
        ctx: Any,
        positions: Tensor,
        amplitude: Tensor,
        sigma: Tensor,
        angle: Tensor | None,
        valid: Tensor | None,
        size: tuple[int, int],
        truncate: float,
        largest: float | None = None,
    ) -> Tensor:
        """Paint (B, N) splats: positions and sigma (B, N, 2), the others (B, N) -> (B, H, W).

        With the ``largest`` standard deviation there may be, nobody asks how large they are, which on a
        graphics card means to wait for it: all get the patch of that one.
        """
        batch = positions.shape[0]
        if largest is None:
            ctx.buckets = _buckets(positions, sigma, valid, size, truncate)
        else:
            radius = min(max(size), max(1, math.ceil(truncate * largest - 0.5)))
            ctx.buckets = [(radius, torch.arange(amplitude.numel(), device=amplitude.device))]
        ctx.save_for_backward(positions, amplitude, sigma, angle)
        ctx.size = size
        flat = _flat(positions, amplitude, sigma, angle)
        margin = max((radius for radius, _ in ctx.buckets), default=0)
        canvas = positions.new_zeros(batch, size[0] + 2 * margin, size[1] + 2 * margin)
        target = canvas.view(-1)
        for radius, members in ctx.buckets:
            patch = torch.arange(2 * radius + 1, device=canvas.device)
            within = (patch[:, None] * canvas.shape[2] + patch).view(1, -1)
            for block in members.split(_block_length(radius, canvas.device)):
                place = _Placement(flat, block, radius, margin, positions.shape[1], size)
                index = (place.corner[:, None] + within).view(-1)
                target.scatter_add_(0, index, place.gaussian(scaled=True).view(-1))
        return canvas[:, margin : margin + size[0], margin : margin + size[1]].contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Sum each patch of the gradient against its Gaussian."""
        positions, amplitude, sigma, angle = ctx.saved_tensors
        flat = _flat(positions, amplitude, sigma, angle)
        grads = [torch.zeros_like(values) for values in flat if values is not None]
        margin = max((radius for radius, _ in ctx.buckets), default=0)
        canvas = torch.nn.functional.pad(gradient, (margin,) * 4).contiguous()
        width = canvas.shape[2]
        for radius, members in ctx.buckets:
            length = 2 * radius + 1
            # All runs of `length` neighbouring pixels, as a view: a patch is read run by run, not pixel by
            # pixel.
            runs = canvas.view(-1).as_strided((canvas.numel() - length + 1, length), (1, 1))
            down = torch.arange(length, device=canvas.device) * width
            for block in members.split(_block_length(radius, canvas.device)):
                place = _Placement(flat, block, radius, margin, positions.shape[1], ctx.size)
                start = (place.corner[:, None] + down).view(-1)
                patch = runs.index_select(0, start).view(-1, length, length)
                with full_precision(positions.device):
                    parts = place.gradients(patch)
                for total, part in zip(grads, parts, strict=True):
                    total[block] = part
        result: list[Tensor | None] = [grads[0].view_as(positions), grads[1].view_as(amplitude)]
        result += [grads[2].view_as(sigma), grads[3].view_as(angle) if angle is not None else None]
        return (*result, None, None, None, None)


class _Placement:
    """One block of M splats and the patches that they fall on.

    ``corner`` (M,): the index of each patch's first pixel in the flattened canvas.
    """

    def __init__(
        self,
        flat: tuple[Tensor, Tensor, Tensor, Tensor | None],
        block: Tensor,
        radius: int,
        margin: int,
        per_frame: int,
        size: tuple[int, int],
    ) -> None:
        positions, amplitude, sigma, angle = flat
        self.amplitude = amplitude[block]
        self.sigma = sigma[block]
        self.angle = None if angle is None else angle[block]
        position = positions[block]
        whole = position.round().nan_to_num().long()
        centre = torch.stack([whole[:, i].clamp(0, size[i] - 1) for i in (0, 1)], dim=1)
        corner = centre + (margin - radius)
        frame = torch.div(block, per_frame, rounding_mode="floor")
        self.corner = (frame * (size[0] + 2 * margin) + corner[:, 0]) * (size[1] + 2 * margin) + corner[:, 1]
        steps = torch.arange(-radius, radius + 1, device=position.device)
        first = (centre - position)[..., None]  # in floating point: the distance from the position
        self.y, self.x = (first + steps).unbind(dim=1)

    def precision(self) -> tuple[Tensor, Tensor, Tensor]:
        """The Gaussian is exp(-(A dy² + 2 B dy dx + C dx²) / 2); each (M,)."""
        assert self.angle is not None
        a, c = (1 / self.sigma**2).unbind(dim=1)
        cos, sin = torch.cos(self.angle), torch.sin(self.angle)
        return cos * cos * a + sin * sin * c, cos * sin * (a - c), sin * sin * a + cos * cos * c

    def profiles(self) -> tuple[Tensor, Tensor]:
        """Profiles (M, P) along y and x of Gaussians along the axes."""
        y, x = self.y / self.sigma[:, :1], self.x / self.sigma[:, 1:]
        return (y * y).mul_(-0.5).exp_(), (x * x).mul_(-0.5).exp_()

    def gaussian(self, *, scaled: bool) -> Tensor:
        """Values (M, P, P), times the amplitude where ``scaled``."""
        if self.angle is None:
            y, x = self.profiles()
            return (y * self.amplitude[:, None] if scaled else y)[:, :, None] * x[:, None, :]
        a, b, c = (value[:, None] for value in self.precision())
        one = torch.ones_like(self.y)
        left = torch.stack([-0.5 * a * self.y**2, one, -b * self.y], dim=2)
        right = torch.stack([one, -0.5 * c * self.x**2, self.x], dim=1)
        values = torch.bmm(left, right).exp_()
        return values.mul_(self.amplitude[:, None, None]) if scaled else values

    def gradients(self, patch: Tensor) -> list[Tensor]:
        """Gradients to position (M, 2), amplitude (M,), sigma (M, 2) and, if there is one, angle (M,)."""
        y, x = self.y, self.x
        if self.angle is None:
            profile_y, profile_x = self.profiles()
            left = torch.stack([profile_y, profile_y * y, profile_y * y * y], dim=1)
            right = torch.stack([profile_x, profile_x * x, profile_x * x * x], dim=2)
        else:
            patch = patch * self.gaussian(scaled=False)
            left = torch.stack([torch.ones_like(y), y, y * y], dim=1)
            right = torch.stack([torch.ones_like(x), x, x * x], dim=2)
        moments = torch.bmm(torch.bmm(left, patch), right)
        m00, m10, m20 = moments[:, 0, 0], moments[:, 1, 0], moments[:, 2, 0]
        m01, m02, m11 = moments[:, 0, 1], moments[:, 0, 2], moments[:, 1, 1]
        if self.angle is None:
            scale = self.amplitude[:, None] / self.sigma**2
            first, second = torch.stack([m10, m01], dim=1), torch.stack([m20, m02], dim=1)
            return [first * scale, m00, second * scale / self.sigma]
        a, b, c = self.precision()
        cos, sin = torch.cos(self.angle), torch.sin(self.angle)
        amplitude = self.amplitude
        d_a, d_b, d_c = -0.5 * amplitude * m20, -amplitude * m11, -0.5 * amplitude * m02
        position = torch.stack([a * m10 + b * m01, b * m10 + c * m01], dim=1) * amplitude[:, None]
        along = cos * cos * d_a + sin * sin * d_c + cos * sin * d_b
        across = sin * sin * d_a + cos * cos * d_c - cos * sin * d_b
        sigma = torch.stack([along, across], dim=1) * -2 / self.sigma**3
        inverse = 1 / self.sigma**2
        twist = 2 * cos * sin * (d_c - d_a) + (cos * cos - sin * sin) * d_b
        return [position, m00, sigma, twist * (inverse[:, 0] - inverse[:, 1])]


def _buckets(
    positions: Tensor, sigma: Tensor, valid: Tensor | None, size: tuple[int, int], truncate: float
) -> list[tuple[int, Tensor]]:
    """Group the splats that touch the field by their support.

    Returns
    -------
    list of (int, Tensor)
        Radius of the patches, and the flat indices (b * N + n) of the splats painted with it.
    """
    field = torch.tensor(size, device=positions.device)
    # The first pixel left out lies at least radius + 0.5 from the position.
    radius = (truncate * sigma.amax(dim=-1) - 0.5).ceil().nan_to_num()
    reach = radius[..., None] + 1
    # Written so that what is not a number is painted, and seen.
    near = ~((positions < -reach) | (positions > field - 1 + reach)).any(dim=-1)
    radius = radius.clamp(1, max(size)).to(torch.int64)
    members = torch.nonzero((near if valid is None else near & valid).flatten())[:, 0]
    if not len(members):
        return []
    radius = radius.flatten()[members]
    counts = torch.bincount(radius).tolist()
    supports = _supports(counts)
    if len(set(supports)) == 1:
        return [(supports[0], members)]
    support = torch.tensor(supports, device=radius.device)[radius]
    used = sorted({r for r, count in zip(supports, counts, strict=True) if count})
    return [(r, members[support == r]) for r in used]


def _supports(counts: list[int]) -> list[int]:
    """For each radius, the one it is painted with, given how many splats have which.

    A radius joins the next larger bucket unless a bucket of its own saves more pixels than it costs.
    """
    bucket = len(counts) - 1
    supports = [bucket] * len(counts)
    waste = 0
    for radius in range(len(counts) - 2, -1, -1):
        waste += counts[radius] * ((2 * bucket + 1) ** 2 - (2 * radius + 1) ** 2)
        if waste > BUCKET_ELEMENTS:
            bucket, waste = radius, 0
        supports[radius] = bucket
    return supports


def _block_length(radius: int, device: torch.device) -> int:
    return max(1, BLOCK_ELEMENTS.get(device.type, BLOCK_ELEMENTS_OTHERWISE) // (2 * radius + 1) ** 2)


def _flat(
    positions: Tensor, amplitude: Tensor, sigma: Tensor, angle: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Flatten (B, N, ...) to (B * N, ...)."""
    return (
        positions.reshape(-1, 2),
        amplitude.reshape(-1),
        sigma.reshape(-1, 2),
        None if angle is None else angle.reshape(-1),
    )


def _distance(position: Tensor, length: int) -> Tensor:
    """Distances (B, N, length) of all pixels of an axis from positions (B, N)."""
    return torch.arange(length, device=position.device, dtype=position.dtype) - position[..., None]


def _profile(position: Tensor, sigma: Tensor, length: int) -> Tensor:
    """Values (B, N, length) of a one-dimensional Gaussian of height 1 at all pixels of an axis."""
    scaled = _distance(position, length) / sigma[..., None]
    return (scaled * scaled).mul_(-0.5).clamp_(min=LEAST_EXPONENT).exp_()
