"""Shades that stand still while the tissue moves: the soft edge of a lens, seen from the tissue.

In registered frames such a shade moves. For motion that is small against its width, what it does to a pixel
is linear in the motion, and is regressed on it, robustly, near the edges of the field: a cell's activity has
nothing to do with where the field happens to be. Knows prepared sessions.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from calcium_lightning.core.scale import MAD_TO_STD, NETWORK_DIAMETER
from calcium_lightning.preprocess.prepared import Prepared

#: frames that are looked at, in runs of so many
FRAMES, RUN = 384, 8
#: how far from an edge its shade reaches, network pixels: in full, and at all
NEAR, FAR = 1.5 * NETWORK_DIAMETER, 3.0 * NETWORK_DIAMETER
#: residuals beyond so many of their usual size are cut
CUT = 1.5


def standing_shade(prepared: Prepared, device: torch.device | str = "cpu") -> Tensor | None:
    """How much each pixel brightens as the field moves by a pixel along y and along x.

    Parameters
    ----------
    prepared : Prepared
        With its baseline, and without a shade.
    device : torch.device or str
        Where to compute.

    Returns
    -------
    Tensor, float32 (2, h, w), or None
        Frames' units per session pixel; 0 far from edges. None where the whole field shows tissue, or it
        doesn't move.
    """
    usable, count = prepared.usable, prepared.shape[0]
    if usable is None or np.ptp(prepared.shifts, 0).max() < 0.5:
        return None
    weight = _near_edges(prepared, usable)
    details, moves = [], []
    for start in np.unique(np.linspace(0, max(0, count - RUN), FRAMES // RUN).astype(int)):
        stop = min(int(start) + RUN, count)
        frames = torch.from_numpy(prepared.session.frames(int(start), stop).astype(np.float32)).to(device)
        detail = prepared.detail_of(frames, int(start)).cpu()
        detail[~prepared.inside(int(start), stop)] = torch.nan
        details.append(detail.flatten(1)[:, weight.flatten() > 0])
        moves.append(torch.from_numpy(prepared.shifts[int(start) : stop]))
    values, shifts = torch.cat(details), torch.cat(moves)
    shade = torch.zeros(2, weight.numel())
    shade[:, weight.flatten() > 0] = _regressed(values, shifts - shifts.median(0).values)
    return shade.view(2, *weight.shape) * weight


def _near_edges(prepared: Prepared, usable: Tensor) -> Tensor:
    """1 near pixels without tissue, falling to 0, (h, w)."""
    rows, columns = prepared.scale.size
    y, x = (
        np.clip(np.round((np.arange(size) + 0.5) * length / size - 0.5).astype(int), 0, length - 1)
        for size, length in zip((rows, columns), usable.shape, strict=True)
    )
    distance = distance_transform_edt(usable.numpy()[np.ix_(y, x)])
    return torch.from_numpy(np.clip((FAR - distance) / (FAR - NEAR), 0, 1)).float()


def _regressed(values: Tensor, shifts: Tensor, rounds: int = 3) -> Tensor:
    """Slopes (2, P) of values (n, P) over shifts (n, 2); NaN values aren't known, outliers are cut."""
    known = values.isfinite().float()
    values = values.nan_to_num(0.0)
    design = torch.cat([shifts, torch.ones(len(shifts), 1)], 1)
    normal = torch.einsum("ni,nj,np->pij", design, design, known)
    ridge = 1e-3 * normal.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] * torch.eye(3) + 1e-6 * torch.eye(3)
    slopes = torch.zeros(values.shape[1], 3)
    rest = values
    for _ in range(rounds):
        right = torch.einsum("ni,np->pi", design, rest * known)
        slopes += torch.linalg.solve(normal + ridge, right)
        rest = values - design @ slopes.T
        # Huber's pseudo-values: what is cut pulls, but no more than a usual residual does.
        usual = MAD_TO_STD * (rest.abs() * known).sum(0) / known.sum(0).clamp_min(1)
        rest = rest.clamp(-CUT * usual, CUT * usual)
    return slopes.T[:2]
