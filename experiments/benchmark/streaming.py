"""How fast do windows come from session files? Each way in turn with h5py reading the same file in order.

    make bench        (or: python experiments/benchmark/streaming.py [--seconds 4] [--frames 2048])

Two kinds of windows, not to be confused. *Raw windows* are the file's own frames, in its type, as views
(``raw_windows``): what streaming costs. *Training windows* are crops of the motion-corrected,
resampled, high-passed foreground, each tap a weighted mean (``calcium_lightning.data.dataset``): what a
training step waits for. Every pass begins with nothing held in memory, but with memory to hold it in; files
are in the system's page cache.

Prints a table, and writes it to ``results/streaming.md`` and ``results/streaming.json`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from raw_windows import UNIT, RawWindows, raw_loader
from rich.console import Console
from timing import Case, Result, machine, markdown, measure
from torch.utils.data import DataLoader

from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.data.dataset import BlockDataset
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.nn.windows import edge_pad, take_windows
from calcium_lightning.preprocess.prepared import Prepared

RESULTS = Path(__file__).resolve().parent / "results"
SIDE, FPS, TAPS, DIAMETER = 256, 20.0, 11, 12.6
#: memory for shuffling, so little that the file doesn't fit
BUFFER_MB = 128
IN_ORDER = "h5py, in order, chunk by chunk"


def write_sessions(folder: Path, frames: int) -> dict[str, Path]:
    """A recording of photon noise, wandering by a pixel, in each of ingest's compressions."""
    random = np.random.default_rng(0)
    mean = 60 + 40 * np.sin(np.arange(SIDE) / 40)[:, None] * np.cos(np.arange(SIDE) / 30)
    movie = random.poisson(mean, (frames, SIDE, SIDE)).astype(np.uint8)
    shifts = random.uniform(-1, 1, (frames, 2)).astype(np.float32)
    paths = {}
    for name in ("none", "gzip", "gzip, long", "lz4"):
        paths[name] = folder / f"{name}.h5"
        compression, count = name.split(",")[0], frames // 4 if name == "gzip" else frames
        with SessionWriter(paths[name], SIDE, SIDE, "uint8", FPS, compression=compression) as writer:
            writer.append(movie[:count])
            writer.set_shifts(shifts[:count])
    return paths


def length(path: Path) -> int:
    """Frames in a session."""
    with Session(path) as session:
        return session.n_frames


def plain_reader(path: Path) -> Callable[[], None]:
    """The reference: h5py alone, on a copy, as HDF5 shares its settings between two who open a file."""
    file = h5py.File(shutil.copy(path, path.with_suffix(".copy.h5")))

    def read() -> None:
        frames = file["frames"]
        for start in range(0, len(frames), frames.chunks[0]):
            frames[start : start + frames.chunks[0]]

    return read


def one_pass(loader: Any, use: Callable[[Any], object]) -> Callable[[], None]:
    """The next epoch of a loader, from a cold start."""
    epoch = iter(range(10**9))

    def run() -> None:
        loader.dataset.segments.clear()
        if hasattr(loader.sampler, "set_epoch"):
            loader.sampler.set_epoch(next(epoch))
        for batch in loader:
            use(batch)

    return run


def raw_cases(paths: dict[str, Path]) -> Iterator[Case]:
    """Windows of file frames, as views."""
    for compression in ("none", "gzip", "lz4"):
        path = paths[compression]
        plain, frames = plain_reader(path), length(path)
        for order, block, batch in (
            ("in order", UNIT, 1),
            ("shuffled one by one", 1, 32),
            ("shuffled by blocks of 8", 8, 8),
        ):
            loader = raw_loader(
                RawWindows([path], TAPS, block=block), batch, shuffle=block < UNIT, buffer_mb=BUFFER_MB
            )
            run = one_pass(loader, lambda item: item.windows)
            yield Case(f"raw windows {order}, {compression}", IN_ORDER, run, plain, frames, "frames/s")
    loader = raw_loader(RawWindows([paths["none"]], TAPS, block=8), 8, buffer_mb=BUFFER_MB)
    file = h5py.File(shutil.copy(paths["none"], paths["none"].with_suffix(".converted.h5")))

    def convert() -> None:
        """The same windows by hand: read a chunk and convert the windows inside it."""
        data = file["frames"]
        tail = torch.empty(0, SIDE, SIDE, dtype=torch.uint8)
        for start in range(0, len(data), data.chunks[0]):
            block = torch.cat([tail, torch.from_numpy(data[start : start + data.chunks[0]])])
            windows = block.unfold(0, TAPS, 1).movedim(-1, 1)
            for first in range(0, len(windows), 64):
                windows[first : first + 64].float()
            tail = block[1 - TAPS :]

    yield Case(
        "raw windows shuffled by blocks of 8, none, as float32 batches",
        "h5py in order, windows converted",
        one_pass(loader, lambda item: item.stacked()),
        convert,
        length(paths["none"]),
        "frames/s",
    )


def worker_cases(paths: dict[str, Path]) -> Iterator[Case]:
    """The same with two processes that read ahead, against one that doesn't; started anew for each pass."""

    def raw(path: Path, workers: int) -> Any:
        return raw_loader(RawWindows([path], TAPS, block=8), 8, workers=workers, buffer_mb=BUFFER_MB)

    def training(path: Path, workers: int) -> Any:
        data.workers = workers
        return data.train_dataloader()

    data = training_data(paths["gzip, long"])
    for name, make, compression in (
        ("raw windows shuffled by blocks of 8, gzip", raw, "gzip, long"),
        ("raw windows shuffled by blocks of 8, none", raw, "none"),
        ("training windows, gzip", training, "gzip, long"),
    ):

        def run(workers: int, make: Any = make, path: Path = paths[compression]) -> None:
            for _ in make(path, workers):
                pass

        yield Case(
            f"{name}, 2 workers",
            "the same without",
            partial(run, 2),
            partial(run, 0),
            length(paths[compression]),
            "frames/s",
            alone=False,
        )


def training_data(path: Path) -> SessionData:
    """Training windows as `train` makes them, with the motion that the file knows."""
    data = SessionData([path], cell_diameter=DIAMETER, validation=0, buffer_mb=BUFFER_MB // 4)
    data.setup()
    return data


def training_cases(paths: dict[str, Path]) -> Iterator[Case]:
    """Batches for training, against reading alone, the least work, and each block by itself."""
    frames = length(paths["gzip"])
    data = training_data(paths["gzip"])
    loader = data.train_dataloader()
    prepared, dataset = data.prepared[0], blocks_of(loader)

    def prepare() -> None:
        for start, read in prepared.session.chunks(32):
            prepared.foreground_of(torch.from_numpy(read), start)

    def by_itself() -> None:
        random = np.random.default_rng(0)
        for block in dataset.blocks:
            block_by_itself(dataset, prepared, block.start, block.count, random)

    for reference, function in (
        (IN_ORDER, plain_reader(paths["gzip"])),
        ("each frame's foreground once, in order, no windows", prepare),
        ("each block of 8 read and prepared by itself", by_itself),
    ):
        run = one_pass(loader, lambda batch: batch)
        yield Case("training windows, gzip", reference, run, function, frames, "frames/s")


def blocks_of(loader: DataLoader[Any]) -> BlockDataset:
    """A training loader's dataset."""
    if not isinstance(loader.dataset, BlockDataset):
        raise TypeError(loader.dataset)
    return loader.dataset


def block_by_itself(
    dataset: BlockDataset, prepared: Prepared, start: int, count: int, random: np.random.Generator
) -> torch.Tensor:
    """The windows of one block from the file, with nothing kept from the block before."""
    weights, side = dataset.weights[0], dataset.crop or 0
    margin, room = weights.shape[1] // 2, np.array(prepared.scale.size) - side
    top, left = random.integers(0, room + 1)
    first, last = start - margin, start + count + margin
    low, high = max(0, first), min(prepared.shape[0], last)
    foreground = prepared.foreground(low, high, (top, top + side, left, left + side))
    return take_windows(edge_pad(foreground, low - first, last - high), weights)


def where_time_goes(path: Path) -> dict[str, float]:
    """Shares of one epoch of training windows: reading, motion and resampling, high-pass, windows."""
    data = training_data(path)
    loader = data.train_dataloader()
    prepared, dataset = data.prepared[0], blocks_of(loader)
    run = one_pass(loader, lambda batch: batch)

    def seconds(function: Callable[[], object]) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            function()
            times.append(time.process_time() - start)
        return float(np.median(times))

    def read() -> None:
        for _ in prepared.session.chunks(32):
            pass

    def resample() -> None:
        for start, frames in prepared.session.chunks(32):
            prepared.resample(torch.from_numpy(frames), start)

    def prepare() -> None:
        for start, frames in prepared.session.chunks(32):
            prepared.foreground_of(torch.from_numpy(frames), start)

    foreground = torch.randn(30, 64, 64)

    def windows() -> None:
        for _ in dataset.blocks:
            take_windows(foreground, dataset.weights[0])

    run()
    total, reading, resampled, ready, taken = map(seconds, (run, read, resample, prepare, windows))
    return {
        "reading": reading / total,
        "motion and resampling": (resampled - reading) / total,
        "background, baseline, noise": (ready - resampled) / total,
        "windows from foreground": taken / total,
        "the rest (crops, augmentation, joining)": (total - ready - taken) / total,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each comparison (default: 4)")
    parser.add_argument("--frames", type=int, default=2048, help="of the recording (default: 2048)")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, help="folder (default: results/ beside the script)"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    about = machine() | {"frames": f"{options.frames} of {SIDE}x{SIDE} uint8, gzip a quarter"}
    console = Console()
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = write_sessions(Path(folder), options.frames)
        for cases in (raw_cases, training_cases, worker_cases):
            for case in cases(paths):
                results.append(measure(case, options.seconds))
                item = results[-1]
                console.print(f"{item.name} / {item.reference}: {item.speedup:.3g}, {item.rate:,.0f}/s")
        shares = where_time_goes(paths["gzip"])
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    console.print(f"training windows, gzip: {told}")
    options.output.mkdir(parents=True, exist_ok=True)
    content = {"machine": about, "results": [asdict(item) for item in results], "training_shares": shares}
    (options.output / "streaming.json").write_text(json.dumps(content, indent=1) + "\n")
    table = markdown(results, about, "Streaming")
    (options.output / "streaming.md").write_text(f"{table}\nTraining windows, gzip: {told}.\n")
    console.print(f"written to {options.output}/streaming.json and streaming.md")


if __name__ == "__main__":
    main()
