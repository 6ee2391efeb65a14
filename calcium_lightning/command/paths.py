"""Paths as they were typed, where Hydra would read a number, a word for nothing, or a syntax of its own.

``session=2026_03_04`` names a file, and Hydra hands over the integer 20260304. Before Hydra sees the
arguments, the values of path keys are therefore quoted: each path is the text that stands there.

For: :mod:`~calcium_lightning.command.start`, and sweeps, which bring arguments of their own.
Must not know: what the paths are for.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.core import system
from calcium_lightning.core.errors import InputError

#: Hydra's own keys that are paths
HYDRA = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.searchpath")
#: functions of Hydra's grammar
FUNCTIONS = "choice|shuffle|sort|tag|glob|range|interval|str|int|float|bool"
#: text that Hydra reads as itself, but for the words
PLAIN = re.compile(r"(?:\.{0,2}/|[A-Za-z_])[\w/.-]*", re.ASCII)
WORDS = ("null", "true", "false", "inf", "nan")
#: what a backslash may stand before, in Hydra's grammar
ESCAPED = "\\()[]{}:=, \t"
#: how an item may begin, by the text, the place in it and the key; None where it doesn't begin so
Reader = Callable[[str, int, str], tuple[str, int] | None]
OVERRIDE = re.compile(r"(?P<left>(?:\+\+|\+|~)?(?P<key>[^=@+~]+)(?:@[^=]*)?=)(?P<value>.*)", re.DOTALL)


def path_keys(name: str, role: str | None = None) -> list[str]:
    """The keys of a command that are paths, dotted.

    Parameters
    ----------
    name : str
        The command.
    role : {"input", "output"}, optional
        Those only.
    """
    return [key for key, what in _roles(SCHEMAS.get(name)).items() if role in (None, what)]


def _roles(schema: Any, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for field in dataclasses.fields(schema) if schema is not None else ():
        if role := field.metadata.get("path"):
            found[f"{prefix}{field.name}"] = role
        inside = field.metadata.get("paths") or {}
        found |= {f"{prefix}{field.name}.{key}": role for key, role in inside.items()}
    return found


def as_typed(name: str, arguments: Sequence[str], sweeping: bool) -> list[str]:
    """Quote the values of path keys, so that Hydra takes each path for the text that it is.

    Parameters
    ----------
    name : str
        The command.
    arguments : sequence of str
        Of its command line, or of a sweep's settings.
    sweeping : bool
        Several values, separated by commas, are several jobs.

    Raises
    ------
    InputError
        For a list without its end, or several values of one job.
    """
    keys = {*path_keys(name), *HYDRA}
    changed = []
    for argument in arguments:
        found = None if argument.startswith("-") else OVERRIDE.fullmatch(argument)
        if found is not None and found["key"] in keys:
            argument = f"{found['left']}{_quoted_value(found['key'], found['value'], sweeping)}"
        changed.append(argument)
    return changed


def quoted(text: str) -> str:
    """A text in Hydra's single quotes, so that it is read as that text."""
    # A backslash counts before a quote only, and an interpolation that doesn't end is none.
    text = re.sub(r"(\\*)\$\{(?![^{}]+\})", lambda found: f"{found[1] * 2}\\${{", text)
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text) + "'"


def _quoted_value(key: str, value: str, sweeping: bool) -> str:
    items, _ = _items(value, 0, "", key)
    if len(items) > 1 and not sweeping:
        raise InputError(
            f"{key}={value}: several are a list, {key}=[A,B]; a name with a comma is quoted twice, "
            f"'{key}=\"A, B\"'; -m makes a job of each"
        )
    return ",".join(items)


def _items(text: str, at: int, end: str, key: str) -> tuple[list[str], int]:
    """Values separated by commas, up to ``end``: ``""``, ``"]"`` or ``")"``; and where the text goes on."""
    items: list[str] = []
    while True:
        item, at = _item(text, at, end, key)
        items.append(item)
        if at >= len(text):
            if end:
                raise InputError(f"{key}={text}: a list without its end; [A,B], or quotes around a name")
            return items, at
        at += 1
        if text[at - 1] == end:
            return items, at


def _item(text: str, at: int, end: str, key: str) -> tuple[str, int]:
    at = _past_space(text, at)
    readers: tuple[Reader, ...] = (_quotes, _list, _function)
    for read in readers if end != ")" else readers[:2]:
        found = read(text, at, key)
        if found is not None:
            item, after = found
            after = _past_space(text, after)
            # What goes on after a quote or a bracket was none: "[1] (2).h5" is a name.
            if after == len(text) or text[after] == "," or text[after] == end:
                return item, after
    return _name(text, at, end)


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at


def _quotes(text: str, at: int, key: str) -> tuple[str, int] | None:
    """What the user has quoted, as it stands."""
    for quote in "'\"":
        if text.startswith(quote, at):
            found = re.compile(rf"{quote}(?:[^{quote}\\]|\\.)*{quote}", re.DOTALL).match(text, at)
            return None if found is None else (found[0], found.end())
    return None


def _list(text: str, at: int, key: str) -> tuple[str, int] | None:
    if not text.startswith("[", at):
        return None
    empty = re.compile(r"\[[ \t]*\]").match(text, at)
    if empty is not None:
        return "[]", empty.end()
    items, after = _items(text, at + 1, "]", key)
    return f"[{','.join(items)}]", after


def _function(text: str, at: int, key: str) -> tuple[str, int] | None:
    """A function of Hydra's grammar; ``choice(A.h5,B.h5)`` as ``A.h5,B.h5``, where Hydra keeps the quotes."""
    found = re.compile(rf"({FUNCTIONS})[ \t]*\(").match(text, at)
    if found is None or text.find(")", at) < 0:
        return None
    if found[1] == "choice":
        items, after = _items(text, found.end(), ")", key)
        return ",".join(items), after
    depth = 1
    for after in range(found.end(), len(text)):
        depth += {"(": 1, ")": -1}.get(text[after], 0)
        if depth == 0:
            return text[at : after + 1], after + 1
    return None


def _name(text: str, at: int, end: str) -> tuple[str, int]:
    """A path without quotes: all up to a comma, or the end of the list, but for what brackets hold."""
    pieces: list[str] = []
    kept = 0  # of the text so far, what isn't space that may be cut off
    whole = re.compile(r"\$\{[^{}]+\}|\[[^\[\],]*\]|\([^(),]*\)")
    while at < len(text) and text[at] != "," and text[at] != end:
        # On Windows it divides folders.
        if not system.WINDOWS and text[at] == "\\" and at + 1 < len(text) and text[at + 1] in ESCAPED:
            pieces.append(text[at + 1])
            at += 2
            kept = len(pieces)
            continue
        found = whole.match(text, at)
        piece = found[0] if found is not None else text[at]
        pieces.append(piece)
        at += len(piece)
        if piece not in " \t":
            kept = len(pieces)
    name = "".join(pieces[:kept])
    if name in ("", "null"):
        return name, at
    plain = PLAIN.fullmatch(name) and name.lower() not in WORDS
    return name if plain else quoted(name), at
