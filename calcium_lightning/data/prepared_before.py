"""Sessions as the training before prepared them: the next job of a sweep needn't find their motion again.

Knows files and prepared sessions; nothing of what is learned from them.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path

from calcium_lightning.preprocess.prepared import Prepared

#: those of the last training of this process alone: a vector per frame and a handful of images each
_before: dict[Hashable, Prepared] = {}


def key_of(path: Path, *settings: object) -> Hashable:
    """What a preparation depends on: a file that hasn't changed since, found by the same name, and settings.

    Examples
    --------
    >>> key_of(Path(__file__), 12.0) == key_of(Path(__file__), 12.0)
    True
    >>> key_of(Path(__file__), 12.0) == key_of(Path(__file__), 13.0)
    False
    """
    try:
        state = path.stat()
    except OSError:  # which reading it will tell; and nothing is kept under a key that equals no other
        return object()
    file = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    return (str(path), os.getcwd(), *file, *map(repr, settings))


def prepared_before(key: Hashable) -> Prepared | None:
    """What the training before prepared under a key, if it did."""
    return _before.get(key)


def keep(prepared: Mapping[Hashable, Prepared]) -> None:
    """Keep these for the next training, and no others."""
    _before.clear()
    _before.update(prepared)
