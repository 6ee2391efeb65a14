"""Tables of numbers as text, with whatever separates their columns, with or without a header.

Knows text and numbers; not what they mean.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import check_regular

SPACE = r"\s+"
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
#: a time of day, behind a date whose day and month may be either
_CLOCK = re.compile(
    r"(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}[T ]+)?(\d{1,2}):(\d\d):(\d\d(?:[.,]\d+)?)(?: ?([AP])M)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Table:
    """The rows of a file as numbers.

    Attributes
    ----------
    names : list of str
        Of the columns, lower case; empty without a header.
    values : ndarray
        (rows, columns), NaN where a cell is no number.
    dropped : int
        Rows that were cut off.
    """

    names: list[str]
    values: np.ndarray
    dropped: int


def read_table(path: Path) -> Table:
    """Read a table of numbers with whatever separates its columns, with or without a header.

    Raises
    ------
    InputError
        If there are no rows of numbers.
    """
    check_regular(path)
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error})") from error
    # a tab in front is a first cell that is empty
    lines = [line.rstrip().lstrip(" ") for line in text.replace("\0", "").splitlines() if line.strip(" \t,;")]
    if not lines:
        raise InputError(f"{path}: is empty")
    mark = _separator(lines)
    cells = [_cells(line, mark) for line in lines]
    header = not any(_as_number(cell) is not None for cell in cells[0])
    names = [name.lower() for name in cells[0]] if header else []
    body = cells[1:] if header else cells
    if not body:
        raise InputError(f"{path}: holds no rows")
    width = Counter(len(row) for row in body).most_common(1)[0][0]
    whole = [row for row in body if len(row) == width]
    values = np.array([[_as_number(cell) for cell in row] for row in whole], dtype=object)
    numbers = np.where(values == None, np.nan, values).astype(np.float64)  # noqa: E711  (element by element)
    names = names if len(names) == width else [*names, *[""] * width][:width] if names else []
    return Table(names, numbers, len(body) - len(whole))


def _separator(lines: Sequence[str]) -> str:
    """What separates columns: what splits most of the rows into as many cells, most of them numbers."""
    sample = lines[: 1 + min(len(lines), 200)]

    def even(mark: str) -> tuple[int, float, int]:
        rows = [_cells(line, mark) for line in sample]
        width, count = Counter(map(len, rows)).most_common(1)[0]
        numbers = [_as_number(cell) is not None for row in rows[1:] for cell in row]
        return (count if width > 1 else 0), sum(numbers) / max(1, len(numbers)), -width

    return max((";", "\t", ",", SPACE), key=even)


def _cells(line: str, mark: str) -> list[str]:
    """The cells of a row; what is quoted may hold the mark."""
    row = re.split(mark, line.strip() if mark == SPACE else line)
    if '"' in line and mark != SPACE:
        with suppress(csv.Error):  # text that isn't a table at all
            row = next(csv.reader([line], delimiter=mark))
    return [cell.strip().strip('"') for cell in row]


def _as_number(cell: str) -> float | None:
    """A cell as a number: a date and time as Unix seconds, a time of day as its seconds; None for text."""
    with suppress(ValueError):
        return float(cell)
    if _DECIMAL_COMMA.fullmatch(cell):
        return float(cell.replace(",", "."))
    if re.match(r"\d{4}([-/])\d\d\1\d\d[T ]\d", cell):
        day = cell.replace("/", "-").replace(",", ".")
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", day)).timestamp()
        return None
    if match := _CLOCK.fullmatch(cell):
        hour, minute, second, half = match.groups()
        hours = int(hour) if half is None else int(hour) % 12 + 12 * (half.upper() == "P")
        return 3600 * hours + 60 * int(minute) + float(second.replace(",", "."))
    return float("nan") if cell.lower() in ("", "nan", "na", "n/a", "null") else None
