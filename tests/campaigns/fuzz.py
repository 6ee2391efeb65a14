"""Damaged files and settings for every command that reads: ``make fuzz``.

Hypothesis draws a command and a seed; a mutator that knows the structure of files (``mutate.py``) or of command
lines (``settings.py``) does the damage. Commands run in forks of a process that has imported everything, a
share of them as users type them. What an input must end in: exit status 0 and a result that can be read, or
2 and one line; nothing half-written, nothing changed that was read, in a minute and 2 GB.

    make fuzz                                  2,000 inputs
    make fuzz FUZZ="--count 200 --seed 7"      fewer, others
    make fuzz FUZZ="--only extract:123456"     one of them again

Files that failed are kept, with the command beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from campaigns import corpus, mutate, settings, warm

#: commands and files that are tried, in proportion
CASES = tuple(case for case in (*corpus.FILES, *corpus.SETTINGS) for _ in range(case.weight))
#: one of so many is run as users type it
TYPED = 25
#: characters of an error's line
LONGEST = 2200
#: what a command may leave beside its output
LEFT = ("out", "multirun", "outputs")


@dataclass
class Tally:
    """What came of a campaign.

    Attributes
    ----------
    tried : Counter
        Inputs, by exit status.
    faults : dict of str to list of str
        Kind of fault -> inputs.
    seconds, peak : float, int
        The longest command, and the largest.
    """

    tried: Counter[int] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    peak: int = 0

    def add(self, name: str, outcome: warm.Outcome, faults: Sequence[str]) -> None:
        """Count one input."""
        self.tried[outcome.status] += 1
        self.seconds, self.peak = max(self.seconds, outcome.seconds), max(self.peak, outcome.peak)
        for fault in faults:
            self.faults.setdefault(fault, []).append(name)

    def __str__(self) -> str:
        total = sum(self.tried.values())
        statuses = ", ".join(f"{count} x {status}" for status, count in sorted(self.tried.items()))
        lines = [
            f"{total} inputs; exit statuses {statuses}; longest {self.seconds:.1f} s, largest "
            f"{self.peak / 1e9:.2f} GB"
        ]
        lines += [f"  {fault}: {len(names)} ({', '.join(names[:6])})" for fault, names in self.faults.items()]
        return "\n".join(lines if self.faults else [*lines, "  no fault"])


def try_one(case: corpus.Case, seed: int, whole: Path, work: Path, typed: bool = False) -> tuple:
    """Damage and run one input.

    Returns
    -------
    outcome : Outcome
    faults : list of str
    command : str
        As typed, with what was done to its files as a comment.
    """
    rng = random.Random(seed)
    folder = work / "input"
    for path in work.iterdir():
        _remove(path)
    folder.mkdir()
    for name in case.files:
        source, target = whole / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    arguments = case.arguments
    if case.damaged:
        done = mutate.damage(folder / rng.choice(case.files[: case.damaged]), rng)
    else:
        arguments, done = settings.typed(case, rng), "settings"
    before = dict(_contents(folder))
    if typed:
        process = warm.start_typed(case.command, arguments, folder)
    else:
        process = warm.start_fork(warm.command(case.command, arguments), folder)
    outcome = warm.wait(process, folder)
    faults = list(judge(case, outcome, before, dict(_contents(folder)), arguments))
    if outcome.status == 0 and case.damaged and case.output:
        faults += check_result(case, folder)
    line = f"python -m calcium_lightning.{case.command} {shlex.join(arguments)}"
    return outcome, faults, f"{line}\n# {done}\n# {', '.join(faults)}\n{outcome.stderr[-4000:]}"


def judge(
    case: corpus.Case,
    outcome: warm.Outcome,
    before: dict[str, str],
    after: dict[str, str],
    arguments: Sequence[str],
) -> Iterator[str]:
    """What is wrong with how a command ended."""
    if outcome.hung:
        yield "hang"
    if outcome.peak > warm.BYTES:
        yield "memory"
    if "Traceback (most recent call last)" in outcome.stderr:
        yield "traceback"
    elif not outcome.hung and outcome.status not in (0, 2):
        yield f"status {outcome.status}"
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    if outcome.status == 2 and not errors and "usage" not in outcome.stderr:
        yield "no line"
    if any(len(line) > LONGEST for line in outcome.stderr.splitlines()):
        yield "long line"
    if "owned" in after:
        yield "code ran"
    own = {name: what for name, what in after.items() if name not in before}
    changed = [name for name, what in before.items() if after.get(name) != what and not name.startswith(LEFT)]
    if changed:
        yield "input changed"
    results = [name for name in own if name.startswith(LEFT)]
    strays = [name for name in own if name not in results or "/." in f"/{name}".replace("/.hydra", "")]
    if case.damaged and strays:
        yield "stray"
    if outcome.status == 2 and case.damaged and any(name.startswith("out") for name in results):
        yield "half-written"


def check_result(case: corpus.Case, folder: Path) -> list[str]:
    """Read what a command has written, in a fork too."""

    def read() -> None:
        import numpy as np

        path = folder / case.output
        assert path.exists(), f"{path} is missing"
        if case.command == "ingest":
            from calcium_lightning.io.session import Session

            with Session(path) as session:
                for _, frames in session.chunks():
                    assert np.isfinite(frames).all()
                assert session.truth is None or session.truth is not None
        elif case.command == "extract":
            from calcium_lightning.io.cells_file import read_cells

            read_cells(path)
        elif path.suffix == ".json":
            import json

            json.loads(path.read_text(), parse_constant=_no_constant)

    check = folder.with_name("check")
    check.mkdir(exist_ok=True)
    outcome = warm.in_fork(read, check)
    return [] if outcome.status == 0 else [f"bad result: {outcome.stderr.strip().splitlines()[-1][:120]}"]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} in JSON")


def _contents(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not path.is_file():
            yield name, "folder" if path.is_dir() else "other"
        else:
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def make_corpus(folder: Path) -> Path:
    """The whole files, with a checkpoint that a training of a second has made."""

    def train(place: Path) -> Path:
        arguments = (*corpus.TRAIN, "data.sessions=[session.h5]", "hydra.run.dir=trained")
        outcome = warm.in_fork(warm.command("train", arguments), place, 300)
        assert outcome.status == 0, outcome.stderr
        return place / "trained/checkpoints/last.ckpt"

    made = corpus.make(folder, train)
    shutil.rmtree(made / "trained")
    return made


def campaign(
    count: int,
    seed: int,
    work: Path,
    keep: Path | None = None,
    only: Sequence[corpus.Case] = CASES,
    seconds: float | None = None,
    typed: int = TYPED,
) -> Tally:
    """Try many inputs.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        The same gives the same inputs.
    work : Path
        A folder to work in.
    keep : Path, optional
        Where inputs that failed are kept.
    only : sequence of Case
        The commands.
    seconds : float, optional
        No more are begun after so long.
    typed : int
        One of so many is typed.
    """
    import hypothesis
    from hypothesis import HealthCheck, Phase, given
    from hypothesis import strategies as st

    whole = work / "whole"
    if not whole.is_dir():
        make_corpus(whole)
    (work / "now").mkdir(exist_ok=True)
    tally, began = Tally(), time.monotonic()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(only), st.integers(0, 2**40))
    def search(case: corpus.Case, number: int) -> None:
        if seconds is not None and time.monotonic() - began > seconds:
            return
        name = f"{case.name}:{number}"
        tried = sum(tally.tried.values())
        outcome, faults, command = try_one(
            case, number, whole, work / "now", bool(typed) and tried % typed == typed - 1
        )
        tally.add(name, outcome, faults)
        if faults:
            print(f"{name}: {', '.join(faults)}", flush=True)
            if keep is not None:
                _keep(work / "now", keep / name.replace(":", "-"), command)

    search()
    return tally


def _keep(now: Path, place: Path, command: str) -> None:
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(now / "input", place, symlinks=True, ignore=_special)
    (place / "command.txt").write_text(command)


def _special(folder: str, names: list[str]) -> list[str]:
    places = {name: Path(folder, name) for name in names}
    return [name for name, path in places.items() if not path.is_dir() and not path.is_file()]


def main() -> int:
    """Run the campaign of a command line; 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="inputs")
    parser.add_argument("--seed", type=int, default=None, help="default: by the clock")
    parser.add_argument("--seconds", type=float, default=None, help="begin no more after so long")
    parser.add_argument("--only", default=None, help="CASE or CASE:NUMBER")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failures"), help="where failures are kept")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    warm.warm_up()
    seed = int(time.time()) % 10**6 if asked.seed is None else asked.seed
    keep = asked.keep.absolute()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        work = Path(place)
        if asked.only and ":" in asked.only:
            name, _, number = asked.only.partition(":")
            case = next(item for item in CASES if item.name == name)
            make_corpus(work / "whole")
            (work / "now").mkdir()
            outcome, faults, command = try_one(case, int(number), work / "whole", work / "now")
            print(command)
            print(outcome.stdout)
            print(f"status {outcome.status}, {outcome.seconds:.1f} s, {outcome.peak / 1e9:.2f} GB: {faults}")
            return int(bool(faults))
        only = [item for item in CASES if not asked.only or item.name.startswith(asked.only)]
        print(f"seed {seed}", flush=True)
        tally = campaign(asked.count, seed, work, keep, only, asked.seconds)
        print(f"seed {seed}: {tally}")
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
