"""The same work on many sessions: one that fails stops no other, and the end says how it went with each.

For: the entry points that take several inputs.
Must not know: what the work is; it tells a row of the table.
"""

from __future__ import annotations

import errno
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from calcium_lightning.command.failures import EXIT_FAILURE, EXIT_INPUT, BatchFailed, Failure, diagnose

Item = TypeVar("Item")
#: a session's part of the table: column -> what stands there
Row = Mapping[str, Any]
#: columns that every table has: how long it took, and warnings, or why it failed
SECONDS, NOTES = "seconds", "warnings"


@dataclass
class Batch:
    """How it went with each.

    Attributes
    ----------
    rows : dict of str to Row
        Of those that went well, by name, in their order.
    failures : dict of str to Failure
        Of the others.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)


def run_batch(
    command: str,
    items: Sequence[tuple[str, Item]],
    work: Callable[[Item], Row],
    *,
    look: Callable[[Item], None] | None = None,
    unit: str = "sessions",
) -> None:
    """Do the work on each item, and print a table at the end.

    One item alone is done as if there were no batch: what it raises is raised, and there is no table.

    Parameters
    ----------
    command : str
        The command's name, to tell what went wrong.
    items : sequence of (str, Item)
        What each is called, and itself.
    work : callable
        Does it, and gives the item's row of the table. A row may have columns of its own.
    look : callable, optional
        Finds at once what is wrong with an item; done for all of them before the first is worked on.
    unit : str
        What the items are.

    Raises
    ------
    BatchFailed
        At the end, if some failed.
    """
    if len(items) == 1:
        if look is not None:
            look(items[0][1])
        work(items[0][1])
        return
    batch = Batch()
    sound = [item for item in items if look is None or _tried(command, batch, item, look)]
    begin = time.monotonic()
    for number, (name, item) in enumerate(sound):
        if len(sound) > 1:
            print(_progress(number, len(sound), name, time.monotonic() - begin), file=sys.stderr, flush=True)
        _tried(command, batch, (name, item), work)
    show([name for name, _ in items], batch, unit)
    if batch.failures:
        raise BatchFailed(_account(batch, len(items), unit), _status(batch))


def _tried(command: str, batch: Batch, item: tuple[str, Item], work: Callable[[Item], Row | None]) -> bool:
    """Whether it went well; what went wrong is told here and now."""
    name, what = item
    begin = time.monotonic()
    try:
        row = work(what)
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # of all that come after, too
        failure = diagnose(command, error)
        if not failure.explained:
            traceback.print_exception(error)
        print(f"error: {failure.message}", file=sys.stderr, flush=True)
        batch.failures[name] = failure
        return False
    if row is not None:
        batch.rows[name] = {**row, SECONDS: f"{time.monotonic() - begin:.1f}"}
    return True


def _progress(done: int, count: int, name: str, seconds: float) -> str:
    """``[3 of 50] mouse1/day3, about 12 min left``."""
    left = ""
    if done:
        remaining = seconds / done * (count - done)
        left = (
            f", about {remaining / 60:.0f} min left" if remaining > 90 else f", about {remaining:.0f} s left"
        )
    return f"[{done + 1} of {count}] {name}{left}"


def show(names: Sequence[str], batch: Batch, unit: str) -> None:
    """Print the table on stdout: a row for each, a column for whatever any row has."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    every = dict.fromkeys(column for row in batch.rows.values() for column in row)
    columns = [*(column for column in every if column not in (SECONDS, NOTES)), SECONDS, NOTES]
    table = Table(title=f"{len(batch.rows)} of {len(names)} {unit}", title_justify="left")
    table.add_column(unit.removesuffix("s"), overflow="fold")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for name in names:
        row = batch.rows.get(name, {})
        if name in batch.failures:
            row = {columns[0]: "failed", NOTES: batch.failures[name].message}
        # Names from files may hold what rich would take for markup.
        cells = (Text(str(row.get(column, ""))) for column in columns)
        table.add_row(Text(name), *cells, style="red" if name in batch.failures else None)
    # A pipe has no width: lines must not break there.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240, highlight=False).print(table)


def _account(batch: Batch, count: int, unit: str) -> str:
    return f"{len(batch.failures)} of {count} {unit} failed: {', '.join(batch.failures)}"


def _status(batch: Batch) -> int:
    bad = all(failure.status == EXIT_INPUT for failure in batch.failures.values())
    return EXIT_INPUT if bad else EXIT_FAILURE
