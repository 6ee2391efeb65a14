"""The motion of a session, sub-pixel, in one stream over its frames: of the whole field, or by places.

Where to ask for it; how it is found is in :mod:`~calcium_lightning.preprocess.motion.rigid` and
:mod:`~calcium_lightning.preprocess.motion.nonrigid`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from calcium_lightning.core.frames import Frames
from calcium_lightning.preprocess.motion.nonrigid import PatchEstimator, remaining
from calcium_lightning.preprocess.motion.patches import PatchGrid
from calcium_lightning.preprocess.motion.rigid import RigidEstimator, check_diameter
from calcium_lightning.preprocess.motion.sharpness import sharper
from calcium_lightning.preprocess.motion.types import AUTO, Motion, MotionSettings

__all__ = ["Motion", "MotionSettings", "estimate_motion", "followed"]

#: motion that differs over the field by less, cell diameters, isn't followed unless that is asked for
WORTH_FOLLOWING = 0.03


def estimate_motion(
    session: Frames,
    settings: MotionSettings | None = None,
    cell_diameter_px: float = 12.0,
    device: torch.device | str = "cpu",
    advance: Callable[[int], Any] | None = None,
) -> Motion:
    """Estimate the motion of every frame: of the whole field, or at the places of ``settings.patches``.

    Parameters
    ----------
    session : Session or anything with ``shape`` and ``frames(start, stop)``
    settings : MotionSettings, optional
    cell_diameter_px : float
        Full width at half maximum of a typical cell, pixels of the session.
    device : torch.device or str
    advance : callable, optional
        Called with a number of frames as they are done.

    Returns
    -------
    Motion
        With ``patches``, but where the field was asked to move as one or does, or motion isn't told.

    Raises
    ------
    InputError
        If the cell diameter isn't positive or exceeds the field, or there are more places than the field has
        room for.
    """
    settings, field, where = settings or MotionSettings(), session.shape[1:], torch.device(device)
    check_diameter(cell_diameter_px, field)
    grid = PatchGrid.of(settings.patches, field, cell_diameter_px)
    with torch.inference_mode():
        estimator = RigidEstimator(session, settings, cell_diameter_px, where, advance)
        rigid = estimator.run()
        if not rigid.told or rigid.lost.all():
            return rigid
        if grid is not None:
            return PatchEstimator(session, settings, cell_diameter_px, where, rigid, grid).run()
        rigid = replace(rigid, nonrigid=remaining(estimator))
    return rigid if settings.patches != AUTO else followed(session, rigid, settings, cell_diameter_px, where)


def followed(
    session: Frames,
    rigid: Motion,
    settings: MotionSettings,
    cell_diameter_px: float,
    device: torch.device | str = "cpu",
) -> Motion:
    """Motion at 2 x 2 places where it differs over the field; where it doesn't, the field's, as it is.

    Parameters
    ----------
    session, settings, cell_diameter_px, device
        As of :func:`estimate_motion`.
    rigid : Motion
        Of the whole field.
    """
    grid = PatchGrid.smallest(session.shape[1:], cell_diameter_px)
    least = WORTH_FOLLOWING * cell_diameter_px
    if grid is None or not rigid.told or rigid.nonrigid < least:
        return rigid
    with torch.inference_mode():
        places = PatchEstimator(session, settings, cell_diameter_px, torch.device(device), rigid, grid)
        differing = places.run()
    if places.model is None or differing.nonrigid < least:
        return rigid
    return differing if sharper(differing, rigid, places.model.inside.cpu().numpy() > 0) else rigid
