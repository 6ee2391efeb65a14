"""Several files of one command, which appear together or not at all.

Knows :mod:`~calcium_lightning.core.atomic`; must not know what is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from calcium_lightning.core.atomic import APPEARED, atomic_path, check_output
from calcium_lightning.core.errors import InputError


def check_outputs(outputs: Mapping[str, Path], overwrite: bool) -> None:
    """Refuse files that can't or must not be written, and two that are one.

    Parameters
    ----------
    outputs : mapping of str to Path
        The key that the user names a file by -> the file.
    overwrite : bool
        Existing ones may be replaced.

    Raises
    ------
    InputError
        As :func:`~calcium_lightning.core.atomic.check_output`; or naming both keys.
    """
    keys: dict[Path, str] = {}
    for key, path in outputs.items():
        other = keys.setdefault(path.resolve(), key)
        if other != key:
            raise InputError(f"{path}: is named by {other}= and {key}=; give each a file of its own")
    for path in outputs.values():
        check_output(path, overwrite)


@contextmanager
def atomic_paths(targets: Sequence[Path], overwrite: bool = False) -> Iterator[list[Path]]:
    """As :func:`~calcium_lightning.core.atomic.atomic_path`, for several: none appears where one can't.

    Raises
    ------
    InputError
        As there.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(atomic_path(target, overwrite)) for target in targets]
        for target in targets:
            if not overwrite and os.path.lexists(target):
                raise InputError(APPEARED.format(target))
