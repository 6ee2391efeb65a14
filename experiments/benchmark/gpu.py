"""What a graphics card makes of extracting and training, against what it can do at most.

    make gpu        (or: python experiments/benchmark/gpu.py [--field 608] [--frames 1200] [--device cuda])

Extraction of a scene of the project's own simulator, on the card and on the CPU: frames a second, and how
many of the CPU's accepted cells the card finds within half a pixel. Training steps as ``trainer=gpu`` takes
them (bfloat16, batches of 32 crops), with a batch that is there already and with those of a loader:
operations a second as a share of what a large product in bfloat16 reaches. Where there are two cards, a
training of both.
Writes ``results/gpu.md`` and ``.json`` beside this file, with the card's name; says so where there is none.
``--device cpu`` shows on any machine that this script runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flops import counted
from processes import run
from rich.console import Console
from rich.markdown import Markdown
from scipy.spatial.distance import cdist
from timing import machine

from calcium_lightning import pipeline
from calcium_lightning.core.cells import Cells
from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.nn.windows import WindowBatch
from calcium_lightning.training.losses import CombinedLoss

RESULTS = Path(__file__).resolve().parent / "results"
CELL_DIAMETER, FPS = 12.0, 20.0


class Bench:
    """Figures of one device.

    Parameters
    ----------
    device : torch.device
        The card.
    steps : int
        Of a training, that are timed.
    """

    def __init__(self, device: torch.device, steps: int) -> None:
        self.device, self.steps = device, steps

    def seconds(self, call: Callable[[], object], rounds: int = 3) -> float:
        """The shortest time of some calls, everything done that they began."""
        times = []
        for _ in range(rounds):
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - start)
        return min(times)

    def wait(self) -> None:
        """Until the device has done all that it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def limit(self, side: int) -> float:
        """Operations per second of a large product in bfloat16."""
        a, b = (torch.randn(side, side, device=self.device, dtype=torch.bfloat16) for _ in range(2))
        a @ b
        return 2 * side**3 / self.seconds(lambda: a @ b)

    def extraction(self, session: Path, device: torch.device) -> tuple[Cells, float]:
        """Cells, and how long they took; the second time, when the device has warmed up."""
        model = pipeline.load_model(device=device)
        cells, took = None, float("inf")
        for _ in range(2 if device.type == "cuda" else 1):
            start = time.perf_counter()
            cells = pipeline.extract(session, cell_diameter=CELL_DIAMETER, detector=model, device=device)
            took = min(took, time.perf_counter() - start)
        assert cells is not None
        return cells, took

    def training(self, session: Path) -> tuple[float, float, float]:
        """Operations of a step, and seconds of one with the same batch and of one with a loader's."""
        data = SessionData([session], cell_diameter=CELL_DIAMETER, steps_per_epoch=self.steps)
        data.setup()
        loader = data.train_dataloader()
        batch = next(iter(loader)).to(self.device)
        network = pipeline.load_model(device=self.device).detector.train()
        optimizer = torch.optim.AdamW(network.parameters())
        loss = CombinedLoss()

        def step(here: WindowBatch) -> None:
            with torch.autocast(self.device.type, torch.bfloat16):
                total = loss(network, network(here.windows, here.extent), here, 1000).total
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            optimizer.step()

        _, operations = counted(lambda: step(batch))

        def same() -> None:
            for _ in range(self.steps):
                step(batch)

        def loaded() -> None:
            for here in loader:
                step(here.to(self.device))

        return (
            float(operations),
            self.seconds(same) / self.steps,
            self.seconds(loaded, 1) / self.steps,
        )


def both_cards(session: Path, folder: Path) -> str:
    """A training of two processes with NCCL, as a command: how long it took."""
    command = [sys.executable, "-m", "calcium_lightning.train", "+experiment=unsupervised", "trainer=ddp"]
    given = [f'data.sessions=["{session}"]', f"cell_diameter={CELL_DIAMETER:g}", "trainer.devices=2"]
    short = ["trainer.max_epochs=1", "data.steps_per_epoch=50", f"hydra.run.dir='{folder / 'ddp'}'"]
    return f"{run([*command, *given, *short]).seconds:.1f} s for 50 steps and the start"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--field", type=int, default=608, help="pixels along a side")
    parser.add_argument("--frames", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=50, help="of a training")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("make gpu: no CUDA device on this machine: nothing measured")
        return
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    bench = Bench(device, options.steps)
    limit = bench.limit(8192 if device.type == "cuda" else 1024)
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "scene.h5"
        side, duration = options.field, options.frames / FPS
        scene = ["simulation=miniscope_ca1", f"simulation.height_px={side}", f"simulation.width_px={side}"]
        length = [f"simulation.seconds={duration:g}", f"simulation.fps={FPS:g}", "seed=1"]
        simulate = [sys.executable, "-m", "calcium_lightning.simulate", f"output={session}"]
        run([*simulate, *scene, *length])
        cells, took = bench.extraction(session, device)
        reference, cpu = bench.extraction(session, torch.device("cpu"))
        operations, same, loaded = bench.training(session)
        two = both_cards(session, Path(folder)) if torch.cuda.device_count() > 1 else "one card only"
    apart = cdist(reference.centers[reference.accepted], cells.centers[cells.accepted])
    found = float(np.mean(apart.min(1) < 0.5)) if apart.size else 0.0
    rows: list[tuple[str, str]] = [
        ("large product in bfloat16", f"{limit / 1e12:.1f} TFLOP/s"),
        (f"extract, {options.frames} frames of {options.field}²", f"{options.frames / took:,.0f} frames/s"),
        ("... on the CPU", f"{options.frames / cpu:,.0f} frames/s"),
        ("accepted cells of the CPU's within half a pixel", f"{found:.1%} of {apart.shape[0]}"),
        (
            "training step, the same batch",
            f"{1e3 * same:.1f} ms, {operations / same / limit:.2f} of the limit",
        ),
        ("training step, with loader", f"{1e3 * loaded:.1f} ms, {operations / loaded / limit:.2f} of it"),
        ("two cards, NCCL", two),
    ]
    about: dict[str, Any] = {"card": name, **machine()}
    lines = [f"# {name}", "", ", ".join(f"{key}: {value}" for key, value in about.items()), ""]
    lines += ["| what | figure |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in rows)]
    text = "\n".join(lines) + "\n"
    Console().print(Markdown(text))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "gpu.md").write_text(text)
    (options.output / "gpu.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
