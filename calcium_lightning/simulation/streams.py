"""Independent random streams by name and by frame, so that nothing depends on the order of drawing.

Counter-based generators: adding a stream, or reading frames in other blocks, changes no number of another.
"""

from __future__ import annotations

import zlib

import numpy as np


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
        generator = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, int(frame), 0]))
        generator.standard_normal(out=out, dtype=np.float32)
    return noise
