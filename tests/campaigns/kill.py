"""Commands killed at random moments, and run again: ``make kill``.

Each command runs once undisturbed. Then it is ended by SIGKILL, SIGTERM or SIGINT at a random moment of the
same work, and the same command is given again. What must come of it: nothing half-written under its final name;
after SIGTERM and SIGINT no strays, status 143 and 130; after the rerun the same result as undisturbed, and no
strays, in the temporary folder neither. A page of ``curate`` is killed while somebody decides on it: what was
told as kept must be there, in order. Commands run in forks of a process that has everything imported, a share
as users type them (then imports are interrupted too).

    make kill                                        200 kills
    make kill KILL="--count 40 --seed 3"
    make kill KILL="--seed 3 --log 3.jsonl"          stopped and given again, it goes on
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from campaigns import cases, decider, fuzz, warm
from campaigns.left import DECIDED, contents, digest, in_temporary, strays, temporaries
from campaigns.tally import Tally, commit

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
#: s within which a page is killed, and more where it is typed
PAGE_S, IMPORTS_S = 4.0, 3.0
STATUSES = {signal.SIGTERM: 143, signal.SIGINT: 130}
#: one of so many is typed, with its imports
TYPED = 6


@dataclass(frozen=True)
class Job:
    """A command to kill.

    Attributes
    ----------
    command : str
    arguments : tuple of str
    files : tuple of str
        That are copied into its folder.
    page : bool
        It serves a page, on which somebody decides.
    """

    command: str
    arguments: tuple[str, ...]
    files: tuple[str, ...]
    page: bool = False


def _job(line: str, files: str = "", page: bool = False) -> Job:
    command, *arguments = line.split()
    return Job(command, tuple(arguments), tuple(files.split()), page)


_DAYS = "day0.h5 day1.h5 day2.h5"
_TRAIN = f"train {' '.join(cases.TRAIN)} data.sessions=[session.h5] hydra.run.dir=out trainer.max_epochs=4"
PAGE = _job("curate cells=cells.h5 open=false who=Ada", "cells.h5", page=True)
JOBS = (
    _job("ingest input=big.npy fps=20 output=out.h5", "big.npy"),
    _job("ingest input=miniscope output=out.h5", "miniscope"),
    _job("simulate output=out.h5 simulation=demo simulation.seconds=10 seed=2"),
    _job("extract session=session.h5 output=out.h5 cell_diameter=6", "session.h5"),
    _job("evaluate cells=cells.h5 truth=truth.h5 output=out.json", "cells.h5 truth.h5"),
    *(
        _job(f"export cells=cells.h5 output={output}", "cells.h5")
        for output in ("out.nwb", "out", "out.parquet", "out.mat", "out.hdf5", "out.nc", "out.zip")
    ),
    *(
        _job(f"export cells=cells.h5 format={name} output=out", "cells.h5")
        for name in ("suite2p", "minian", "napari")
    ),
    *(
        _job(f"export cells=filmed.h5 session=session.h5 output=out.{ending}", "filmed.h5 session.h5")
        for ending in ("tif", "zarr", "mp4")
    ),
    _job("report cells=cells.h5 output=out.html", "cells.h5"),
    _job("compare runs=runs output=out.html", "runs"),
    _job(f"track cells=[{_DAYS.replace(' ', ',')}] output=out.h5 page=out.html csv=out.csv", _DAYS),
    _job("curate cells=curated.h5 from=decisions.json serve=false who=Ada", "curated.h5 decisions.json"),
    _job("watch input=session.h5 fps=20 cell_diameter=6 beginning_s=2 patience_s=.2 output=out.h5 lines=lines.csv "
         "overwrite=true",
         "session.h5"),
    PAGE,
    PAGE,
    PAGE,
    _job(_TRAIN, "session.h5"),
)  # fmt: skip


@dataclass
class Reference:
    """How a command ends undisturbed: in which time, and with what."""

    seconds: float
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


def start(job: Job, folder: Path, typed: bool) -> int:
    """Begin a command."""
    if typed:
        return warm.start_typed(job.command, job.arguments, folder)
    return warm.start_fork(warm.command(job.command, job.arguments), folder)


def campaign(
    count: int,
    seed: int,
    work: Path,
    seconds: float | None = None,
    typed: int = TYPED,
    log: Path | None = None,
    only: str = "",
) -> Tally:
    """Kill many commands.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        The same gives the same commands, signals, and shares of their time.
    work : Path
        A folder to work in.
    seconds : float, optional
        No more are begun after so long.
    typed : int
        One of so many is typed.
    log : Path, optional
        What was tried; an earlier campaign of the same seed goes on from it.
    only : str
        Those whose command begins so.
    """
    whole = work / "whole"
    if not whole.is_dir():
        fuzz.make_corpus(whole)
        import numpy as np

        frames = np.random.default_rng(1).integers(0, 250, (1500, 128, 160), np.uint8)
        np.save(whole / "big.npy", frames)
    references: dict[tuple[Job, bool], Reference] = {}
    tally, began = Tally(log), time.monotonic()
    jobs = [job for job in JOBS if job.command.startswith(only)]
    try:
        for number in range(count):
            key = f"{seed}/{number}"
            if seconds is not None and time.monotonic() - began > seconds:
                break
            if key not in tally.done:
                _one(random.Random(key), key, number, jobs, work, typed, references, tally)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    return tally


def _one(
    rng: random.Random,
    key: str,
    number: int,
    jobs: list[Job],
    work: Path,
    typed: int,
    references: dict[tuple[Job, bool], Reference],
    tally: Tally,
) -> None:
    """Kill one command, run it again, and count what is wrong."""
    job, by, share = rng.choice(jobs), rng.choice(SIGNALS), rng.random()
    as_typed = bool(typed) and number % typed == typed - 1
    name = f"{job.command} {job.arguments[-1]} {by.name}{' typed' if as_typed else ''} at {share:.3f}"
    folder = work / "job"
    for path in Path(tempfile.gettempdir()).iterdir():
        fuzz.remove(path)
    if job.page:
        outcome, again, faults = kill_page(job, folder, work / "whole", as_typed, by, share, rng)
    else:
        if (job, as_typed) not in references:
            place(folder, work / "whole", job.files)
            outcome = warm.wait(start(job, folder, as_typed), folder, 300)
            assert outcome.status == 0, outcome.stderr
            references[job, as_typed] = Reference(outcome.seconds, contents(folder))
        reference = references[job, as_typed]
        place(folder, work / "whole", job.files)
        process = start(job, folder, as_typed)
        time.sleep(share * reference.seconds)
        _kill(process, by)
        outcome = warm.wait(process, folder, 120)
        faults = list(judge(by, outcome, folder, reference))
        again = warm.wait(start(job, folder, as_typed), folder, 300)
        faults += judge_rerun(again, folder, reference)
    peak = max(outcome.peak, again.peak)
    label = f"{job.command} {by.name.removeprefix('SIG')}"
    tally.add(key, name, outcome.status, outcome.seconds, peak, faults, label=label)
    if faults:
        said = f"  {outcome.stderr[-900:]}\n  {again.stderr[-900:]}"
        print(f"{key} {name}: {'; '.join(faults)}\n{said}", flush=True)


def kill_page(
    job: Job,
    folder: Path,
    whole: Path,
    typed: bool,
    by: signal.Signals,
    share: float,
    rng: random.Random,
) -> tuple[warm.Outcome, warm.Outcome, list[str]]:
    """Kill a page on which somebody decides; open it again, and end it in good order."""
    place(folder, whole, job.files)
    said, _ = warm.logs_of(folder)
    said.unlink(missing_ok=True)
    process = start(job, folder, typed)
    somebody = decider.Decider(said, rng.randrange(2**32))
    time.sleep(share * PAGE_S + (IMPORTS_S if typed else 0))
    _kill(process, by)
    outcome = warm.wait(process, folder, 120)
    somebody.end()
    faults = []
    if outcome.hung:
        faults.append("it went on")
    if outcome.status not in (0, -by, STATUSES.get(by, 0)):
        faults.append(f"status {outcome.status}")
    if "Traceback (most recent call last)" in outcome.stderr and outcome.status != -signal.SIGINT:
        faults.append("traceback")
    faults += _decided(folder, somebody, "after the kill")
    said.unlink(missing_ok=True)
    process = start(job, folder, typed)
    until = time.monotonic() + 60
    while not decider.address(said) and time.monotonic() < until:
        time.sleep(0.05)
    if decider.address(said):
        decider.ask(decider.address(said), "end", {})
    again = warm.wait(process, folder, 60)
    if again.status != 0:
        faults.append(f"rerun: status {again.status}")
    faults += _decided(folder, somebody, "after the rerun")
    left = sorted({path.name for path in folder.iterdir()} - set(job.files)) + in_temporary()
    return outcome, again, [*faults, *([f"strays: {', '.join(left[:3])}"] if left else [])]


def _decided(folder: Path, somebody: decider.Decider, when: str) -> list[str]:
    """What is wrong with the decisions that a cells file and its journal hold."""
    place = folder.with_name("log")
    place.mkdir(exist_ok=True)
    outcome = warm.in_fork(lambda: print(json.dumps(_log_of(folder / PAGE.files[0]))), place)
    if outcome.status != 0:
        return [f"{when}: {outcome.stderr.strip().splitlines()[-1]}"]
    found = json.loads(outcome.stdout)
    if found != somebody.sent[: len(found)]:
        return [f"differs {when}: {found} of {somebody.sent}"]
    if len(found) < len(somebody.kept):
        return [f"lost {when}: {len(somebody.kept) - len(found)} of {len(somebody.kept)}"]
    return []


def _log_of(path: Path) -> list[dict]:
    from calcium_lightning.core.decisions import action_as_json
    from calcium_lightning.io.cells_file import read_cells
    from calcium_lightning.io.curation_file import open_original

    read_cells(path)
    with open_original(path) as original:
        return [action_as_json(entry.action) for entry in original.log]


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
    found = [name for name in contents_of_results(folder, reference) if name != DECIDED]
    if found:
        yield f"half-written: {', '.join(found[:3])}"
    if (
        by != signal.SIGKILL
        and outcome.status == STATUSES[by]
        and (left := [*temporaries(folder), *in_temporary()])
    ):
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
    if left := [*strays(found, reference.contents), *temporaries(folder), *in_temporary()]:
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
    parser.add_argument("--log", type=Path, default=None, help="keep what was tried there, and go on from it")
    parser.add_argument("--only", default="", help="COMMAND")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    warm.warm_up()
    signal.signal(signal.SIGTERM, fuzz.stop)
    seed = int(time.time()) % 10**6 if asked.seed is None else asked.seed
    print(f"seed {seed}, commit {commit()}", flush=True)
    log = None if asked.log is None else asked.log.absolute()
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        own = Path(folder, "tmp")
        own.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(own)  # forks and what is typed have it too
        tally = campaign(asked.count, seed, Path(folder), asked.seconds, log=log, only=asked.only)
    print(f"seed {seed}, commit {commit()}: {tally}")
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
