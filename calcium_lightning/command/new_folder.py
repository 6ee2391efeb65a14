"""A folder for a run or sweep that no other has: of two that begin in one second, the second is ``..._2``.

Knows names of folders; knows nothing of what comes into them. This module must import nothing heavy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from omegaconf import OmegaConf

#: the resolver's name in ``conf/run/folder.yaml``
RESOLVER = "new_folder"
#: what this command has made, by the folder that it is in: a command has one of each kind
_made: dict[Path, str] = {}
_only_shown = False


def new_folder(wanted: str) -> str:
    """Make a folder that isn't there yet, whatever other processes and machines make at the same time.

    Parameters
    ----------
    wanted : str
        Its path; where that is taken, a number is added.

    Returns
    -------
    str
        What was made; ``wanted`` itself where none can be made, for Hydra to say why.
    """
    if _only_shown:
        return wanted
    parent = Path(wanted).absolute().parent
    if parent not in _made:
        _made[parent] = _first_free(wanted)
    return _made[parent]


def _first_free(wanted: str) -> str:
    for number in count(1):
        path = wanted if number == 1 else f"{wanted}_{number}"
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).mkdir()
        except FileExistsError:
            if not Path(path).parent.is_dir():
                break
            continue
        except OSError:
            break
        return path
    return wanted


@contextlib.contextmanager
def new_folders(only_shown: bool = False) -> Iterator[None]:
    """The time of a command: what was made before counts no more, and what is left empty goes with it.

    Parameters
    ----------
    only_shown : bool
        The config is printed and nothing run: nothing is made.
    """
    global _only_shown
    _made.clear()
    _only_shown = only_shown
    try:
        yield
    finally:
        for path in map(Path, _made.values()):
            with contextlib.suppress(OSError):  # something is in it
                path.rmdir()
                path.parent.rmdir()
                path.parent.parent.rmdir()
        _made.clear()
        _only_shown = False


def register() -> None:
    """Make it known to configs; in the processes of launchers, too, which have it from the config's cache."""
    OmegaConf.register_new_resolver(RESOLVER, new_folder, use_cache=True, replace=True)
