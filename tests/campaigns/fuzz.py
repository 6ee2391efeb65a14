"""Damaged files and settings for every command that reads: ``make fuzz``.

Hypothesis draws a command and a seed; a mutator that knows the structure of files (``damage``) or of command
lines (``settings.py``) does the damage. Commands run in forks of a process that has imported everything, a
share of them as users type them. What an input must end in: exit status 0 and a result that can be read, or
2 and one line; nothing half-written, nothing changed that was read, in a minute and 2 GB.

    make fuzz                                          2,000 inputs
    make fuzz FUZZ="--count 200 --seed 7"              fewer, others
    make fuzz FUZZ="--seed 7 --log 7.jsonl"            stopped and given again, it goes on
    make fuzz FUZZ="--only extract:123456"             one of them again

Files that failed are kept, with the command beside them; a campaign that is stopped tells its tally.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from campaigns import cases, corpus, damage, settings, warm
from campaigns.cases import Case
from campaigns.results import check_result
from campaigns.tally import Tally, commit

#: commands and files that are tried, in proportion
CASES = tuple(case for case in (*cases.FILES, *cases.SETTINGS) for _ in range(case.weight))
#: one of so many is run as users type it
TYPED = 40
#: inputs that are drawn together: a campaign that is stopped goes on within such a slice
SLICE = 50
#: characters of an error's line
LONGEST = 2200
#: what a command may leave beside its output
LEFT = ("out", "multirun", "outputs")


def try_one(case: Case, seed: int, whole: Path, work: Path, typed: bool = False) -> tuple:
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
        remove(path)
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
        done = damage.damage(folder / rng.choice(case.files[: case.damaged]), rng)
    else:
        arguments, done = settings.typed(case, rng), "settings"
    before = dict(_contents(folder))
    if typed:
        process = warm.start_typed(case.command, arguments, folder)
    else:
        process = warm.start_fork(warm.command(case.command, arguments), folder)
    outcome = warm.wait(process, folder)
    faults = list(judge(case, outcome, before, dict(_contents(folder)), arguments))
    if outcome.status == 0 and case.damaged:
        faults += check_result(case, folder)
    line = f"python -m calcium_lightning.{case.command} {shlex.join(arguments)}"
    return outcome, faults, f"{line}\n# {done}\n# {', '.join(faults)}\n{outcome.stderr[-4000:]}"


def judge(
    case: Case,
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
    may_change = (*LEFT, case.changes) if case.changes and outcome.status == 0 else LEFT
    changed = [
        name for name, what in before.items() if after.get(name) != what and not name.startswith(may_change)
    ]
    if changed:
        yield "input changed"
    # an output that was made a folder is one to write into, and one that is gone is made anew
    within = f"{case.changes}/" if case.changes else LEFT
    results = [
        name for name in own if name == case.changes or name.startswith(LEFT) or name.startswith(within)
    ]
    strays = [name for name in own if name not in results or ".tmp" in name]
    if case.damaged and strays:
        yield "stray"
    if outcome.status == 2 and case.damaged and any(name.startswith("out") for name in results):
        yield "half-written"


def _contents(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not path.is_file():
            yield name, "folder" if path.is_dir() else "other"
        else:
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def make_corpus(folder: Path) -> Path:
    """The whole files, with a checkpoint that a training of a second has made."""

    def train(place: Path) -> Path:
        arguments = (*cases.TRAIN, "data.sessions=[session.h5]", "hydra.run.dir=trained")
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
    only: Sequence[Case] = CASES,
    seconds: float | None = None,
    typed: int = TYPED,
    log: Path | None = None,
) -> Tally:
    """Try many inputs, slice by slice.

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
    log : Path, optional
        What was tried; an earlier campaign of the same seed goes on from it.
    """
    whole = work / "whole"
    if not whole.is_dir():
        make_corpus(whole)
    (work / "now").mkdir(exist_ok=True)
    tally, until = Tally(log), time.monotonic() + (seconds or 1e9)
    number = 0
    try:
        while len(tally) < count and time.monotonic() < until:
            for index, (case, drawn) in enumerate(draw(only, f"{seed}/{number}", min(SLICE, count))):
                key = f"{seed}/{number}/{index}"
                if key in tally.done or len(tally) >= count or time.monotonic() > until:
                    continue
                as_typed = bool(typed) and (number * SLICE + index) % typed == typed - 1
                outcome, faults, command = try_one(case, drawn, whole, work / "now", as_typed)
                name = f"{case.name}:{drawn}"
                tally.add(
                    key, name, outcome.status, outcome.seconds, outcome.peak, faults, label=case.command
                )
                if faults:
                    print(f"{name}: {', '.join(faults)}", flush=True)
                    if keep is not None:
                        _keep(work / "now", keep / name.replace(":", "-").replace("/", "_"), command)
            number += 1
    except KeyboardInterrupt:
        print("stopped", flush=True)
    return tally


def draw(only: Sequence[Case], seed: str, count: int) -> list[tuple[Case, int]]:
    """Commands, and what seeds the damage of each."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, given
    from hypothesis import strategies as st

    drawn: list[tuple[Case, int]] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(only), st.integers(0, 2**40))
    def search(case: Case, number: int) -> None:
        drawn.append((case, number))

    search()
    return drawn


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
    parser.add_argument("--log", type=Path, default=None, help="keep what was tried there, and go on from it")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failures"), help="where failures are kept")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    warm.warm_up()
    signal.signal(signal.SIGTERM, stop)
    seed = int(time.time()) % 10**6 if asked.seed is None else asked.seed
    keep = asked.keep.absolute()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        work = Path(place)
        if asked.only and ":" in asked.only:
            return again(asked.only, work)
        only = [item for item in CASES if not asked.only or item.name.startswith(asked.only)]
        print(f"seed {seed}, commit {commit()}", flush=True)
        log = None if asked.log is None else asked.log.absolute()
        tally = campaign(asked.count, seed, work, keep, only, asked.seconds, log=log)
        print(f"seed {seed}, commit {commit()}: {tally}")
    return int(bool(tally.faults))


def again(name: str, work: Path) -> int:
    """Try one input again, and show what it prints."""
    name, _, number = name.rpartition(":")
    case = next(item for item in CASES if item.name == name)
    make_corpus(work / "whole")
    (work / "now").mkdir()
    outcome, faults, command = try_one(case, int(number), work / "whole", work / "now")
    print(command)
    print(outcome.stdout)
    print(f"status {outcome.status}, {outcome.seconds:.1f} s, {outcome.peak / 1e9:.2f} GB: {faults}")
    return int(bool(faults))


def stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
