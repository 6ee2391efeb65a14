"""Files that a process makes: once, whole, and with what the process took beside them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from glob import escape
from pathlib import Path

from processes import Run, run

from calcium_lightning.core.atomic import atomic_path


class Failed(Exception):
    """A process that ended badly, with the last line that it said."""


def make(target: Path, command: Callable[[Path], Sequence[str]]) -> Run | None:
    """Run ``command(temporary)`` and rename what it wrote to ``target``, unless that is there.

    What the process took, its command and the machine's load go to ``target`` with the ending ``.json``.

    Returns
    -------
    Run or None
        What it took, now or when it was made; None where nobody wrote that down.

    Raises
    ------
    Failed
        If the process fails, or writes nothing.
    """
    beside = target.with_suffix(".json")
    if target.is_file():
        return _read(beside)
    for left in target.parent.glob(f".*{escape(target.stem)}.*.tmp*"):  # by one that was killed
        left.unlink()
    with atomic_path(target) as temporary:
        arguments = list(command(temporary))
        load = os.getloadavg()[0]
        try:
            took = run(arguments)
        except SystemExit as failure:
            lines = [line for line in str(failure.code).splitlines() if line.strip()]
            raise Failed(lines[-1].strip() if lines else "it said nothing") from failure
        if not temporary.is_file():
            raise Failed(f"{target.name}: the process wrote no file")
        about = {"load": round(load, 1), "date": time.strftime("%Y-%m-%d %H:%M"), "command": arguments}
        write_json(beside, {**asdict(took), **about})
    return took


def write_json(target: Path, values: object) -> None:
    """Write JSON, whole or not at all."""
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _read(beside: Path) -> Run | None:
    if not beside.is_file():
        return None
    known = json.loads(beside.read_text(encoding="utf-8"))
    return Run(**{part.name: known[part.name] for part in fields(Run)})
