"""From a regressed, filtered, noisy picture of a cell to its footprint.

The high-pass filter is undone under the knowledge that a footprint is local and non-negative; where the data
are weak it is drawn towards a Gaussian splat fitted to them.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import label
from torch import Tensor

from calcium_lightning.core.scale import CENTROID_LEVEL, FWHM
from calcium_lightning.localize.patches import Patches, Surround

#: how much a cell's shape differs from a Gaussian, relative to its peak (prior standard deviation)
SHAPE_PRIOR = 0.15
#: how far from its centre a cell is bright, and from where on there is nothing of it, network pixels
CORE, AROUND = 3.5, 5.0
#: a footprint's centre is no farther than this from where localisations showed the cell, network pixels
STRAY = 2.0
#: what is below this share of the peak is not the cell's
FLOOR = 0.05


def footprints_from_filtered(
    patches: Patches,
    filtered: Tensor,
    error: Tensor,
    surround: Surround,
    nominal_sigma: float,
    rounds: int = 8,
    places: np.ndarray | None = None,
) -> tuple[Patches, Tensor, Tensor]:
    """Undo the filter, regularise, and scale to a peak of 1.

    Parameters
    ----------
    patches : Patches
        Where the cells are.
    filtered, error : Tensor (K, P, P)
        Filtered footprints and their standard errors.
    surround : Surround
        The filter.
    nominal_sigma : float
        Standard deviation of a typical cell, network pixels.
    rounds : int
        Fixed-point rounds of ``A = max(0, filtered + blur(A))``; each shrinks the error to a third.
    places : ndarray (K, 2), optional
        Where the cells were found, network pixels of the field: centres stay within :data:`STRAY` of it.

    Returns
    -------
    footprints : Patches
        Peak 1.
    moments : Tensor, float32 (K, 5)
        Fitted splat: y, x (network pixels of the field), and the covariance yy, yx, xx.
    center_std : Tensor, float32 (K, 2)
        Standard error of y and x, network pixels.
    """
    inside = patches.inside() & torch.isfinite(error)
    filtered = torch.where(inside, filtered, 0.0)
    side = patches.values.shape[-1]
    y, x = patches.grid()
    middle = (patches.corner + side // 2).float()
    distance = (y[:, :, None] - middle[:, :1, None]) ** 2 + (x[:, None, :] - middle[:, 1:, None]) ** 2
    disc = (distance <= (side // 2) ** 2) & inside
    values = filtered.clamp_min(0) * disc
    for _ in range(rounds):
        smooth = surround.blurred(Patches(values, patches.corner, patches.size))
        values = (filtered + smooth).clamp_min(0) * disc
    estimate = filtered + surround.blurred(Patches(values, patches.corner, patches.size))
    center, covariance = fit_splats(estimate * inside, y, x, inside, nominal_sigma, places=places)
    splat = _paint(center, covariance, y, x)
    height = (splat * estimate * inside).sum((1, 2)) / (splat.square() * inside).sum((1, 2)).clamp_min(1e-6)
    height = height.clamp_min(1e-6)[:, None, None]
    relative = torch.where(inside, error / height, torch.inf)
    trust = SHAPE_PRIOR**2 / (SHAPE_PRIOR**2 + relative.square())
    shape = splat + trust * (torch.where(inside, estimate / height, 0.0) - splat)
    shape = shape.clamp_min(0) * disc
    shape = _connected(shape, splat * inside)
    peak = shape.flatten(1).amax(1).clamp_min(1e-6)[:, None, None]
    # The centre of a matched filter: sigma over the signal-to-noise ratio of the whole footprint (Thompson
    # 2002).
    fisher = (splat.square() / relative.clamp_min(1e-6).square()).sum((1, 2)).clamp_min(1e-6)
    spread = torch.stack([covariance[:, 0, 0], covariance[:, 1, 1]], 1).sqrt()
    center_std = (spread * (2 / fisher[:, None]).sqrt()).clamp(0.01, float(side))
    moments = torch.cat(
        [center, torch.stack([covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]], 1)], 1
    )
    return Patches(shape / peak, patches.corner, patches.size), moments, center_std


def fit_splats(
    values: Tensor,
    y: Tensor,
    x: Tensor,
    inside: Tensor,
    nominal_sigma: float,
    rounds: int = 10,
    places: np.ndarray | None = None,
) -> tuple[Tensor, Tensor]:
    """Gaussians fitted by adaptive moments (Bernstein & Jarvis 2002): robust to noise far from the cell.

    Parameters
    ----------
    values : Tensor (K, P, P)
        Pictures of cells, noise around zero.
    y, x : Tensor (K, P)
        Field coordinates of rows and columns.
    inside : Tensor, bool (K, P, P)
        Pixels that are known.
    nominal_sigma : float
        Where to start, pixels.
    places : ndarray (K, 2), optional
        Where the cells were found, field coordinates.

    Returns
    -------
    center : Tensor (K, 2)
        At most ``nominal_sigma`` beyond what is known.
    covariance : Tensor (K, 2, 2)
    """
    count, side = y.shape
    center = torch.stack([y.float().mean(1), x.float().mean(1)], 1)
    # Of a cell that is cut off by the border, the flank is seen: centre and width can't both be told from it,
    # and without a limit they run off together.
    least, most = _reach(y, x, inside, nominal_sigma)
    if places is None:
        least, most = least.maximum(center - side / 3), most.minimum(center + side / 3)
    else:
        # What a regression leaves of brighter neighbours would draw it away from where frames show it.
        found = torch.as_tensor(places, dtype=center.dtype)
        least, most = least.maximum(found - STRAY), most.minimum(found + STRAY).maximum(least)
    covariance = torch.eye(2).expand(count, 2, 2) * nominal_sigma**2
    low, high = (0.6 * nominal_sigma) ** 2, (1.7 * nominal_sigma) ** 2
    for _ in range(rounds):
        weight = _paint(center, covariance, y, x) * inside
        mass = weight * values.clamp_min(0)
        total = mass.sum((1, 2)).clamp_min(1e-9)
        dy = y[:, :, None] - center[:, :1, None]
        dx = x[:, None, :] - center[:, 1:, None]
        # At the border the window is one-sided: the shift that a symmetric blob would show is taken off.
        plain = weight * _paint(center, covariance, y, x)
        norm = plain.sum((1, 2)).clamp_min(1e-9)
        step = torch.stack(
            [
                (mass * dy).sum((1, 2)) / total - (plain * dy).sum((1, 2)) / norm,
                (mass * dx).sum((1, 2)) / total - (plain * dx).sum((1, 2)) / norm,
            ],
            1,
        )
        center = (center + (2 * step).clamp(-1, 1)).maximum(least).minimum(most)
        moments = torch.stack(
            [
                (mass * dy * dy).sum((1, 2)) / total,
                (mass * dy * dx).sum((1, 2)) / total,
                (mass * dx * dx).sum((1, 2)) / total,
            ],
            1,
        )
        whole = torch.stack([moments[:, 0], moments[:, 1], moments[:, 1], moments[:, 2]], 1).view(-1, 2, 2)
        # Weighting with the Gaussian itself halves the covariance.
        whole = 2 * whole + 1e-3 * torch.eye(2)
        scale, axes = torch.linalg.eigh(whole)
        whole = axes @ torch.diag_embed(scale.clamp(low, high)) @ axes.transpose(1, 2)
        covariance = 0.5 * covariance + 0.5 * whole
    return center, covariance


def _reach(y: Tensor, x: Tensor, inside: Tensor, beyond: float) -> tuple[Tensor, Tensor]:
    """First and last row and column with a known pixel, and ``beyond`` pixels more, (K, 2) each."""
    least, most = [], []
    for place, known in ((y, inside.any(2)), (x, inside.any(1))):
        least.append(torch.where(known, place, place[:, -1:]).amin(1) - beyond)
        most.append(torch.where(known, place, place[:, :1]).amax(1) + beyond)
    return torch.stack(least, 1), torch.stack(most, 1)


def _paint(center: Tensor, covariance: Tensor, y: Tensor, x: Tensor) -> Tensor:
    precision = torch.linalg.inv(covariance)
    dy = y[:, :, None] - center[:, :1, None]
    dx = x[:, None, :] - center[:, 1:, None]
    quadratic = (
        precision[:, 0, 0, None, None] * dy * dy
        + 2 * precision[:, 0, 1, None, None] * dy * dx
        + precision[:, 1, 1, None, None] * dx * dx
    )
    return torch.exp(-0.5 * quadratic)


def _connected(shape: Tensor, splat: Tensor) -> Tensor:
    """Keep the part above the floor that hangs together with the middle of what is seen of the splat."""
    count, side, _ = shape.shape
    if not count:
        return shape
    middle = splat > 0.5 * splat.flatten(1).amax(1)[:, None, None]
    peak = (shape * middle).flatten(1).amax(1).clamp_min(1e-6)
    above = (shape > FLOOR * peak[:, None, None]).numpy()
    # One mosaic with gaps, labelled at once.
    mosaic = np.zeros((count, side + 1, side + 1), bool)
    mosaic[:, :side, :side] = above
    labels, _ = label(mosaic.reshape(-1, side + 1))
    labels = labels.reshape(count, side + 1, side + 1)[:, :side, :side]
    seed = (shape * middle).flatten(1).argmax(1).numpy()
    own = labels.reshape(count, -1)[np.arange(count), seed]
    keep = torch.from_numpy((labels == own[:, None, None]) & (own > 0)[:, None, None])
    return shape * keep


def focus(shaped: Patches, filtered: Tensor, error: Tensor, noise: Tensor, centers: Tensor) -> np.ndarray:
    """Strength of the regressed picture within a cell over that around it, in units of the noise.

    Parameters
    ----------
    shaped : Patches
        K footprints.
    filtered, error : Tensor (K, P, P)
        What the regression gave for each, and its standard error.
    noise : Tensor (h, w)
        Of the movie's pixels.
    centers : Tensor (K, 2)
        Network pixels.

    Returns
    -------
    ndarray, float32 (K,)
    """
    picture = filtered * shaped.look_up(1 / noise)
    known = torch.isfinite(error) & shaped.inside()
    y, x = shaped.grid()
    distance = torch.hypot(
        (y - centers[:, :1])[:, :, None].expand_as(picture),
        (x - centers[:, 1:])[:, None, :].expand_as(picture),
    )
    strength = []
    for part in (known & (distance <= CORE), known & (distance > AROUND)):
        strength.append((picture.square() * part).sum((1, 2)) / part.sum((1, 2)).clamp_min(1))
    return (strength[0] / strength[1].clamp_min(1e-30)).sqrt().numpy()


def consistency(footprints: Patches, filtered: Tensor, error: Tensor, surround: Surround) -> np.ndarray:
    """Correlation of footprint and regressed picture over the patch.

    Parameters
    ----------
    footprints : Patches
        K of them, peak 1.
    filtered, error : Tensor (K, P, P)
        What the regression gave for each, and its standard error.
    surround : Surround
        The filter that the pictures went through.

    Returns
    -------
    ndarray, float32 (K,)
    """
    wide = surround.high_pass(footprints)
    reach = surround.reach
    core = slice(reach, reach + footprints.values.shape[-1])
    expected = wide.values[:, core, core]
    known = torch.isfinite(error) & footprints.inside()
    weight = known.float()
    count = weight.sum((1, 2)).clamp_min(1)
    a = (expected - ((expected * weight).sum((1, 2)) / count)[:, None, None]) * weight
    b = (filtered - ((filtered * weight).sum((1, 2)) / count)[:, None, None]) * weight
    norm = (a.square().sum((1, 2)) * b.square().sum((1, 2))).sqrt().clamp_min(1e-30)
    return ((a * b).sum((1, 2)) / norm).numpy()


def centroids(footprints: Patches) -> np.ndarray:
    """Centroid of the part above 30 % of the peak, network pixels, float64 (K, 2)."""
    if not len(footprints):
        return np.zeros((0, 2))
    values = footprints.values
    weight = values * (values > CENTROID_LEVEL * values.flatten(1).amax(1)[:, None, None])
    mass = weight.sum((1, 2)).clamp_min(1e-9)
    y, x = footprints.grid()
    center = torch.stack([(weight.sum(2) * y).sum(1) / mass, (weight.sum(1) * x).sum(1) / mass], 1)
    return center.double().numpy()


def shape_of(footprints: Patches, nominal_sigma: float) -> dict[str, np.ndarray]:
    """What shape footprints have, (K,) each.

    Parameters
    ----------
    footprints : Patches
        Peak 1.
    nominal_sigma : float
        Standard deviation of a typical cell, network pixels.

    Returns
    -------
    dict of str to ndarray
        ``width``: diameter of the disc as large as the part above half of the peak, over that of a typical
        cell; ``elongation``: ratio of the principal standard deviations, at least 1; ``compactness``: cosine
        of the angle between the footprint and a Gaussian of its own mass centre and of a typical cell's size.
    """
    if not len(footprints):
        return {name: np.zeros(0) for name in ("width", "elongation", "compactness")}
    values = footprints.values
    y, x = (places.float() for places in footprints.grid())
    mass = values.sum((1, 2)).clamp_min(1e-9)
    center = torch.stack([(values.sum(2) * y).sum(1) / mass, (values.sum(1) * x).sum(1) / mass], 1)
    dy, dx = (y - center[:, :1])[:, :, None], (x - center[:, 1:])[:, None, :]
    yy, xx, yx = ((values * product).sum((1, 2)) / mass for product in (dy * dy, dx * dx, dy * dx))
    middle, half = (yy + xx) / 2, torch.hypot((yy - xx) / 2, yx)
    # A pixel's own extent keeps what is one pixel wide from being endlessly long.
    elongation = ((middle + half + 1 / 12) / (middle - half).clamp_min(0).add(1 / 12)).sqrt()
    nominal = torch.exp(-0.5 * (dy * dy + dx * dx) / nominal_sigma**2) * footprints.inside()
    norm = values.square().sum((1, 2)) * nominal.square().sum((1, 2))
    area = (values > 0.5 * values.flatten(1).amax(1)[:, None, None]).sum((1, 2))
    return {
        "width": 2 * np.sqrt(area.numpy() / np.pi) / (FWHM * nominal_sigma),
        "elongation": elongation.numpy(),
        "compactness": ((values * nominal).sum((1, 2)) / norm.clamp_min(1e-12).sqrt()).numpy(),
    }
