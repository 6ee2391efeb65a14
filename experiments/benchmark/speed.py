"""How fast are the parts that take the time? Each in turn with a reference that does the same work.

    make bench        (or: python experiments/benchmark/speed.py [--seconds 4] [--threads 2])

On one thread, unless --threads says otherwise: core for core, and steady on a machine with other work.

Prints a table, and writes it to ``results/speed.md`` and ``results/speed.json`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from network import network_cases
from processes import run
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from skimage.feature import peak_local_max
from splat_memory import draw_splats
from timing import Case, machine, markdown, measure

from calcium_lightning.nn.coordinates import CoordinateMaps, find_peaks
from calcium_lightning.nn.head import CoordinateHead
from calcium_lightning.nn.splat import splat, splat_dense
from calcium_lightning.nn.windows import WindowSettings, take_windows, window_weights

RESULTS = Path(__file__).resolve().parent / "results"
#: images, coordinates in each, and their side, pixels: a training crop, a small field, a large one
SPLATS = ((8, 96, 64), (1, 50, 128), (1, 500, 512))
FPS, TAPS = 20.0, 11


def splat_cases() -> Iterator[Case]:
    """Painting coordinates, and the gradients to all of them, against the formula."""
    for batch, count, side in SPLATS:
        leaves = draw_splats(batch, count, side)

        def paint(function: Callable[..., torch.Tensor], leaves=leaves, side=side) -> None:
            function(*leaves, (side, side)).square().sum().backward()

        yield Case(
            f"splat, forward and backward, {count} coordinates on {side}x{side}",
            "splat_dense (the formula)",
            lambda paint=paint: paint(splat),
            lambda paint=paint: paint(splat_dense),
            batch,
            "images/s",
        )


def splat_memory() -> str:
    """Memory of the same, each in a process of its own that does nothing else."""
    lines = ["| splat, forward and backward | MB | the formula, MB | times |", "| --- | --- | --- | --- |"]
    for batch, count, side in SPLATS:
        script = [sys.executable, str(Path(__file__).with_name("splat_memory.py"))]
        numbers = [str(number) for number in (batch, count, side)]
        base, ours, formula = (run([*script, how, *numbers]).peak_mb for how in ("none", "splat", "dense"))
        ours, formula = max(ours - base, 1.0), formula - base
        lines.append(
            f"| {batch} x {count} coordinates on {side}x{side} | {ours:.0f} | {formula:.0f} "
            f"| {formula / ours:.3g} |"
        )
    return "\n".join(lines) + "\n"


def window_case() -> Case:
    """Windows around frames that are in memory, against one product over unfolded frames."""
    movie = torch.randn(160, 128, 128)
    weights = window_weights(FPS, WindowSettings(taps=TAPS))
    count = len(movie) - weights.shape[1] + 1

    def unfolded() -> torch.Tensor:
        windows = movie.unfold(0, weights.shape[1], 1)  # (n, h, w, S)
        return torch.einsum("nhws,ks->nkhw", windows, weights)

    assert torch.allclose(take_windows(movie, weights), unfolded(), atol=1e-5)
    return Case(
        "windows of 128x128 frames",
        "unfold and einsum",
        lambda: take_windows(movie, weights),
        unfolded,
        count,
        "windows/s",
    )


def peaks_case() -> Case:
    """Detections from the head's maps, with all their quantities, against scikit-image's maxima alone."""
    torch.manual_seed(0)
    head = CoordinateHead(4)
    ranges = head(torch.zeros(1, 4, 8, 8)).ranges
    noise = torch.randn(16, 1, 128, 128)
    logit = torch.nn.functional.avg_pool2d(noise, 5, 1, 2) * 20 - 6
    raw = torch.cat([logit, torch.randn(16, 9, 128, 128)], 1)
    probability = torch.sigmoid(logit[:, 0]).numpy()

    def maxima() -> None:
        for image in probability:
            peak_local_max(image, threshold_abs=0.3, exclude_border=False)

    return Case(
        "find_peaks, 128x128 maps",
        "skimage peak_local_max",
        lambda: find_peaks(CoordinateMaps(raw, ranges), 0.3),
        maxima,
        len(raw),
        "frames/s",
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each comparison (default: 4)")
    parser.add_argument("--threads", type=int, default=1, help="of Torch (default: 1)")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, help="folder (default: results/ beside the script)"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    about = machine()
    console, results = Console(), []
    for case in [*splat_cases(), window_case(), *network_cases(), peaks_case()]:
        with console.status(case.name):
            results.append(measure(case, options.seconds))
    table = Table(
        "part", "reference", "times", "quartiles", "rate", title="ours against the reference, in turn"
    )
    for item in results:
        quartiles = f"{item.speedup_low:.3g} to {item.speedup_high:.3g}"
        rate = f"{item.rate:,.0f} {item.unit}"
        table.add_row(item.name, item.reference, f"{item.speedup:.3g}", quartiles, rate)
    console.print(table)
    options.output.mkdir(parents=True, exist_ok=True)
    content = {"machine": about, "results": [asdict(item) for item in results]}
    (options.output / "speed.json").write_text(json.dumps(content, indent=1) + "\n")
    memory = splat_memory()
    (options.output / "speed.md").write_text(markdown(results, about) + "\n" + memory)
    console.print(Markdown(memory))
    console.print(f"written to {options.output}/speed.json and speed.md")


if __name__ == "__main__":
    main()
