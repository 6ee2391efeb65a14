"""A file for libraries that don't survive a full disk: HDF5 crashes the process, Torch tells of positions.

It takes what is left without writing it once anything has failed, and tells of the failure itself. HDF5 reads
its own tables again, and crashes where others stand there: those are kept in memory. Knows nothing of what is
written.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: bytes of a piece that is kept in memory, and of all of them: tables are small, numbers aren't read again
PIECE, PIECES = 1 << 16, 64 << 20


class OutputFile(io.FileIO):
    """A file that can be abandoned: what is still to be written to it then is dropped, and succeeds.

    Attributes
    ----------
    failed : OSError or None
        Why writing failed. HDF5 writes when objects are forgotten, too, where an error would be printed and
        lost: it is kept, and whoever writes asks for it.
    """

    abandoned = False
    failed: OSError | None = None

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._kept: list[tuple[int, bytes]] = []
        self._room = PIECES

    def write(self, data: Any, /) -> int:
        """Write all of ``data``."""
        view = memoryview(data).cast("B")
        begin, written = self.tell(), 0
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
        if self.abandoned:
            if len(view) <= min(PIECE, self._room):
                self._kept.append((begin, bytes(view)))
                self._room -= len(view)
            self.seek(begin + len(view))
        return len(view)

    def readinto(self, buffer: Any, /) -> int:
        """Read what was written, or would have been; in an abandoned file the rest becomes 0."""
        if not self.abandoned:
            return super().readinto(buffer) or 0
        view, begin = memoryview(buffer).cast("B"), self.tell()
        read = super().readinto(view) or 0
        view[read:] = bytes(len(view) - read)
        for at, piece in self._kept:
            low, high = max(at, begin), min(at + len(piece), begin + len(view))
            if low < high:
                view[low - begin : high - begin] = piece[low - at : high - at]
        self.seek(begin + len(view))
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the file's length."""
        return (size or 0) if self.abandoned else super().truncate(size)


@contextmanager
def output_file(path: Path) -> Iterator[OutputFile]:
    """Make a file that a library writes to; it closes what it has opened before the block ends.

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
