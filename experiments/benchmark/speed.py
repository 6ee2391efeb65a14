"""How fast are the parts that take the time? Each in turn with a reference that does the same work.

    make bench        (or: python experiments/benchmark/speed.py [--seconds 4] [--threads 2])

On one thread, unless --threads says otherwise: core for core, and steady on a machine with other work.

Prints a table, and writes it to ``results/speed.md`` and ``results/speed.json`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from skimage.feature import peak_local_max
from timing import Case, machine, markdown, measure
from torch.utils.flop_counter import FlopCounterMode

from calcium_lightning.data.sampler import BlockSampler
from calcium_lightning.data.splits import chunk_blocks
from calcium_lightning.data.windows import WindowSettings, take_windows, window_weights
from calcium_lightning.nn.background import NoBackground
from calcium_lightning.nn.coordinates import CoordinateMaps, find_peaks
from calcium_lightning.nn.encoder import UShapeEncoder
from calcium_lightning.nn.head import CoordinateHead
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.splat import SplatDecoder, splat, splat_dense
from calcium_lightning.session import Session, SessionWriter

RESULTS = Path(__file__).resolve().parent / "results"
FRAMES, SIDE, FPS, BLOCK, TAPS = 512, 256, 20.0, 8, 11


def splat_cases() -> Iterator[Case]:
    """Painting coordinates, and the gradients to all of them, against the formula."""
    generator = torch.Generator().manual_seed(0)
    for batch, count, side, what in ((8, 96, 64, "training crop"), (2, 256, 128, "field")):

        def draw(*shape: int) -> torch.Tensor:
            return torch.rand(*shape, generator=generator)

        values = (
            draw(batch, count, 2) * side,
            draw(batch, count),
            draw(batch, count, 2) + 2.0,
            draw(batch, count) * 3,
        )
        leaves = [value.clone().requires_grad_() for value in values]

        def paint(function: Callable[..., torch.Tensor], leaves=leaves, side=side) -> None:
            function(*leaves, (side, side)).square().sum().backward()

        yield Case(
            f"splat, forward and backward, {what} {side}x{side}, {count} coordinates",
            "splat_dense (the formula)",
            lambda paint=paint: paint(splat),
            lambda paint=paint: paint(splat_dense),
            batch,
            "images/s",
        )


def reading_cases(folder: Path) -> Iterator[Case]:
    """Reading a session in order, and as training does, against h5py reading the file chunk by chunk."""
    random = np.random.default_rng(0)
    mean = 60 + 40 * np.sin(np.arange(SIDE) / 40)[:, None] * np.cos(np.arange(SIDE) / 30)
    frames = random.poisson(mean, (FRAMES, SIDE, SIDE)).astype(np.uint8)
    span = window_weights(FPS, WindowSettings(taps=TAPS)).shape[1]
    for compression in ("none", "gzip", "lz4"):
        path = folder / f"{compression}.h5"
        with SessionWriter(path, SIDE, SIDE, "uint8", FPS, compression=compression) as writer:
            writer.append(frames)
        with Session(path) as session:
            chunk = session.chunk_frames
        blocks = chunk_blocks(0, range(FRAMES), BLOCK, chunk)
        order = [draw[0] for batch in BlockSampler(len(blocks), 1, seed=0) for draw in batch]

        def plain(path: Path = path, chunk: int = chunk) -> None:
            with h5py.File(path) as file:
                data = file["frames"]
                for start in range(0, len(data), chunk):
                    data[start : start + chunk]

        def in_order(path: Path = path) -> None:
            with Session(path) as session:
                for _ in session.chunks():
                    pass

        def shuffled(path: Path = path, blocks=blocks, order=order) -> None:
            with Session(path) as session:
                for index in order:
                    start = blocks[index].start
                    session.frames(max(0, start - span // 2), start + BLOCK + span // 2)

        name = {"none": "uncompressed"}.get(compression, compression)
        yield Case(f"session in order, {name}", "h5py, chunk by chunk", in_order, plain, FRAMES, "frames/s")
        yield Case(
            f"shuffled blocks of {BLOCK} windows, {name}",
            "h5py, chunk by chunk",
            shuffled,
            plain,
            FRAMES,
            "windows/s",
        )


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


def network_cases() -> Iterator[Case]:
    """The network that ships (its shape, random weights), against a matrix product of as many operations."""
    torch.manual_seed(0)
    encoder = UShapeEncoder(TAPS)
    network = LocalizationNetwork(
        encoder, CoordinateHead(encoder.out_channels), NoBackground(), SplatDecoder()
    )
    network.eval()
    windows = torch.randn(16, TAPS, 128, 128)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.head(network.encoder(windows))
    operations = counter.get_total_flops()
    side = 1024
    products = operations / (2 * side**3)
    for dtype in (torch.float32, torch.bfloat16):
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            continue
        one, two = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)

        def infer(dtype: torch.dtype = dtype) -> None:
            with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                network.head(network.encoder(windows))

        def multiply(one=one, two=two) -> None:
            rows = round(side * (products % 1))
            for _ in range(int(products)):
                one @ two
            if rows:
                one[:rows] @ two

        name = str(dtype).removeprefix("torch.")
        yield Case(
            f"network, {name}, 128x128 windows ({operations / len(windows) / 1e6:.0f} MFLOP each)",
            f"{side}x{side} matrix products of as many FLOP",
            infer,
            multiply,
            len(windows),
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
    with tempfile.TemporaryDirectory() as folder:
        cases = [*splat_cases(), *reading_cases(Path(folder)), window_case(), *network_cases(), peaks_case()]
        for case in cases:
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
    (options.output / "speed.md").write_text(markdown(results, about))
    console.print(f"written to {options.output}/speed.json and speed.md")


if __name__ == "__main__":
    main()
