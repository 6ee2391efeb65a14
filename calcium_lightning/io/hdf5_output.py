"""HDF5 files that are written, and survive a full disk.

HDF5 keeps a file open that it can't flush, and then crashes the process on its way out. So whatever writes
HDF5, libraries included, writes through :func:`~calcium_lightning.core.output_file.output_file`. Knows
nothing of what is written.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from calcium_lightning.core.output_file import output_file
from calcium_lightning.io.hdf5 import CHUNK_BYTES


@contextmanager
def create_file(path: Path, userblock_size: int = 0) -> Iterator[h5py.File]:
    """Make a new HDF5 file, closed when the block ends.

    What is written in order needs no cache of 8 MB for each dataset.

    Parameters
    ----------
    path : Path
        The file.
    userblock_size : int
        Bytes at its beginning that are not HDF5's.

    Raises
    ------
    OSError
        As :func:`~calcium_lightning.core.output_file.output_file`.
    """
    with output_file(path) as output:
        file = None
        try:
            file = h5py.File(output, "w", rdcc_nbytes=CHUNK_BYTES, userblock_size=userblock_size)
            file.output = output
            yield file
            file.close()
        except BaseException as error:
            output.abandoned = True
            if file is not None:
                file.close()
            else:  # a signal came while HDF5 opened it: what it has, only the frames of the error hold
                traceback.clear_frames(error.__traceback__)
            raise


def check_written(file: h5py.File) -> None:
    """Raise what has kept something from being written; who writes much asks now and then.

    Parameters
    ----------
    file : h5py.File
        From :func:`create_file`.

    Raises
    ------
    OSError
        As the system said it.
    """
    if file.output.failed is not None:
        raise file.output.failed
