"""Commands killed at random moments, and run again: ``make kill``.

Each command runs once undisturbed. Then it is ended by SIGKILL, SIGTERM or SIGINT at a random moment of the
same work, and the same command is given again. What must come of it: nothing half-written under its final name;
after SIGTERM and SIGINT no strays, status 143 and 130; after the rerun the same result as undisturbed, and no
strays. Commands run in forks of a process that has everything imported, a share as users type them (then
imports are interrupted too).

    make kill                                  200 kills
    make kill KILL="--count 40 --seed 3"
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from campaigns import cases, fuzz, warm

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUSES = {signal.SIGTERM: 143, signal.SIGINT: 130}
#: one of so many is typed, with its imports
TYPED = 6
#: what differs between two runs of the same: times, places, names
VOLATILE = re.compile(
    r'"(started|finished|id|seconds|git_commit|checkpoint|last|metrics|figures|time)": [^\n]*|'
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\s\"<]*|identifier=\S+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+"
)
#: files that tell of a run rather than of its result
TALES = (".log", "events.out", ".hydra", "job.json", "hparams.yaml")
JOBS = (
    ("ingest", ("input=big.npy", "fps=20", "output=out.h5"), ("big.npy",)),
    ("ingest", ("input=miniscope", "output=out.h5"), ("miniscope",)),
    ("simulate", ("output=out.h5", "simulation=demo", "simulation.seconds=10", "seed=2"), ()),
    ("extract", ("session=session.h5", "output=out.h5", "cell_diameter=6"), ("session.h5",)),
    ("evaluate", ("cells=cells.h5", "truth=truth.h5", "output=out.json"), ("cells.h5", "truth.h5")),
    ("export", ("cells=cells.h5", "output=out.nwb"), ("cells.h5",)),
    ("export", ("cells=cells.h5", "output=out"), ("cells.h5",)),
    ("report", ("cells=cells.h5", "output=out.html"), ("cells.h5",)),
    ("compare", ("runs=runs", "output=out.html"), ("runs",)),
    (
        "train",
        (*cases.TRAIN, "data.sessions=[session.h5]", "hydra.run.dir=out", "trainer.max_epochs=4"),
        ("session.h5",),
    ),
)


@dataclass
class Reference:
    """How a command ends undisturbed: in which time, and with what."""

    seconds: dict[bool, float]
    contents: dict[str, str]


def place(folder: Path, whole: Path, files: tuple[str, ...]) -> Path:
    """A fresh folder with a command's files."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name in files:
        copy = shutil.copytree if (whole / name).is_dir() else shutil.copy2
        copy(whole / name, folder / name)
    return folder


def start(job: tuple, folder: Path, typed: bool) -> int:
    """Begin a command."""
    name, arguments, _ = job
    if typed:
        return warm.start_typed(name, arguments, folder)
    return warm.start_fork(warm.command(name, arguments), folder)


def contents(folder: Path) -> dict[str, str]:
    """What is in a folder, without what differs between two runs of the same."""
    return dict(_contents(folder))


def _contents(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or any(tale in name for tale in TALES):
            continue
        yield name, digest(path)


def digest(path: Path) -> str:
    """What a file says, without when and where it was said."""
    if path.suffix in (".h5", ".nwb"):
        return _digest_hdf5(path)
    if path.suffix == ".ckpt":
        return _digest_checkpoint(path)
    if path.name == "metrics.csv":
        return _digest_metrics(path)
    if path.suffix in (".json", ".html", ".csv"):
        text = VOLATILE.sub("", path.read_text(errors="replace"))
        if path.suffix == ".html":
            text = re.sub(r"[\d.]+ s\b", "", text)
        return hashlib.sha256(text.encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest_metrics(path: Path) -> str:
    """A run's figures but those of training, which are means over what was left of a resumed epoch."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = [{name: value for name, value in row.items() if not name.startswith("train/")} for row in rows]
    return hashlib.sha256(json.dumps([row for row in kept if any(row.values())]).encode()).hexdigest()


def _digest_hdf5(path: Path) -> str:
    import h5py
    import numpy as np

    hashed = hashlib.sha256()

    def visit(name: str, node: object) -> None:
        hashed.update(name.encode())
        for key, value in sorted(node.attrs.items()):
            if key not in ("object_id", "config") and "namespace" not in key:
                hashed.update(VOLATILE.sub("", f"{key}={value!r}").encode())
        if isinstance(node, h5py.Dataset):
            value = node[()]
            plain = np.asarray(value)
            text = plain.dtype.kind in "OS" or not plain.nbytes
            hashed.update(
                VOLATILE.sub("", repr(plain.tolist())).encode() if text else np.ascontiguousarray(plain)
            )

    with h5py.File(path, "r") as file:
        if "specifications" not in file:
            visit("/", file)
        file.visititems(lambda name, node: None if name.startswith("specifications") else visit(name, node))
    return hashed.hexdigest()


def _digest_checkpoint(path: Path) -> str:
    import torch

    state = torch.load(path, weights_only=True, map_location="cpu")
    hashed = hashlib.sha256(str((state["epoch"], state["global_step"])).encode())
    for name, value in sorted(state["state_dict"].items()):
        hashed.update(name.encode() + value.numpy().tobytes())
    return hashed.hexdigest()


def strays(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """What was left that no undisturbed run leaves."""
    return [name for name in found if name not in wanted]


def temporaries(folder: Path) -> list[str]:
    """Unfinished files that were left."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".*") if ".tmp" in path.name]


def campaign(count: int, seed: int, work: Path, seconds: float | None = None, typed: int = TYPED) -> dict:
    """Kill many commands.

    Returns
    -------
    dict
        ``kills`` by signal and command, ``hits`` (those that ended a command that was at work), ``faults``.
    """
    rng = random.Random(seed)
    whole = work / "whole"
    if not whole.is_dir():
        fuzz.make_corpus(whole)
        import numpy as np

        frames = np.random.default_rng(1).integers(0, 250, (1500, 128, 160), np.uint8)
        np.save(whole / "big.npy", frames)
    references: dict[tuple[int, bool], Reference] = {}
    tally: dict = {"kills": {}, "hits": 0, "faults": []}
    began = time.monotonic()
    for number in range(count):
        if seconds is not None and time.monotonic() - began > seconds:
            break
        which, by = rng.randrange(len(JOBS)), rng.choice(SIGNALS)
        job, as_typed = JOBS[which], bool(typed) and number % typed == typed - 1
        key = (which, as_typed)
        folder = work / "job"
        if key not in references:
            place(folder, whole, job[2])
            outcome = warm.wait(start(job, folder, as_typed), folder, 300)
            assert outcome.status == 0, outcome.stderr
            references[key] = Reference({as_typed: outcome.seconds}, contents(folder))
        reference = references[key]
        place(folder, whole, job[2])
        process = start(job, folder, as_typed)
        time.sleep(rng.uniform(0, reference.seconds[as_typed]))
        _kill(process, by)
        outcome = warm.wait(process, folder, 120)
        name = f"{number} {job[0]} {job[1][-1]} {by.name}{' typed' if as_typed else ''}"
        faults = list(judge(by, outcome, folder, reference))
        tally["hits"] += outcome.status != 0
        again = warm.wait(start(job, folder, as_typed), folder, 300)
        faults += judge_rerun(again, folder, reference)
        label = f"{job[0]} {by.name}"
        tally["kills"][label] = tally["kills"].get(label, 0) + 1
        if faults:
            print(
                f"{name}: {'; '.join(faults)}\n  {outcome.stderr[-600:]}\n  {again.stderr[-600:]}", flush=True
            )
            tally["faults"].append(f"{name}: {'; '.join(faults)}")
    return tally


def _kill(process: int, by: signal.Signals) -> None:
    try:
        os.kill(process, by)
    except ProcessLookupError:
        return


def judge(by: signal.Signals, outcome: warm.Outcome, folder: Path, reference: Reference) -> Iterator[str]:
    """What is wrong with how a command ended that a signal came to."""
    if outcome.hung:
        yield "it went on"
    if outcome.status not in (0, -by, STATUSES.get(by, 0)):
        yield f"status {outcome.status}"
    if "Traceback (most recent call last)" in outcome.stderr and outcome.status != -signal.SIGINT:
        yield "traceback"
    found = contents_of_results(folder, reference)
    if found:
        yield f"half-written: {', '.join(found[:3])}"
    if by != signal.SIGKILL and outcome.status == STATUSES[by] and (left := temporaries(folder)):
        yield f"left: {', '.join(left[:3])}"


def contents_of_results(folder: Path, reference: Reference) -> list[str]:
    """Results that are there and can't be read whole; those of a training are states on its way."""
    broken = []
    for name, wanted in reference.contents.items():
        path = folder / name
        if not path.is_file():
            continue
        try:
            found = digest(path)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            broken.append(f"{name} ({type(error).__name__})")
            continue
        if found != wanted and not name.startswith("out/"):
            broken.append(name)
    return broken


def judge_rerun(outcome: warm.Outcome, folder: Path, reference: Reference) -> list[str]:
    """What is wrong after the same command was given again."""
    if outcome.status == 2 and "exists; overwrite=true" in outcome.stderr:  # the signal came after its end
        pass
    elif outcome.status != 0:
        return [f"rerun: status {outcome.status}"]
    found = contents(folder)
    faults = []
    if left := [*strays(found, reference.contents), *temporaries(folder)]:
        faults.append(f"strays: {', '.join(sorted(set(left))[:3])}")
    different = [name for name, wanted in reference.contents.items() if found.get(name) != wanted]
    if different:
        faults.append(f"differs: {', '.join(different[:3])}")
    return faults


def main() -> int:
    """Run the campaign of a command line; 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="kills")
    parser.add_argument("--seed", type=int, default=None, help="default: by the clock")
    parser.add_argument("--seconds", type=float, default=None, help="begin no more after so long")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    warm.warm_up()
    seed = int(time.time()) % 10**6 if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        tally = campaign(asked.count, seed, Path(folder), asked.seconds)
    print(
        f"seed {seed}: {sum(tally['kills'].values())} kills, {tally['hits']} of commands at work; "
        f"{len(tally['faults'])} faults\n{json.dumps(tally['kills'], indent=1)}"
    )
    return int(bool(tally["faults"]))


if __name__ == "__main__":
    sys.exit(main())
