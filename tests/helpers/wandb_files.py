"""Offline runs read back from their .wandb files, with wandb's own reader."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Piece:
    """What one .wandb file tells: a run, or what was added to it when it was resumed."""

    path: Path
    run: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None

    def series(self, name: str) -> list[tuple[int, float]]:
        """(global step, value) of a figure."""
        return [(row["trainer/global_step"], row[name]) for row in self.history if name in row]


def pieces(folder: Path) -> list[Piece]:
    """All .wandb files under a folder, the oldest first."""
    return [read(path) for path in sorted(folder.rglob("*run-*/run-*.wandb"))]


def read(path: Path) -> Piece:
    """One .wandb file."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    here = path.parent  # where the command leaves its own log
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60, check=True)
    piece = Piece(path)
    for line in done.stdout.splitlines():
        record = json.loads(line)
        content = record.get(record["type"]) or {}
        if record["type"] == "run":
            piece.run |= content
            piece.config |= content.get("config", {}).get("update", {})
        elif record["type"] == "config":
            piece.config |= content.get("update", {})
        elif record["type"] == "summary":
            piece.summary |= content.get("update", {})
        elif record["type"] == "history":
            piece.history.append(content["item"])
        elif record["type"] == "metric":
            piece.metrics[content.get("name") or content["glob_name"]] = content
        elif record["type"] == "exit":
            piece.exit_code = int(content.get("exit_code", 0))
        elif record["type"] == "artifact":
            piece.artifacts.append(content)
    return piece
