"""Which files of a folder are one recording, and in which order: told from their names.

Recorders number their files (``0.avi 1.avi``, ``msCam1.avi``), or split one recording as it grows (``X.tif``,
``X-001.tif``, ``X (1).tif``, ``X_2.tif``; HCImage's ``X@0001.tif``, Andor's ``X_X2.tif``). Knows names, and
bytes only to tell a copy.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from natsort import natsort_keygen

from calcium_lightning.core.errors import InputError

_DOUBLE = (".ome.tif", ".ome.tiff", ".ome.btf", ".ome.tf8")
_SPLIT = re.compile(r"(.+?)(?:[-_ .@]+\(?|\(|_X|(?<=\D))(\d{1,6})\)?")
_COPY = re.compile(r"(.+?)(?: ?\(\d+\)| ?- ?copy(?: ?\(\d+\))?|[ _]copy(?:[ _]?\d+)?)", re.IGNORECASE)
_POSITION = re.compile(r"(.*_MMStack_Pos[^_]*?)(?:_(\d+))?")
#: words whose number says of whom, when or from where a recording is
_WHOSE = re.compile(
    r"(?:^|[^a-z])(?:mouse|mice|m|rat|animal|subject|subj|sub|id|wt|ko|het|ctrl|control|sham|day|d|week|wk"
    r"|session|sess|ses|experiment|exp|cam|camera|fov|plane|roi|region|site|slice|lens|grin)[-_ .#]*$",
    re.IGNORECASE,
)
#: words whose number a recorder, or who split its file, counts parts by, also where text follows
_PART = re.compile(
    r"(?:^|[^a-z])(?:mscam|vid|video|movie?|part|rec|recording|file|img|image|frames?|stack|tif|trial|run|clip"
    r"|chunk|seg|segment|block|split|piece|data|raw|t|x)$",
    re.IGNORECASE,
)
#: files from so many on are a recorder's, whatever stands around their numbers
MANY = 20
#: what stands before a channel's number, how many channels there are at most, and numbers that none has
_CHANNEL = re.compile(r"(?:^|[^a-z])(?:c|ch|chan|channel)[-_ ]?$", re.IGNORECASE)
MOST_CHANNELS, NO_CHANNEL = 4, 10
#: a day in full, with or without marks between, or as YYMMDD
_DAY = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d([-_. ]?)(?:0[1-9]|1[0-2])\1|[123]\d(?:0[1-9]|1[0-2]))"
    r"(?:0[1-9]|[12]\d|3[01])(?!\d)"
)
natural = natsort_keygen(key=lambda file: stem(file))
#: a folder of more files than this holds single frames
CROWD = 2000
#: numbers from here on may be times of day
CLOCK = 100_000
#: bytes that are compared before whole files are
PROBE = 1 << 16


@dataclass(frozen=True)
class Series:
    """Files that follow each other.

    Attributes
    ----------
    files : tuple of Path
        In the order of time.
    numbers : tuple of int
        Their numbers; -1 for the one without.
    name : str
        What the files' names have in common.
    apart : bool
        Whether its numbers are those of mice, days, cameras or channels: if its files are recordings, and
        no single frames, each is one for itself.
    """

    files: tuple[Path, ...]
    numbers: tuple[int, ...]
    name: str
    apart: bool = False

    @property
    def split(self) -> bool:
        """Whether a recorder split one file as it grew: then the first has no number."""
        return len(self.files) > 1 and self.numbers[0] == -1

    @property
    def whole(self) -> bool:
        """Whether the numbers leave nothing out."""
        first, *rest = self.numbers
        steps = {second - first for first, second in zip(self.numbers, rest, strict=False)}
        return steps <= {1} or (self.split and first == -1 and rest[0] in (0, 1, 2) and not self.gaps())

    @property
    def torn(self) -> bool:
        """Whether numbers are missing from some that rise by one: those in steps may count frames."""
        steps = {following - number for number, following in pairwise(self.numbers)}
        return 1 in steps and len(steps) > 1

    def recordings(self) -> list[Series]:
        """Itself as one recording, or each of its files as one."""
        return [_alone(file) for file in self.files] if self.apart else [self]

    def gaps(self) -> list[str]:
        """What is missing among the numbers, in words."""
        return [
            f"{first + 1}" if second - first == 2 else f"{first + 1} to {second - 1}"
            for first, second in zip(self.numbers, self.numbers[1:], strict=False)
            if second - first > 1 and first >= 0
        ]

    def check_gaps(self) -> None:
        """Refuse numbers that aren't all there.

        Raises
        ------
        InputError
            Naming what is missing; or that numbers are times of day, which tell nothing of what is.
        """
        steps = [second - first for first, second in zip(self.numbers, self.numbers[1:], strict=False)]
        if steps and min(self.numbers) >= CLOCK and min(steps) > 1:
            raise InputError(
                f"{self.files[0].parent}: {self.files[0].name}, {self.files[1].name}, ... are numbered as by "
                f"a clock; give one as input=, or {to_join([self])}"
            )
        for first, second, file, following in zip(
            self.numbers, self.numbers[1:], self.files, self.files[1:], strict=False
        ):
            if second - first > 1 and not (first == -1 and second <= 2):
                digits = re.findall(r"\d+", following.name)
                own = next((run for run in reversed(digits) if int(run) == second), str(second))
                missing = str(max(first, 0) + 1).zfill(len(own) if own.startswith("0") else 0)
                head, _, tail = following.name.rpartition(own)
                parts = ",".join(str(other) for other in self.files)
                raise InputError(
                    f"{file.parent}: {head}{missing}{tail} is missing between {file.name} and "
                    f"{following.name}; what is there is read with input=[{parts}] join=true"
                )


def to_join(found: Sequence[Series]) -> str:
    """How all files of some series are read as one."""
    files = ",".join(str(file) for series in found for file in series.files)
    return f"join them with input=[{files}] join=true"


def is_hidden(file: Path) -> bool:
    """Whether a file is a system's, or an editor's, own: ``._0.avi`` of a Mac, ``~$table``."""
    return file.name.startswith((".", "~"))


def stem(file: Path) -> str:
    """A file's name without its ending, both parts of ``.ome.tif``."""
    for ending in _DOUBLE:
        if file.name.lower().endswith(ending):
            return file.name[: -len(ending)]
    return file.stem


def copies(files: Sequence[Path]) -> list[Path]:
    """Files that are named as copies of another (``X (1)``, ``X - Copy``) and hold the same bytes."""
    stems = {(stem(file).lower(), file.suffix.lower()): file for file in files}
    found = []
    for file in files:
        match = _COPY.fullmatch(stem(file))
        original = match and stems.get((match[1].lower(), file.suffix.lower()))
        if original and _same(original, file):
            found.append(file)
    return found


def check_copies(files: Sequence[Path]) -> None:
    """Refuse one of several numbered files that is there twice, under the name of a copy, with other bytes.

    Raises
    ------
    InputError
        Naming both.
    """
    stems = {(stem(file).lower(), file.suffix.lower()): file for file in files}
    patterns = Counter((_pattern(file), file.suffix.lower()) for file in files)
    for file in files:
        match = _COPY.fullmatch(stem(file))
        original = match and stems.get((match[1].lower(), file.suffix.lower()))
        if original and patterns[_pattern(original), original.suffix.lower()] > 1 and _runs(original):
            raise InputError(
                f"{file}: named as a copy of {original.name}, and holds something else; take away the one "
                "that isn't the recording's"
            )


def repeated(files: Sequence[Path]) -> list[str]:
    """Which files hold the same bytes as the one before, in words."""
    return [
        f"{file.name} holds the same as {before.name}"
        for before, file in pairwise(files)
        if file.stat().st_size and _same(before, file)
    ]


def series_of(files: Iterable[Path]) -> list[Series]:
    """Sort files of one kind into those that follow each other."""
    files = sorted(files, key=natural)
    by_stem = {stem(file): file for file in files}
    following: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    heads: list[Path] = []
    for file in files:
        match = _POSITION.fullmatch(stem(file)) or _SPLIT.fullmatch(stem(file))
        if match and match[2] and match[1] in by_stem:
            following[match[1]].append((int(match[2]), file))
        else:
            heads.append(file)
    found = []
    alone: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for head in heads:
        if stem(head) in following:
            rest = sorted(following[stem(head)])
            numbers = (-1, *(number for number, _ in rest))
            found.append(Series((head, *(file for _, file in rest)), numbers, stem(head)))
        else:
            place = _POSITION.fullmatch(stem(head))
            alone[(place[1],) if place else _pattern(head)].append(head)
    for pattern, group in alone.items():
        found += _numbered(pattern, group)
    return sorted(found, key=lambda series: natural(series.files[0]))


def recordings_of(files: Iterable[Path]) -> list[Series]:
    """Sort recordings, and parts of such, of one kind into those that follow each other."""
    return [one for series in series_of(files) for one in series.recordings()]


def channels_of(files: Sequence[Path]) -> list[list[Path]]:
    """Files by the channel that their names number, in the order of these numbers; else all as one.

    Names of another kind among them are with each channel.
    """
    alike: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in sorted(files, key=natural):
        alike[_pattern(file)].append(file)
    for pattern, group in alike.items():
        for place, before in enumerate(pattern[:-1]):
            if not _CHANNEL.search(before):
                continue
            channels: dict[int, list[Path]] = defaultdict(list)
            for file in group:
                channels[_runs(file)[place]].append(file)
            if _is_channel(before, set(channels)):
                others = [file for file in files if _pattern(file) != pattern]
                return [[*channels[number], *others] for number in sorted(channels)]
    return [list(files)]


def others_of(file: Path) -> list[Path]:
    """The files that go on from a file by their names, where its folder holds nothing else of its kind."""
    beside = [
        item
        for item in file.parent.iterdir()
        if item.suffix == file.suffix and not is_hidden(item) and item.is_file()
    ]
    found = recordings_of(beside) if len(beside) <= CROWD else []
    if len(found) != 1 or not found[0].whole:
        return []
    return [item for item in found[0].files if item.name != file.name]


def _numbered(pattern: tuple[str, ...], group: list[Path]) -> list[Series]:
    """Files whose names differ in one number, as one series; else each for itself."""
    runs = [_runs(file) for file in group]
    varying = [place for place in range(len(pattern) - 1) if len({run[place] for run in runs}) > 1]
    if len(group) > 1 and len(varying) == 1:
        place = varying[0]
        ordered = sorted(zip((run[place] for run in runs), group, strict=True))
        if len({number for number, _ in ordered}) == len(ordered):
            name = "".join(pattern).strip(" -_.") or "the numbers"
            apart = (
                bool(_WHOSE.search(pattern[place]))
                or _is_named(pattern, place, group)
                or _is_channel(pattern[place], {number for number, _ in ordered})
                or all(_is_day(file, place) for file in group)
            )
            files, numbers = zip(*((file, number) for number, file in ordered), strict=True)
            return [Series(files, numbers, name, apart)]
    return [_alone(file) for file in group]


def _pattern(file: Path) -> tuple[str, ...]:
    """What stands around the numbers of a name."""
    return tuple(re.split(r"\d+", stem(file)))


def _runs(file: Path) -> list[int]:
    return [int(run) for run in re.findall(r"\d+", stem(file))]


def _is_channel(before: str, numbers: set[int]) -> bool:
    """Whether the numbers behind some text are those of channels."""
    few = 1 < len(numbers) <= MOST_CHANNELS and max(numbers) < NO_CHANNEL
    return few and bool(_CHANNEL.search(before))


def _is_named(pattern: tuple[str, ...], place: int, group: Sequence[Path]) -> bool:
    """Whether a number is a part of a word, as in ``5Hz``, or of a name before others, as in ``A1_rec``.

    A recorder's counter ends the name, stands by itself, or has zeros before it.
    """
    before, behind = pattern[place], "".join(pattern[place + 1 :])
    digits = [re.findall(r"\d+", stem(file))[place] for file in group]
    if len(group) >= MANY or any(len(run) > 1 and run.startswith("0") for run in digits):
        return False
    unit = pattern[place + 1][:1].isalpha()
    more = bool(behind) or place + 2 < len(pattern)
    return unit or (before[-1:].isalpha() and more and not _PART.search(before))


def _alone(file: Path) -> Series:
    return Series((file,), (-1,), stem(file))


def _is_day(file: Path, place: int) -> bool:
    """Whether the number at a place of a name is of a date."""
    begin, end = list(re.finditer(r"\d+", stem(file)))[place].span()
    return any(day.start() <= begin and end <= day.end() for day in _DAY.finditer(stem(file)))


def _same(first: Path, second: Path) -> bool:
    if first.stat().st_size != second.stat().st_size:
        return False
    with first.open("rb") as one, second.open("rb") as other:
        if one.read(PROBE) != other.read(PROBE):
            return False
    return _digest(first) == _digest(second)


def _digest(file: Path) -> bytes:
    digest = sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.digest()
