"""Files of nothing but numbers (``.raw``, ``.dat``, ``.bin``): of a shape and type that their user knows.

Suite2p's ``data.bin`` knows its own, from the ``ops.npy`` beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import FrameError, Recording
from calcium_lightning.io.readers.formats import Options


def open_raw(path: Path, options: Options) -> Recording:
    """Open a file of numbers.

    Raises
    ------
    InputError
        If its shape and type aren't known, or don't fit its size.
    """
    if (path.parent / "ops.npy").is_file() and options.shape is None:
        from calcium_lightning.io.readers.suite2p import open_binary

        return open_binary(path, options)
    if options.channel is not None:
        raise InputError(f"{path}: channel= means nothing to raw numbers; leave out")
    if options.shape is None or options.dtype is None:
        raise InputError(
            f"{path}: nothing but numbers; say what they are with shape=[T,H,W] (or [H,W]) and dtype=, as in "
            "shape=[1000,480,752] dtype=uint16"
        )
    try:
        dtype = np.dtype(options.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiu":
        raise InputError(
            f"dtype={options.dtype}: not a type of numbers such as uint8, uint16, >u2 or float32"
        )
    if len(options.shape) not in (2, 3) or min(options.shape) < 1:
        raise InputError(f"shape={list(options.shape)}: expected [T,H,W], or [H,W] of each frame")
    return RawRecording(path, options.shape, dtype)


class RawRecording(Recording):
    """Frames one after the other, row by row.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        (T, H, W), or (H, W): then as many frames as there are.
    dtype : dtype
        Of the numbers in the file.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.path, self._stored = path, dtype
        self.dtype = dtype.newbyteorder("=")
        height, width = shape[-2:]
        size = path.stat().st_size
        self._frame = height * width
        there, rest = divmod(size, self._frame * dtype.itemsize)
        fits = f"{size} bytes are {there} frames of {height} x {width} {dtype} and {rest} bytes more"
        if len(shape) == 2 and (rest or not there):
            raise InputError(
                f"{path}: {fits}; shape= or dtype= is wrong, or the file was cut off: shape=[T,H,W]"
            )
        if len(shape) == 3 and (there > shape[0] or (there == shape[0] and rest)):
            raise InputError(f"{path}: {fits}, not {shape[0]}; shape= or dtype= is wrong")
        self.shape = (there, height, width)
        self.short(shape[0] if len(shape) == 3 else there, there)
        if not there:
            raise InputError(f"{path}: {fits}; shape= or dtype= is wrong")

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Yield frames [start, stop)."""
        each = self._frame * self._stored.itemsize
        for begin in range(start, stop, size):
            end = min(begin + size, stop)
            flat = np.fromfile(self.path, self._stored, (end - begin) * self._frame, offset=begin * each)
            if len(flat) < (end - begin) * self._frame:
                raise FrameError(self.path, begin + len(flat) // self._frame, "was cut off while it was read")
            yield flat.reshape(end - begin, *self.shape[1:]).astype(self.dtype, copy=False)
