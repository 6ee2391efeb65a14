"""Single frames of several channels or planes in one folder, told from their names.

``img_000000000_GFP_000.tif`` beside ``img_000000000_RFP_000.tif`` (Micro-Manager), ``t000_z0.tif`` beside
``t000_z1.tif``. Knows names only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from calcium_lightning.io.readers.series import MOST_CHANNELS, natural, stem

_PLANE = re.compile(r"(?:^|[^a-z])(?:z|plane|slice|depth|layer)[-_ ]?$", re.IGNORECASE)
#: Micro-Manager's names: the frame, the channel's name, the plane
_MICRO_MANAGER = re.compile(r"img_\d{9}_.*_(\d{3})")


def channels_by_word(files: Sequence[Path]) -> list[list[Path]]:
    """Files by the one word of their names that differs, where each has the same numbers; else all as one."""
    alike: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in sorted(files, key=natural):
        alike[tuple(re.split(r"\d+", stem(file)))].append(file)
    patterns = list(alike)
    if not 1 < len(patterns) <= MOST_CHANNELS or len({len(pattern) for pattern in patterns}) > 1:
        return [list(files)]
    differing = [place for place, texts in enumerate(zip(*patterns, strict=True)) if len(set(texts)) > 1]
    numbers = [[_numbers(file) for file in group] for group in alike.values()]
    worded = len(differing) == 1 and all(re.search("[^-_. ]", pattern[differing[0]]) for pattern in patterns)
    if not worded or len(numbers[0]) < 2 or any(other != numbers[0] for other in numbers):
        return [list(files)]
    return list(alike.values())


def planes_by_number(files: Sequence[Path]) -> list[list[Path]]:
    """Files by the number of their plane, where each frame has all of them; else all as one."""
    ordered = sorted(files, key=natural)
    patterns = {tuple(re.split(r"\d+", stem(file))) for file in ordered}
    if len(patterns) != 1:
        return [list(files)]
    numbers = [_numbers(file) for file in ordered]
    before = next(iter(patterns))[:-1]
    places = [place for place, text in enumerate(before) if _PLANE.search(text)]
    if not places and all(_MICRO_MANAGER.fullmatch(stem(file)) for file in ordered):
        places = [len(before) - 1]
    if len(places) != 1:
        return [list(files)]
    place = places[0]
    planes: dict[int, list[Path]] = defaultdict(list)
    frames: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for file, found in zip(ordered, numbers, strict=True):
        planes[found[place]].append(file)
        frames[found[place]].append((*found[:place], *found[place + 1 :]))
    whole = [sorted(found) for found in frames.values()]
    if len(planes) < 2 or len(whole[0]) < 2 or any(found != whole[0] for found in whole):
        return [list(files)]
    return [planes[number] for number in sorted(planes)]


def _numbers(file: Path) -> tuple[int, ...]:
    return tuple(int(run) for run in re.findall(r"\d+", stem(file)))
