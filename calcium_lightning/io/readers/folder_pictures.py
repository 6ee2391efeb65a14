"""Which pictures and TIFF stacks of a folder are the recording, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.array import chosen
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.formats import TIFF_ENDINGS, Options
from calcium_lightning.io.readers.grid import channels_by_word, planes_by_number
from calcium_lightning.io.readers.images import ImageFolder
from calcium_lightning.io.readers.inscopix import add_log
from calcium_lightning.io.readers.sequence import Sequenced
from calcium_lightning.io.readers.series import (
    Series,
    channels_of,
    check_copies,
    copies,
    natural,
    repeated,
    series_of,
    stem,
    to_join,
)
from calcium_lightning.io.readers.tiff import open_tiff

_KIND = {
    **{ending: "TIFF" for ending in TIFF_ENDINGS},
    ".jpg": "JPG",
    ".jpeg": "JPG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".jp2": "JPEG 2000",
    ".j2k": "JPEG 2000",
    ".webp": "WebP",
    ".npy": "NumPy",
}
#: numbers that are missing among frames are spoken of if they are fewer than this share
FEW_GAPS = 0.2
#: of so many differently named TIFFs it is looked whether they are stacks
LOOKED = 50


def refuse_options(path: Path, options: Options) -> None:
    """Refuse options that say something about arrays, where there is none."""
    if options.given():
        raise InputError(f"{path}: {options.given()[0]}= means nothing to its files; leave out")


def holds_stacks(pictures: Sequence[Path]) -> bool:
    """Whether TIFFs beside videos may be recordings: a single picture is a projection or a reference."""
    for file in pictures:
        if file.suffix.lower() in TIFF_ENDINGS and file.stat().st_size:
            with open_tiff(file, Options(channel=0, plane=0)) as recording:
                if recording.n_frames > 1:
                    return True
    return False


def open_pictures(
    path: Path, pictures: list[Path], videos: Sequence[Path], options: Options
) -> tuple[Recording, list[Path]]:
    """Frames or stacks, and what was left out."""
    if videos:
        raise InputError(
            f"{path}: holds stacks and videos ({pictures[0].name}, {videos[0].name}); give one as input="
        )
    kinds = Counter(_KIND[file.suffix.lower()] for file in pictures)
    if len(kinds) > 1:
        found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        raise InputError(
            f"{path}: holds frames of different formats ({found}); keep the recording's in a folder of their "
            "own"
        )
    left = copies(pictures)
    pictures = [file for file in pictures if file not in left]
    check_copies(pictures)
    pictures, others, options = _of_channel(path, pictures, options)
    left += others
    if "TIFF" in kinds:
        everything = series_of(pictures)
        looked = everything[:LOOKED]  # many names without a common pattern are single frames
        stacks = [series for series in looked if any(_is_stack(file) for file in series.files[:2])]
        stacks += [series for series in everything[LOOKED:] if stacks]
        stacks = [one for series in stacks for one in series.recordings()]
        if stacks:
            if len(stacks) > 1:
                raise InputError(
                    f"{path}: holds {len(stacks)} recordings ({names_of(stacks)}); give one as input=, or "
                    f"{to_join(stacks)}"
                )
            other = [file for series in everything if series is not stacks[0] for file in series.files]
            recording = _open_stack(path, stacks[0], options)
            add_log(recording, path, stem(stacks[0].files[0]))
            return recording, [*other, *left]
    pictures, others, options = _of_grid(path, pictures, options)
    left += others
    refuse_options(path, options)
    ordered, other = _frames(pictures)
    recording = ImageFolder(path, ordered)
    gaps = [gap for series in series_of(ordered) for gap in series.gaps()]
    if 0 < len(gaps) < FEW_GAPS * len(ordered):  # else they are numbered in steps
        more = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        recording.note(f"no pictures are numbered {', '.join(gaps[:5])}{more}")
    return recording, [*other, *left]


def _of_channel(path: Path, pictures: list[Path], options: Options) -> tuple[list[Path], list[Path], Options]:
    """The pictures of one channel, those of the others, and what is left to say of the files themselves."""
    channels = channels_of(pictures)
    if len(channels) == 1 or (options.channel is None and _take_turns(channels)):
        return pictures, [], options
    if options.channel is None:
        names = ", ".join(found[0].name for found in channels)
        last = len(channels) - 1
        raise InputError(
            f"{path}: holds {len(channels)} channels, as {names} are named; choose one of channel=0 to "
            f"channel={last}"
        )
    taken = channels[chosen(path, "channel", options.channel, len(channels))]
    others = sorted(set(pictures).difference(taken), key=natural)
    if taken[0].suffix.lower() in TIFF_ENDINGS:
        first = open_tiff(taken[0], Options(channel=0, plane=0))
        first.close()
        if {file.resolve() for file in first.files} & {file.resolve() for file in others}:
            return taken, others, options  # they name each other, and each knows of all channels
    return taken, others, replace(options, channel=None)


def _of_grid(path: Path, pictures: list[Path], options: Options) -> tuple[list[Path], list[Path], Options]:
    """The single frames of one channel and plane, those of others, and what is left to say."""
    left: list[Path] = []
    for name, groups_of in (("channel", channels_by_word), ("plane", planes_by_number)):
        groups = groups_of(pictures)
        if len(groups) == 1:
            continue
        if getattr(options, name) is None:
            names = ", ".join(group[0].name for group in groups[:4])
            raise InputError(
                f"{path}: holds {len(groups)} {name}s of the same frames, as {names} are named; choose one "
                f"of {name}=0 to {name}={len(groups) - 1}"
            )
        pictures = groups[chosen(path, name, getattr(options, name), len(groups))]
        left += [file for group in groups if group is not pictures for file in group]
        options = replace(options, **{name: None})
    return pictures, left, options


def _take_turns(channels: Sequence[Sequence[Path]]) -> bool:
    """Whether names in their order alternate between channels: what takes turns is told by its frames."""
    of_all = set.intersection(*map(set, channels))
    which = {file: number for number, found in enumerate(channels) for file in found if file not in of_all}
    ordered = [which[file] for file in sorted(which, key=natural)]
    return len(ordered) > len(channels) and all(one != following for one, following in pairwise(ordered))


def _is_stack(file: Path) -> bool:
    if not file.stat().st_size:
        return False
    with open_tiff(file, Options(channel=0, plane=0)) as recording:
        return recording.n_frames > 1


def names_of(found: Sequence[Series]) -> str:
    """The first names of some series."""
    names = [series.files[0].name for series in found]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _open_stack(path: Path, series: Series, options: Options) -> Recording:
    """One recording in several TIFFs; those that name each other are read once."""
    if series.split or series.torn:
        series.check_gaps()
    first = open_tiff(series.files[0], options)
    taken = {file.resolve() for file in first.files}
    rest = [file for file in series.files[1:] if file.resolve() not in taken]
    if not rest:
        first.path = path
        first.note(f"{counted(series.files, 'file')}, {first.n_frames:,} frames")
        return first
    first.close()
    files = [series.files[0], *rest]
    empty = [] if files[-1].stat().st_size else [files.pop()]
    recording = Sequenced(path, files, lambda file: open_tiff(file, options))
    which = f"{files[0].name} to {files[-1].name}"
    recording.note(f"{counted(files, 'file')} ({which}), {recording.n_frames:,} frames")
    for text in repeated(files):
        recording.note(text)
    if series.gaps():
        recording.note(f"no files are numbered {', '.join(series.gaps()[:5])}")
    if empty:
        recording.note(f"left out: {empty[0].name} (empty)")
    return recording


def counted(files: Sequence[Path], noun: str) -> str:
    """So many files."""
    return f"{len(files)} {noun}{'s' * (len(files) != 1)}"


def _frames(pictures: list[Path]) -> tuple[list[Path], list[Path]]:
    """Single frames in order, without a few pictures of another name among them."""
    found = series_of(pictures)
    main = max(found, key=lambda series: len(series.files))
    rest = len(pictures) - len(main.files)
    if rest and len(main.files) >= 10 * rest:
        return list(main.files), [file for file in pictures if file not in main.files]
    if len(found) == 1:
        return list(main.files), []
    return sorted(pictures, key=natural), []
