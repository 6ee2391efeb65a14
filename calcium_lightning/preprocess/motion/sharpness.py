"""Whether a picture gets sharper when motion is followed over the field: what decides that it differs.

A place that follows its own noise, a thing that floats by or a wave of light fits its frames as well as one
that follows the tissue, but only the tissue's mean gets sharper by it (the "crispness" by which registrations
are compared: Pnevmatikakis & Giovannucci, J Neurosci Methods 2017). Knows estimates of motion, not how they
are made.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_laplace

from calcium_lightning.preprocess.motion.types import Motion, PatchShifts

#: blur of the picture before its curvature is taken, averaged pixels; and what lies so near to what no frame
#: shows isn't looked at
BLUR, MARGIN = 1.2, 4
#: how much of what differs over the field may be new in each frame, as noise is, and the mean's sharpness,
#: over that of the field that moves as one, from which motion differs then. Of recordings where it does .31
#: to .58 with 1.0014 (a field that breathes by 1 %) to 1.013 (1.5 px at the borders), and of one that jerks
#: .70 with 1.018; of others the mean gets sharper by as much only where .72 to .94 is new
SHARPER = ((0.7, 1.0012), (0.8, 1.005))
#: ... and single frames fit no worse by more than this factor: 1.001 to 1.027 there, 1.04 where 60 % of the
#: cells flash together. They may fit worse by as much more as the mean is sharper than this: where the field
#: turns by 2.5 degrees it is by 1.13, and they fit worse by 1.074
WORSE, MUCH_SHARPER = 1.035, 1.08


def sharper(differing: Motion, rigid: Motion, inside: np.ndarray) -> bool:
    """Whether motion that differs over the field fits it better than one for the whole field.

    Parameters
    ----------
    differing, rigid : Motion
        Estimates of the same frames, the first with ``patches``.
    inside : ndarray, bool (h, w)
        Averaged pixels that (nearly) all frames show.
    """
    if differing.patches is None:
        return False
    seen = binary_erosion(inside, iterations=MARGIN)
    if not seen.any():
        return False
    one, other = (float(gaussian_laplace(motion.template, BLUR)[seen].std()) for motion in (rigid, differing))
    worse = WORSE + max(0.0, other / max(one, 1e-12) - MUCH_SHARPER)
    if _misfit(differing) > worse * _misfit(rigid):
        return False
    new = _roughness(differing.patches, differing.shifts)
    return any(new < most and other > least * one for most, least in SHARPER)


def _roughness(patches: PatchShifts, shifts: np.ndarray) -> float:
    """How much of what differs over the field is new in each frame: 1 if all of it is."""
    own = patches.shifts - shifts[:, None, None]
    spread = float(np.square(own - own.mean(0)).mean())
    step = float(np.square(np.diff(own, axis=0)).mean()) if len(own) > 1 else 0.0
    return float(np.sqrt(step / (2 * spread))) if spread > 0 else 1.0


def _misfit(motion: Motion) -> float:
    """Of a typical frame to its model."""
    known = motion.residual[np.isfinite(motion.residual)]
    return float(np.median(known)) if len(known) else 0.0
