"""Results of Minian: a folder with ``A.zarr``, ``C.zarr`` and their neighbours, or one ``.nc`` of them all.

``YrA`` is the demixed trace; ``motion`` is what moves a frame back into place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.results.build import Footprints, cells_of, numbers
from calcium_lightning.io.stored import open_stored

#: what is read of Minian's arrays
ARRAYS = ("A", "C", "S", "YrA", "motion", "max_proj")


def suits(path: Path) -> bool:
    """A folder with ``A.zarr`` in it, or in its ``minian``; a netCDF file with A, C and ``unit_id``."""
    if path.is_file() and path.suffix.lower() == ".nc":
        try:
            with open_stored(path) as file:
                return "A" in file and "unit_id" in file
        except (OSError, RuntimeError):
            return False
    return _folder(path) is not None


def footprints(path: Path) -> Footprints:
    """Where Minian's cells are; its other arrays needn't be there.

    Raises
    ------
    InputError
        If the footprints are missing, or can't be read.
    """
    return _footprints(path, _arrays(path, ("A",)))


def read(path: Path) -> Cells:
    """The cells of Minian's results.

    Raises
    ------
    InputError
        If an array is missing, or can't be read.
    """
    found = _arrays(path, ARRAYS)
    where = _footprints(path, found)
    try:
        units = found["A"]["unit_id"].values

        def course(name: str) -> np.ndarray | None:
            if name not in found:
                return None
            return np.asarray(found[name].sel(unit_id=units).transpose("unit_id", "frame").values)

        motion = found.get("motion")
        shifts = None
        if motion is not None and "shift_dim" in motion.dims:
            moved = motion.sel(shift_dim=["height", "width"]).transpose("frame", "shift_dim").values
            shifts = -numbers(path, "motion", moved)
        denoised = course("C")
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: not Minian's results ({' '.join(str(error).split())})") from error
    if shifts is not None and denoised is not None and len(shifts) != denoised.shape[1]:
        shifts = None  # of frames that were left out since
    return cells_of(
        path,
        "Minian",
        where,
        course("YrA"),
        denoised=denoised,
        spikes=course("S"),
        shifts=shifts,
        max_image=found["max_proj"].transpose("height", "width").values if "max_proj" in found else None,
    )


def _footprints(path: Path, found: dict[str, Any]) -> Footprints:
    try:
        shown = found["A"].transpose("unit_id", "height", "width")
        values = np.nan_to_num(numbers(path, "footprints", shown.values))
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: not Minian's results ({' '.join(str(error).split())})") from error
    height, width = values.shape[1:]
    return Footprints(csr_matrix(values.reshape(len(values), height * width)), (height, width))


def _folder(path: Path) -> Path | None:
    if not path.is_dir():
        return None
    return next((place for place in (path, path / "minian") if (place / "A.zarr").is_dir()), None)


def _arrays(path: Path, wanted: tuple[str, ...]) -> dict[str, Any]:
    """The labelled arrays by name, as far as they are there."""
    import xarray as xr

    folder = _folder(path)
    try:
        if folder is None:
            with xr.open_dataset(path, engine="h5netcdf") as data:
                return {name: data[name].load() for name in wanted if name in data}
        return {
            name: next(iter(xr.open_zarr(folder / f"{name}.zarr").values())).load()
            for name in wanted
            if (folder / f"{name}.zarr").is_dir()
        }
    except (OSError, ValueError, KeyError, StopIteration, RuntimeError) as error:
        raise InputError(f"{path}: not Minian's results ({' '.join(str(error).split())})") from error
