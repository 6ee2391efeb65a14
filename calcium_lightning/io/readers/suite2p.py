"""Suite2p's registered movie: ``data.bin``, as the ``ops.npy`` beside it describes it.

``ops.npy`` is a pickle, which could run anything: only numbers, text and arrays are taken out of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import check_regular
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.raw import RawRecording

#: what arrays are made of in a pickle
_NUMPY = {
    "ndarray",
    "dtype",
    "_reconstruct",
    "scalar",
    "_frombuffer",
}


def open_binary(path: Path, options: Options) -> Recording:
    """Open ``data.bin``, ``data_raw.bin`` or ``data_chan2.bin`` (``channel=1``) with its ``ops.npy``.

    Raises
    ------
    InputError
        If either is missing or damaged.
    """
    if options.channel not in (None, 0):
        if options.channel != 1:
            raise InputError(f"{path}: channel={options.channel}: there are 0 and 1")
        path = path.with_name(f"{path.stem}_chan2{path.suffix}")
        if not path.is_file():
            raise InputError(f"{path}: no such file: there is one channel")
    ops = read_ops(path.parent / "ops.npy")
    try:
        height, width = int(ops["Ly"]), int(ops["Lx"])
        frames = int(ops.get("nframes") or path.stat().st_size // (2 * height * width))
        if min(height, width, frames) < 1:
            raise ValueError(f"{frames} frames of {height} x {width}")
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"{path.parent / 'ops.npy'}: doesn't say the frames' size (Ly, Lx)") from error
    recording = RawRecording(path, (frames, height, width), np.dtype("<i2"))
    rate = ops.get("fs")
    recording.fps = float(rate) if isinstance(rate, int | float | np.number) and rate > 0 else None
    recording.motion_corrected = "raw" not in path.stem and "yoff" in ops
    return recording


def read_ops(path: Path) -> Mapping[str, Any]:
    """Read Suite2p's settings without running what a pickle might run.

    Raises
    ------
    InputError
        If they can't be read.
    """
    content = read_object(path)
    content = content.item() if isinstance(content, np.ndarray) and content.shape == () else content
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: not Suite2p's settings")
    return content


def read_object(path: Path, what: str = "a file of Suite2p's") -> Any:
    """Read a ``.npy`` of Python objects: numbers, text, lists, dicts and arrays of these, and nothing else.

    Raises
    ------
    InputError
        If it can't be read.
    """
    check_regular(path)
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read_header = np.lib.format.read_array_header_1_0
            (read_header if version == (1, 0) else np.lib.format.read_array_header_2_0)(stream)
            return _Numbers(stream).load()
    except MemoryError as error:  # of a size that the file, which is there, can't hold
        raise InputError(f"{path}: not {what}, or damaged (it declares more than memory holds)") from error
    except _DAMAGED as error:
        raise InputError(f"{path}: not {what}, or damaged ({' '.join(str(error).split())})") from error


#: what reading pickles raises where they aren't whole, by pickle's documentation and by trial
_DAMAGED = (
    *(OSError, ValueError, EOFError, pickle.UnpicklingError, TypeError, AttributeError),
    *(ImportError, LookupError, OverflowError, RecursionError),
)


class _Unknown:
    """Stands for whatever isn't a number, a text or an array."""

    def __init__(self, *_: object) -> None:
        return

    def __setstate__(self, _: object) -> None:
        return


class _Numbers(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in _NUMPY:
            return super().find_class(module, name)
        if module == "_codecs" and name == "encode":
            return super().find_class(module, name)
        return _Unknown
