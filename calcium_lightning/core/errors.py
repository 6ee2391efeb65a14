"""What a job may end with that is no fault of the code: bad input, a lost process, a hopeless trial."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any, TypeVar

Made = TypeVar("Made")
#: what a frame rate (Hz) and a pixel's size (µm) can be: others are in other units, or damage
FRAME_RATES, PIXEL_SIZES = (1e-3, 1e5), (1e-3, 1e4)


class InputError(Exception):
    """Bad input or configuration: one clear line for the user, exit status 2.

    The message says what was wrong, where (file, dataset, frame), and what to do.
    """


class ProcessFailed(Exception):
    """A process of a run ended without telling why (killed, out of memory): one clear line, exit status 1."""


class RaisedElsewhere(Exception):
    """Another process raised an error that is no kind of ours: its message, its traceback in a note."""


class Pruned(Exception):
    """The sweep gave the run up as hopeless; raised by all ranks before the same step."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return ``"; nearest: a, b"`` for the known names that resemble ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""


def expect(key: str, made: object, wanted: type[Made], called: str, target: Any = None) -> Made:
    """What a config's group has made, if it is of the class that is wanted there.

    Parameters
    ----------
    key : str
        The group.
    made : object
        What came of it; the group itself where it names no class.
    wanted : type
        What it must be.
    called : str
        The same in words.
    target : str, optional
        What the group says makes it.

    Raises
    ------
    InputError
        If it is something else.
    """
    if isinstance(made, wanted):
        return made
    raise InputError(
        f"{key}: {f'{target} ' if target else ''}makes a {type(made).__name__}; {called} is wanted"
    )


def positive(name: str, value: Any, least: float = 0.0, most: float = math.inf) -> float:
    """The value of the key ``name`` as a finite number above 0, and between two others.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number < math.inf:
        raise InputError(f"{name}={value}: a number above 0")
    if not least <= number <= most:
        raise InputError(f"{name}={value}: between {least:g} and {most:g}")
    return number


def frame_rate(name: str, value: Any) -> float:
    """A frame rate, Hz, that a camera can have.

    Raises
    ------
    InputError
        If it is none.
    """
    return positive(name, value, *FRAME_RATES)


def pixel_size(name: str, value: Any) -> float:
    """Micrometres per pixel that a microscope can have.

    Raises
    ------
    InputError
        If they are none.
    """
    return positive(name, value, *PIXEL_SIZES)
