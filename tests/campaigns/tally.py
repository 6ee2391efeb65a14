"""What came of a campaign, kept line by line: a campaign that is stopped has its tally, and goes on from it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Tally:
    """Counts.

    Attributes
    ----------
    file : Path, optional
        Where each is kept; what is in it already counts.
    tried : Counter
        By exit status.
    cases : Counter
        By command.
    faults : dict of str to list of str
        Kind of fault -> names.
    seconds, peak : float, int
        The longest, and the largest.
    done : set of str
        What was tried.
    """

    file: Path | None = None
    tried: Counter[int] = field(default_factory=Counter)
    cases: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    peak: int = 0
    done: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.file is not None and self.file.is_file():
            for line in self.file.read_text().splitlines():
                self._count(**json.loads(line))

    def add(
        self, key: str, name: str, status: int, seconds: float, peak: int, faults: Sequence[str], **more: Any
    ) -> None:
        """Count one, and keep it."""
        row = {"key": key, "name": name, "status": status, "seconds": round(seconds, 2), "peak": peak}
        row |= {"faults": list(faults), **more}
        self._count(**row)
        if self.file is not None:
            with self.file.open("a") as stream:
                stream.write(json.dumps(row) + "\n")

    def _count(
        self, key: str, name: str, status: int, seconds: float, peak: int, faults: Sequence[str], **more: Any
    ) -> None:
        self.done.add(key)
        self.tried[status] += 1
        self.cases[more.get("label", name.partition("-")[0].partition(":")[0])] += 1
        self.seconds, self.peak = max(self.seconds, seconds), max(self.peak, peak)
        for fault in faults:
            self.faults.setdefault(fault, []).append(name)

    def __len__(self) -> int:
        return len(self.done)

    def __str__(self) -> str:
        statuses = ", ".join(f"{count} x {status}" for status, count in sorted(self.tried.items()))
        commands = ", ".join(f"{name} {count}" for name, count in sorted(self.cases.items()))
        lines = [
            f"{len(self)} ({commands}); exit statuses {statuses}; longest {self.seconds:.1f} s, largest "
            f"{self.peak / 1e9:.2f} GB"
        ]
        lines += [f"  {fault}: {len(names)} ({', '.join(names[:6])})" for fault, names in self.faults.items()]
        return "\n".join(lines if self.faults else [*lines, "  no fault"])


def commit() -> str:
    """The commit that is tried, and whether anything differs from it."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    return told.stdout.strip() or "no commit"
