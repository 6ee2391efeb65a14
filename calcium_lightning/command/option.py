"""One key of a command: its default, and what ``--help`` and the checks of arguments know of it.

This module must import nothing heavy.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

MISSING = "???"


def option(
    default: Any, help: str, *, unit: str = "", path: str = "", paths: dict[str, str] | None = None
) -> Any:
    """Give a dataclass field with a default, and what ``--help`` and the checks of arguments know of it.

    Parameters
    ----------
    default : Any
        Its default; ``MISSING`` where one must be given.
    help : str
        What it is, in one line.
    unit : str
        Of its value, such as ``"Hz"``.
    path : {"", "input", "output", "either"}
        It is a path, taken as it was typed: of what the command reads, of what it makes, or of both.
    paths : dict of str to str
        The same of keys inside, where the field is a group of them.
    """
    metadata = {"help": help, "unit": unit, "path": path, "paths": paths or {}}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)
