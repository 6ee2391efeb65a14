"""Readers of one's own: chosen by the ending of a path, before the package's.

Knows :class:`~calcium_lightning.io.readers.base.Recording`; nothing of any format.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.parts import describe, register, registered
from calcium_lightning.io.readers.base import Recording

Opener = Callable[[Path], Recording]


def reader(*endings: str) -> Callable[[Any], Any]:
    """Register a class or a function that opens files, or folders, of these endings as a recording.

    Parameters
    ----------
    *endings : str
        With their dot, such as ``".movie"``.

    Examples
    --------
    >>> @reader(".movie")
    ... class MovieRecording(Recording):
    ...     def __init__(self, path): ...
    ...     def blocks(self, start, stop, size): ...
    """

    def add(opener: Any) -> Any:
        for ending in endings:
            register("reader", ending.lower(), opener)
        return opener

    return add


def own_recording(path: Path) -> Recording | None:
    """The recording at a path whose ending an own reader takes; None where none does.

    Raises
    ------
    InputError
        If the reader fails, or gives no recording.
    """
    name = path.name.lower()
    opener = next((made for ending, made in registered("reader").items() if name.endswith(ending)), None)
    if opener is None:
        return None
    called = f"{opener.__module__}.{opener.__qualname__}"
    try:
        recording = opener(path)
    except (InputError, OSError):
        raise
    except Exception as error:  # whatever a stranger's code raises
        raise InputError(f"{path}: {called} fails ({describe(error)})") from error
    if not isinstance(recording, Recording):
        raise InputError(f"{path}: {called} gives a {type(recording).__name__}; a Recording is wanted")
    for attribute in ("shape", "dtype", "path"):
        if not hasattr(recording, attribute):
            raise InputError(f"{path}: the recording of {called} has no {attribute}")
    if len(recording.shape) != 3:
        raise InputError(f"{path}: {called} says shape={recording.shape}; (T, H, W) is wanted")
    return recording
