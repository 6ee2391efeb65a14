"""JSON and YAML that somebody else may have written: read as plain containers, bounded in size.

For: whatever reads a text file that is not the user's own config.
Must not know: what the values mean.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import reading, reason

#: bytes of a text file, and values of a YAML file with its aliases written out, that are read
MOST_BYTES, MOST_VALUES = 64 << 20, 200_000
#: what a formula begins with, in widths that Asian keyboards have too; and what is a number nevertheless
FORMULA = (*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
#: digits of a whole number; longer ones become fractions, which may be infinite
DIGITS = 18


def read_text(path: Path | str) -> str:
    """Read a regular file of text, UTF-8.

    Raises
    ------
    InputError
        If it is missing, no regular file (a pipe would never end), too large or no text.
    """
    path = Path(path)
    with reading(path):
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InputError(f"{path}: {size} bytes; a text of at most {MOST_BYTES} is wanted")
        return path.read_text(encoding="utf-8-sig")


def readable(text: str) -> str:
    r"""Text for files of others: the bytes of names that aren't UTF-8 become question marks.

    Examples
    --------
    >>> readable("M\udce4use.h5")
    'M?use.h5'
    """
    return text.encode("utf-8", "replace").decode()


def is_place(said: object, path: Path) -> bool:
    r"""Whether what a file says names a place: text that could name none doesn't.

    Examples
    --------
    >>> [is_place(said, Path.cwd()) for said in (".", "a", "\0", None)]
    [True, False, False, False]
    """
    try:
        return isinstance(said, str) and bool(said) and Path(said).resolve() == path.resolve()
    except (ValueError, OSError, RuntimeError):  # a zero in it, half a character, links in a circle
        return False


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If it can't be read as such.
    """
    text = read_text(path)
    try:
        return json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({reason(error)}); copy it again, or make it anew") from error


def read_yaml(path: Path | str) -> Any:
    """Read a YAML file as OmegaConf does, unresolved.

    Raises
    ------
    InputError
        If it can't be read as such, or its aliases would blow it up.
    """
    text = read_text(path)
    with reading(path):
        check_aliases(text, str(path))
        from omegaconf import OmegaConf

        made = OmegaConf.create(text)
        return OmegaConf.to_container(made, resolve=False) if OmegaConf.is_config(made) else made


def check_aliases(text: str, where: str) -> None:
    """Refuse YAML that a few lines of aliases blow up to more values than any memory holds.

    Raises
    ------
    InputError
        After ``where``.
    """
    import yaml

    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MOST_VALUES + 1  # of a node that contains itself
            value = node.value
            if isinstance(node, yaml.SequenceNode):
                sizes[id(node)] = 1 + sum(map(size, value))
            elif isinstance(node, yaml.MappingNode):
                sizes[id(node)] = 1 + sum(size(key) + size(item) for key, item in value)
            else:
                sizes[id(node)] = 1
        return sizes[id(node)]

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # faster, where it was built
    with reading(where):
        node = yaml.compose(text, Loader=loader)
    try:
        whole = 0 if node is None else size(node)
    except RecursionError as error:
        raise InputError(f"{where}: nested too deeply") from error
    if whole > MOST_VALUES:
        raise InputError(f"{where}: more than {MOST_VALUES} values; its aliases repeat themselves")


def mapping(tree: Any, *names: str) -> dict[str, Any]:
    """What stands at a place of nested mappings, if that is one itself; else an empty one.

    Examples
    --------
    >>> mapping({"a": {"b": {"c": 1}}}, "a", "b")
    {'c': 1}
    >>> mapping({"a": [1, 2]}, "a", "b")
    {}
    """
    for name in names:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return {str(key): value for key, value in tree.items()} if isinstance(tree, Mapping) else {}


def without_nan(value: Any) -> Any:
    """The same with None for NaN and infinite numbers, which JSON doesn't know.

    Examples
    --------
    >>> without_nan({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain_cell(value: Any) -> Any:
    """A cell of a table that others open: text that would be run as a formula gets a quote in front.

    As OWASP's page on CSV injection has it; numbers stay numbers, also those that are text already.

    Examples
    --------
    >>> plain_cell("=1+1"), plain_cell("a=1"), plain_cell(-1.5), plain_cell("-1.5"), plain_cell(Path("@a"))
    ("'=1+1", 'a=1', -1.5, '-1.5', "'@a")
    """
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= DIGITS else float(text)
