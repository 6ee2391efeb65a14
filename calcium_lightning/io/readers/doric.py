"""Doric's files (``.doric``, HDF5): image stacks (y, x, time) of a miniscope, each with its times beside it.

``DataAcquisition/DRIVER/Images/SERIES/SENSOR/ImageStack`` is what was recorded, ``DataProcessed/...`` what
danse made of it (doriclenses/pyDoric).
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.hdf5 import read
from calcium_lightning.io.readers.clock import rate_of
from calcium_lightning.io.readers.formats import Options
from calcium_lightning.io.readers.hdf5 import Hdf5Recording, datasets

#: names of stacks; the second is the older one
STACKS = ("ImageStack", "ImagesStack")
RECORDED, TIMES = "DataAcquisition", "Time"


class DoricRecording(Hdf5Recording):
    """One image stack.

    Parameters
    ----------
    path : Path
        The file.
    options : Options
        ``key``: the stack, or the group that holds it; default the only one that was recorded.

    Raises
    ------
    InputError
        If there is no such stack (those that there are are listed), or several.
    """

    def __init__(self, path: Path, options: Options) -> None:
        super().__init__(path, options)
        parts = self.key.strip("/").split("/")
        if len(parts) > 2:
            self.about = {"device": parts[1]}

    def _take_times(self) -> None:
        times = self._dataset.parent.get(TIMES)
        if isinstance(times, h5py.Dataset) and times.ndim == 1 and len(times) >= self.n_frames > 1:
            stamps = read(self._file, times.name, (None,), np.float64, finite=True)[: self.n_frames]
            self.timestamps, self.fps = stamps, rate_of(stamps)

    def _guess(self, dataset: h5py.Dataset) -> str | None:
        return "yxt" if dataset.ndim == 3 else super()._guess(dataset)

    def _choose(self, key: str | None) -> str:
        if key is not None and isinstance(group := self._file.get(key), h5py.Group):
            within = [f"{key.strip('/')}/{name}" for name in STACKS if name in group]
            key = within[0] if within else key
        return super()._choose(key)

    def _stacks(self) -> list[str]:
        """What was recorded; what was made of it, where nothing else is there."""
        every = [name for name, node in datasets(self._file) if node.ndim == 3 and name.endswith(STACKS)]
        if not every:
            raise InputError(
                f"{self.path}: a Doric file without images (no ImageStack); signals alone tell no cells"
            )
        return [name for name in every if name.startswith(f"{RECORDED}/")] or every
