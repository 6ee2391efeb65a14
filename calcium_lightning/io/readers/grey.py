"""Colour to grey, exactly: equal channels give their common value, colours their luminance."""

from __future__ import annotations

import numpy as np


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Luminance of pixels whose last axis is colour.

    Parameters
    ----------
    pixels : ndarray, (..., C)
        One grey channel, grey and alpha, RGB, or RGB and alpha; alpha is dropped.

    Returns
    -------
    ndarray, (...)
        In the type of ``pixels``: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). The integer weights sum to
        2**16, so that R = G = B gives exactly that value.

    Examples
    --------
    >>> to_grey(np.array([[7, 7, 7], [255, 0, 0]], np.uint8))
    array([ 7, 76], dtype=uint8)
    """
    channels = pixels.shape[-1]
    if channels in (1, 2):
        return np.ascontiguousarray(pixels[..., 0])
    if channels not in (3, 4):
        raise ValueError(f"{channels} channels are neither grey nor RGB")
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    if pixels.dtype.kind == "f":
        return red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    wide: type[np.unsignedinteger] = np.uint64 if pixels.dtype.itemsize > 2 else np.uint32
    grey = red.astype(wide) * wide(19595)
    grey = grey + green.astype(wide) * wide(38470)
    grey = grey + blue.astype(wide) * wide(7471)
    return ((grey + wide(1 << 15)) >> wide(16)).astype(pixels.dtype)
