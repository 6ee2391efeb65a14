"""Timing in turn with a reference.

Seconds differ from machine to machine and from minute to minute, ratios hardly. So a part runs in turn with a
reference that does the same work, round after round, and the median of the rounds' ratios is reported.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Case:
    """One comparison: both functions do ``amount`` ``unit`` of work; ``alone``: without helper processes."""

    name: str
    reference_name: str
    ours: Callable[[], object]
    reference: Callable[[], object]
    amount: float
    unit: str
    alone: bool = True


@dataclass(frozen=True)
class Result:
    """Medians over the rounds; ``speedup`` is the reference's time over ours, ``cpu_speedup`` in CPU time."""

    name: str
    reference: str
    seconds: float
    reference_seconds: float
    speedup: float
    speedup_low: float
    speedup_high: float
    cpu_speedup: float | None
    rate: float
    unit: str
    rounds: int


def measure(case: Case, budget: float) -> Result:
    """Run both in turn until the budget is spent."""
    case.ours(), case.reference()  # caches and lazy imports
    end = time.perf_counter() + budget
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    while len(ours) < LEAST_ROUNDS or time.perf_counter() < end:
        pair = [(case.ours, ours), (case.reference, theirs)]
        for call, times in pair if len(ours) % 2 else pair[::-1]:  # neither is always first
            start, busy = time.perf_counter(), time.process_time()
            call()
            times.append((time.perf_counter() - start, time.process_time() - busy))
    ratios = np.array(theirs) / np.maximum(ours, 1e-9)
    low, middle, high = np.quantile(ratios[:, 0], (0.25, 0.5, 0.75))
    seconds = statistics.median(wall for wall, _ in ours)
    return Result(
        case.name,
        case.reference_name,
        seconds,
        statistics.median(wall for wall, _ in theirs),
        float(middle),
        float(low),
        float(high),
        float(np.median(ratios[:, 1])) if case.alone else None,
        case.amount / seconds,
        case.unit,
        len(ours),
    )


def machine() -> dict[str, object]:
    """What it was measured on."""
    lines = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if Path("/proc/cpuinfo").exists()
        else []
    )
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def markdown(results: list[Result], about: dict[str, object], title: str = "Speed") -> str:
    """The table for readers."""
    lines = [
        f"# {title}",
        "",
        "Made by `make bench`. *times* is the reference's time over ours, measured in turn: the median of",
        "the rounds, and its quartiles; *CPU* the same of the process's CPU time, where it has no helpers.",
        "Above 1, ours is faster.",
        "",
        ", ".join(f"{key}: {value}" for key, value in about.items()),
        "",
        "| part | reference | times | quartiles | CPU | rate | rounds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for item in results:
        quartiles = f"{item.speedup_low:.3g} to {item.speedup_high:.3g}"
        rate = f"{item.rate:,.0f} {item.unit}"
        cpu = "" if item.cpu_speedup is None else f"{item.cpu_speedup:.3g}"
        lines.append(
            f"| {item.name} | {item.reference} | {item.speedup:.3g} | {quartiles} | "
            f"{cpu} | {rate} | {item.rounds} |"
        )
    return "\n".join(lines) + "\n"
