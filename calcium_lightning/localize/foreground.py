"""All frames of a session at the network's scale, once, on disk: what cells are found in, in several passes.

Knows preprocessing and scratch files, not what is looked for.
"""

from __future__ import annotations

import torch

from calcium_lightning.core.progress import progress
from calcium_lightning.localize.assemble import Images
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.summary import RegisteredSummary

#: pixels of the session that are brought to the network's scale at a time: 64 frames of 256x256
CHUNK_PIXELS = 64 * 256**2


def write_foreground(prepared: Prepared, movie: ScratchMovie, device: torch.device | str = "cpu") -> Images:
    """Bring every frame of a session to the network's scale, and look at the registered frames on the way."""
    session = prepared.session
    summary = RegisteredSummary(session.shape[1:])
    with progress("preparing", session.n_frames) as advance:
        for start, frames in session.chunks(CHUNK_PIXELS // (session.height * session.width)):
            movie.append(prepared.foreground_of(torch.from_numpy(frames).to(device), start))
            span = slice(start, start + len(frames))
            summary.add(frames, prepared.tiles(span), prepared.gain[span], prepared.offset[span])
            advance(len(frames))
    return Images(summary.mean, summary.max)
