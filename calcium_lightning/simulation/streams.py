"""Independent random streams by name and by frame, so that nothing depends on the order of drawing.

Counter-based generators: adding a stream, or reading frames in other blocks, changes no number of another.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

#: frames that a run of correlated noise has, and the share of what was before it that is none
RUN_FRAMES, FORGOTTEN = 32, 1e-3


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the generator of the part of a scene called `name`."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
    return np.random.Generator(np.random.Philox(sequence))


def frame_normals(seed: int, frames: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw standard normal noise of some frames: float32 (n, height, width), a frame's the same in any block.

    Parameters
    ----------
    seed : int
        Seed of the scene.
    frames : ndarray of int (n,)
        Frame numbers.
    shape : (int, int)
        Height and width.
    """
    key = np.random.SeedSequence([seed, zlib.crc32(b"noise")]).generate_state(2, np.uint64)
    noise = np.empty((len(frames), *shape), np.float32)
    for out, frame in zip(noise, frames, strict=True):  # one generator per frame; each fills a whole frame
        counter = np.array(
            [0, 0, int(frame) % 2**64, 0], np.uint64
        )  # frames before the first have noise, too
        generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
        generator.standard_normal(out=out, dtype=np.float32)
    return noise


def correlated_normals(
    seed: int, frames: np.ndarray, shape: tuple[int, int], correlation: float
) -> np.ndarray:
    """Draw standard normal noise whose autocorrelation is ``correlation`` to the power of the lag.

    The noise of :func:`frame_normals` through a first-order recursion, which begins so long before each run
    of frames that what was before is forgotten. Runs are fixed: a frame's noise is the same in any block.

    Parameters
    ----------
    seed, frames, shape
        As there; negative frames can't be asked for.
    correlation : float
        Of neighbouring frames, from 0 to below 1.
    """
    if correlation <= 0:
        return frame_normals(seed, frames, shape)
    warmup = math.ceil(math.log(FORGOTTEN) / math.log(correlation))
    result = np.empty((len(frames), *shape), np.float32)
    for run in np.unique(frames // RUN_FRAMES).tolist():
        places = np.flatnonzero(frames // RUN_FRAMES == run)
        first, last = run * RUN_FRAMES - warmup, int(frames[places].max())
        state = frame_normals(seed, np.array([first]), shape)[0]
        for frame in range(first, last + 1):
            if frame > first:
                state *= np.float32(correlation)
                fresh = frame_normals(seed, np.array([frame]), shape)[0]
                state += np.float32(math.sqrt(1 - correlation**2)) * fresh
            result[places[frames[places] == frame]] = state
    return result
