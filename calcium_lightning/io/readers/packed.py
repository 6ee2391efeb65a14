"""Numbers as netCDF's conventions pack them: as integers with a scale, an offset, and a value for no data.

After the CF conventions (8.1, packed data; 2.5.1, missing data), by which xarray and others write HDF5 and
zarr. Knows arrays and their attributes; nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Packed:
    """An array that is unpacked as it is sliced: float32, NaN where it holds no data.

    Attributes
    ----------
    array : array-like
        As it is stored: whatever has a shape, a dtype and slices.
    scale, offset : float
        What is meant is ``stored * scale + offset``.
    missing : tuple of float
        Stored values that stand for no data.
    """

    array: Any
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()

    @classmethod
    def of(cls, array: Any, attributes: Mapping[str, Any]) -> Packed | None:
        """An array by its attributes; None where they say nothing of it."""
        if np.dtype(array.dtype).kind not in "iuf":
            return None
        scale, offset = (
            next(iter(_numbers(attributes, name)), usual)
            for name, usual in (("scale_factor", 1.0), ("add_offset", 0.0))
        )
        missing = {value for name in ("_FillValue", "missing_value") for value in _numbers(attributes, name)}
        if np.dtype(array.dtype).kind != "f":  # what such numbers can't be isn't there
            least, most = np.iinfo(array.dtype).min, np.iinfo(array.dtype).max
            missing = {value for value in missing if least <= value <= most}
        if (scale, offset) == (1.0, 0.0) and not missing:
            return None
        return cls(array, scale, offset, tuple(sorted(missing)))

    @property
    def dtype(self) -> np.dtype:
        """float32."""
        return np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(self.array.shape)

    @property
    def chunks(self) -> Any:
        """Of the array."""
        return getattr(self.array, "chunks", None)

    @property
    def in_words(self) -> str:
        """What its attributes say."""
        said = [f"times {self.scale:g}"] if self.scale != 1 else []
        said += [f"plus {self.offset:g}"] if self.offset else []
        said += [f"{value:g} is no data" for value in self.missing]
        return f"stored numbers are read as their attributes say: {', '.join(said)}"

    def __getitem__(self, where: Any) -> np.ndarray:
        stored = np.asarray(self.array[where])
        values = (stored * self.scale + self.offset).astype(np.float32)
        values[np.isin(stored, np.array(self.missing, stored.dtype))] = np.nan
        return values


def _numbers(attributes: Mapping[str, Any], name: str) -> list[float]:
    """The numbers of an attribute, but for NaN, which arrays hold as it is; none where it has none."""
    try:
        values = np.ravel(np.asarray(attributes.get(name, ()), float))
    except (TypeError, ValueError, OSError, RuntimeError):  # text, or damaged
        return []
    return [float(value) for value in values if np.isfinite(value)]
