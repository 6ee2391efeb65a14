"""All frames of a session at the network's scale, once, on disk: what cells are found in, in several passes.

Knows preprocessing and scratch files, not what is looked for.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from calcium_lightning.core.device import upload
from calcium_lightning.core.frames import at_a_time
from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.progress import progress
from calcium_lightning.localize.assemble import Images
from calcium_lightning.localize.neuropil import NODE_STEP, NeuropilSettings, remove_neuropil
from calcium_lightning.localize.peak import peak_to_noise
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.summary import RegisteredSummary


def write_foreground(
    prepared: Prepared,
    movie: ScratchMovie,
    device: torch.device | str = "cpu",
    neuropil: NeuropilSettings | None = None,
) -> Images:
    """Bring every frame of a session to the network's scale, and look at the registered frames on the way.

    Parameters
    ----------
    prepared : Prepared
        The session.
    movie : ScratchMovie
        Takes the foreground, in units of its noise.
    device : torch.device or str
        Where to compute.
    neuropil : NeuropilSettings, optional
        How what wide surroundings do in common is taken off; None leaves it in.
    """
    if neuropil is None:
        return _images(prepared, movie, _write(prepared, movie, device, None))
    size = tuple(len(range(NODE_STEP // 2, length, NODE_STEP)) for length in prepared.scale.size)
    with ScratchMovie((size[0], size[1])) as background:
        summary = _write(prepared, movie, device, background)
        remove_neuropil(movie, background, prepared.knots.numpy(), neuropil)
    return _images(prepared, movie, summary)


def _images(prepared: Prepared, movie: ScratchMovie, summary: RegisteredSummary) -> Images:
    return Images(summary.mean, summary.max, prepared.scale.enlarged(peak_to_noise(movie)))


def _write(
    prepared: Prepared, movie: ScratchMovie, device: torch.device | str, background: ScratchMovie | None
) -> RegisteredSummary:
    """Foreground to ``movie``; what was removed to ``background``, in units of the typical noise."""
    session = prepared.session
    summary = RegisteredSummary(session.shape[1:])
    unit, level = prepared.noise.median(), None

    def layers(part: tuple[int, np.ndarray]) -> tuple[int, np.ndarray, Tensor, Tensor | None]:
        start, frames = part
        block = upload(torch.from_numpy(frames), device)
        if background is None:
            return start, frames, prepared.foreground_of(block, start), None
        return start, frames, *prepared.layers_of(block, start, NODE_STEP)

    chunks = session.chunks(at_a_time(session.height, session.width))
    with progress("preparing", session.n_frames) as advance:
        for start, frames, foreground, removed in in_order(layers, chunks):
            movie.append(foreground)
            if background is not None and removed is not None:
                level = removed[0].mean() if level is None else level
                background.append((removed - level) / unit)
            span = slice(start, start + len(frames))
            summary.add(frames, prepared.tiles(span), prepared.gain[span], prepared.offset[span])
            advance(len(frames))
    return summary
