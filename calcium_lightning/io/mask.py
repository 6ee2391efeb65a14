"""A mask of the pixels that show tissue, as a person draws it. Knows files of pictures and arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import NO_ARRAY, check_regular, not_there
from calcium_lightning.io.npy import read_array
from calcium_lightning.io.readers.images import read_picture

ENDINGS = (".npy", ".png", ".tif", ".tiff")


def read_mask(path: Path | str) -> np.ndarray:
    """Read a mask, bool (H, W): whatever isn't 0 shows tissue.

    Parameters
    ----------
    path : path-like
        ``.npy``, ``.png`` or ``.tif``, one value a pixel.

    Raises
    ------
    InputError
        If it can't be read, is no picture, or leaves nothing.
    """
    path = Path(path)
    check_regular(path)
    if not path.is_file():
        raise InputError(f"field={path}: {not_there(path, 'file')}")
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"field={path}: expected a mask as {', '.join(ENDINGS)}")
    if path.suffix.lower() == ".npy":
        mask = read_array(path, f"field={path}")
    else:
        try:
            mask = read_picture(path)
        except NO_ARRAY as error:
            raise InputError(f"field={path}: can't be read ({' '.join(str(error).split())})") from error
    if mask.ndim != 2:
        raise InputError(f"field={path}: shape {mask.shape}, expected one value a pixel (H, W)")
    if not np.any(mask):
        raise InputError(f"field={path}: no pixel is set")
    return np.asarray(mask != 0)
