"""Tables of numbers as text, with whatever separates their columns, with or without a header.

Knows text and numbers; not what they mean.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import check_regular


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
    lines = [line.strip() for line in text.replace("\0", "").splitlines() if line.strip(" \t,;")]
    if not lines:
        raise InputError(f"{path}: is empty")
    mark = _separator(lines)
    cells = [[cell.strip().strip('"') for cell in re.split(mark, line)] for line in lines]
    if mark == ";":  # whose users write decimal commas
        cells = [[cell.replace(",", ".") for cell in row] for row in cells]
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
    """What separates columns: what splits most of the rows into the same number of several cells."""
    sample = lines[: 1 + min(len(lines), 200)]

    def even(mark: str) -> tuple[int, int]:
        counts = Counter(len(re.split(mark, line)) for line in sample)
        width, rows = counts.most_common(1)[0]
        return (rows if width > 1 else 0), -width

    return max((";", "\t", ",", r"\s+"), key=even)


def _as_number(cell: str) -> float | None:
    """A cell as a number: a date and time as Unix seconds; None for text."""
    try:
        return float(cell)
    except ValueError:
        pass
    if re.match(r"\d{4}-\d\d-\d\d[T ]\d", cell):
        try:
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", cell)).timestamp()
        except ValueError:
            return None
    return float("nan") if cell.lower() in ("", "nan", "na", "n/a", "null") else None
