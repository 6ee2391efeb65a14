"""HDF5 files that are written, through a file object that survives a full disk.

HDF5 keeps a file open that it can't flush, and then crashes the process on its way out. So whatever writes
HDF5, libraries included, writes through :func:`output_file`, which takes what is left without writing it once
anything has failed, and tells of the failure itself. Knows nothing of what is written.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from calcium_lightning.io.hdf5 import CHUNK_BYTES


class OutputFile(io.FileIO):
    """A file that can be abandoned: what HDF5 still wants to write to it then is dropped, and succeeds.

    Attributes
    ----------
    failed : OSError or None
        Why writing failed. HDF5 writes when objects are forgotten, too, where an error would be printed and
        lost: it is kept, and whoever writes asks for it.
    """

    abandoned = False
    failed: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of ``data``."""
        view = memoryview(data).cast("B")
        written = 0
        try:
            while written < len(view) and not self.abandoned:
                written += super().write(view[written:]) or 0
        except OSError as error:
            self.abandoned = True
            error.filename = str(Path(str(self.name)).absolute().parent)
            self.failed = error
        except BaseException:
            self.abandoned = True
            raise
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the file's length."""
        return (size or 0) if self.abandoned else super().truncate(size)


@contextmanager
def output_file(path: Path) -> Iterator[OutputFile]:
    """Make a file that a library writes HDF5 to; it closes what it has opened before the block ends.

    Raises
    ------
    OSError
        At the end of the block at the latest, if not everything was written.
    """
    with OutputFile(path, "w+b") as output:
        try:
            yield output
        except BaseException as error:
            output.abandoned = True
            if output.failed is not None and isinstance(error, Exception):
                raise output.failed from error  # what came after it is of no interest
            raise
        if output.failed is not None:
            raise output.failed


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
        As :func:`output_file`.
    """
    with output_file(path) as output:
        file = None
        try:
            file = h5py.File(output, "w", rdcc_nbytes=CHUNK_BYTES, userblock_size=userblock_size)
            file.output = output
            yield file
            file.close()
        except BaseException:  # a signal may come while HDF5 opens it, too
            output.abandoned = True
            if file is not None:
                file.close()
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
