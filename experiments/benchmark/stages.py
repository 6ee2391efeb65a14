"""Where does the time of ``extract`` go, and how far is each part from what the machine can do?

    python experiments/benchmark/stages.py SESSION.h5 [--cell-diameter 12.6]

The session is extracted twice in this process: once timed, once with its matrix products and convolutions
counted; both times on one thread, since parts that run beside each other have no time of their own. A part's
limit is what a large matrix product, or a large copy, reaches on one thread. Writes ``results/stages.md`` and
``results/stages.json`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from flops import counted
from processes import run
from rich.console import Console
from rich.markdown import Markdown
from timing import machine

from calcium_lightning import pipeline
from calcium_lightning.core.device import has_bfloat16
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.session import Session
from calcium_lightning.localize import deconvolution, forms
from calcium_lightning.localize.demix import Demixer, Residual
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.nn.streamed import StreamedNetwork
from calcium_lightning.preprocess import prepare as statistics

RESULTS = Path(__file__).resolve().parent / "results"
#: bytes that move for a pixel of the foreground: file to half precision to single precision
READ_BYTES, READING = 2 + 2 + 2 + 4, "reading the foreground"
#: what the network's limit is called where the processor has it; elsewhere it is float32's
HALF = "bfloat16 GFLOP/s"
#: parts that don't contain each other, and the functions that they are
STAGES: dict[str, list[tuple[Any, str]]] = {
    "motion": [(statistics, "session_motion")],
    "baseline and noise": [(statistics, "_estimate_images")],
    "foreground": [(pipeline, "write_foreground")],
    "localisation": [(StreamedNetwork, "__init__"), (StreamedNetwork, "localize")],
    READING: [(ScratchMovie, "read")],
    "residual": [(Residual, "read")],
    "traces": [(Demixer, "model"), (Demixer, "project"), (Demixer, "unmix")],
    "deconvolution": [(deconvolution, "deconvolve")],
    "footprints": [(Demixer, "footprints"), (forms, "footprints_from_filtered")],
    "cells file": [(pipeline, "assemble")],
}


@dataclass
class Stage:
    """What one part took."""

    seconds: float = 0.0
    operations: float = 0.0
    moved: float = 0.0


class Stopwatch:
    """Times, and counts the operations of, the functions of :data:`STAGES`; the innermost one counts."""

    def __init__(self) -> None:
        self.stages = {name: Stage() for name in STAGES}
        self.counting = False
        self._inner: list[float] = []

    def __enter__(self) -> Stopwatch:
        self._originals = [
            (owner, name, getattr(owner, name)) for part in STAGES.values() for owner, name in part
        ]
        for stage, part in STAGES.items():
            for owner, name in part:
                setattr(owner, name, self._watched(stage, getattr(owner, name)))
        return self

    def __exit__(self, *error: object) -> None:
        for owner, name, original in self._originals:
            setattr(owner, name, original)

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        stage = self.stages[name]

        def watched(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            start = time.perf_counter()
            if self.counting:
                result, operations = counted(lambda: function(*arguments, **named))
                stage.operations += operations
            else:
                result = function(*arguments, **named)
                took = time.perf_counter() - start
                stage.seconds += took - self._inner[-1]
                if name == READING:
                    stage.moved += READ_BYTES * result.numel()
                if len(self._inner) > 1:
                    self._inner[-2] += took
            self._inner.pop()
            return result

        return watched


def matrix_rate(dtype: torch.dtype, side: int = 2048) -> float:
    """Operations per second of a large matrix product."""
    a, b = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    return 2 * side**3 / _best(lambda: a @ b)


def copy_rate(size: int = 1 << 27) -> float:
    """Bytes per second that a large copy reads and writes."""
    a, b = torch.zeros(size // 4), torch.zeros(size // 4)
    return 2 * size / _best(lambda: b.copy_(a))


def _best(call: Callable[[], object], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("session", type=Path)
    parser.add_argument("--cell-diameter", type=float, default=12.6, help="pixels")
    options = parser.parse_args()
    torch.set_num_threads(1)
    limits = {
        "float32 GFLOP/s": matrix_rate(torch.float32) / 1e9,
        **({HALF: matrix_rate(torch.bfloat16) / 1e9} if has_bfloat16("cpu") else {}),
        "copy GB/s": copy_rate() / 1e9,
    }
    start_up = run(
        [sys.executable, "-c", "import calcium_lightning.pipeline, calcium_lightning.nn.checkpoint"]
    )
    model = pipeline.load_model(device="cpu")
    watch = Stopwatch()
    with watch, tempfile.TemporaryDirectory() as folder, Session(options.session) as session:

        def extract() -> None:
            with pipeline.extract_streamed(
                session, detector=model, cell_diameter=options.cell_diameter, device="cpu"
            ) as found:
                write_cells(Path(folder) / "cells.h5", found.cells, overwrite=True)

        start = time.perf_counter()
        extract()
        whole = time.perf_counter() - start
        watch.counting = True
        extract()
    text = _table(watch.stages, whole, start_up.seconds, limits)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "stages.md").write_text(text)
    record = {
        "machine": machine(),
        "limits": limits,
        "whole": whole,
        "start_up": start_up.seconds,
        "stages": {name: asdict(stage) for name, stage in watch.stages.items()},
    }
    (RESULTS / "stages.json").write_text(json.dumps(record, indent=2) + "\n")
    Console().print(Markdown(text))


def _table(stages: dict[str, Stage], whole: float, start_up: float, limits: dict[str, float]) -> str:
    lines = [
        "Limits: " + ", ".join(f"{value:.0f} {name}" for name, value in limits.items()) + ".",
        "",
        "| part | seconds | share | work | of the limit |",
        "| --- | --- | --- | --- | --- |",
        f"| start (Python, Torch, imports) | {start_up:.2f} | | | |",
    ]
    for name, stage in stages.items():
        rate = limits[HALF if name == "localisation" and HALF in limits else "float32 GFLOP/s"]
        told = " | "
        if stage.moved:
            giga = stage.moved / 1e9
            told = f"{giga:.1f} GB | {giga / stage.seconds / limits['copy GB/s']:.2f}"
        elif stage.operations > 1e9:
            giga = stage.operations / 1e9
            told = f"{giga:.0f} GFLOP | {giga / stage.seconds / rate:.2f}"
        lines.append(f"| {name} | {stage.seconds:.2f} | {stage.seconds / whole:.0%} | {told} |")
    rest = whole - sum(stage.seconds for stage in stages.values())
    lines.append(f"| the rest | {rest:.2f} | {rest / whole:.0%} | | |")
    lines.append(f"| together, without the start | {whole:.2f} | | | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
