"""Whether the contrast of frames comes and goes: in fog, in glare, behind a drop of condensation.

Light that is alike everywhere comes to the tissue's then, or in its place, and no multiple of a template
shows that. Knows tensors only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from calcium_lightning.preprocess.motion.registration import FEW, Correlator

#: contrast that wanders by more than this share (standard deviation over time, without what differs from
#: one frame to the next) isn't cells that light up: of 34 recordings .02 to .12 (with fog on a part of the
#: field, too), of nine with fog, glare, stray light or another gamma .15 to .48
WANDERS = 0.14


def contrast_wanders(correlate: Correlator, registered: Tensor, template: Tensor) -> bool:
    """Whether frames show their template, in the band of cells, more or less strongly than their light says.

    Parameters
    ----------
    correlate : Correlator
        Of the field.
    registered : Tensor, float32 (n, h, w)
        Some frames of all over a session, in order, moved back.
    template : Tensor (h, w)
    """
    light = registered.mean((1, 2))
    if len(registered) < 3 or not bool((light > 0).all()):
        return False
    reference = correlate.transform(template[None])[0].conj_physical()
    shown = [(correlate.transform(few) * reference).real.sum((1, 2)) for few in registered.split(FEW)]
    contrast = torch.cat(shown) / light
    contrast = contrast / contrast.median()
    # Half of what neighbours differ by is what each frame has of its own.
    slow = contrast.var() - contrast.diff().square().mean() / 2
    return bool(slow > WANDERS**2)
