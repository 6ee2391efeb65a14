"""What a folder is, decided from all that is in it, and said in one line.

Single frames, TIFF stacks, numbered videos of a recorder beside their copies, a session's folder with one for
each device, Suite2p's output, a zarr store. Knows the layouts; how files are read is the readers' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.folder_videos import choose_videos, open_videos
from calcium_lightning.io.readers.formats import (
    FORMATS,
    PICTURE_ENDINGS,
    TIFF_ENDINGS,
    VIDEO_ENDINGS,
    Options,
    choose,
)
from calcium_lightning.io.readers.images import ImageFolder
from calcium_lightning.io.readers.miniscope import METADATA, SETTINGS, STAMPS, is_scope, read_metadata
from calcium_lightning.io.readers.sequence import Sequenced
from calcium_lightning.io.readers.series import Series, copies, natural, series_of
from calcium_lightning.io.readers.tiff import open_tiff

_KIND = {**{ending: "TIFF" for ending in TIFF_ENDINGS}, ".jpg": "JPG", ".jpeg": "JPG", ".png": "PNG"}
ZARR = (".zgroup", ".zarray", "zarr.json")
#: files of other formats that a folder may hold one recording in
OTHER = tuple(
    ending
    for kind in FORMATS
    for ending in kind.endings
    if ending not in (*VIDEO_ENDINGS, *PICTURE_ENDINGS, ".zip", ".dat", ".bin", ".raw", ".npz", ".npy")
)
#: how deep a recording may lie below the folder that is given
DEPTH = 4


def open_folder(path: Path, options: Options, depth: int = 0) -> Recording:
    """Open a folder as one recording.

    Raises
    ------
    InputError
        If it is empty, holds nothing known, or several recordings: then it says how to choose.
    """
    if any((path / name).exists() for name in ZARR):
        from calcium_lightning.io.readers.zarr import open_zarr

        return open_zarr(path, options)
    if (path / "data.bin").is_file() and (path / "ops.npy").is_file():
        from calcium_lightning.io.readers.suite2p import open_binary

        return open_binary(path / "data.bin", options)
    files = [item for item in path.iterdir() if item.is_file() and not item.name.startswith((".", "~"))]
    videos = [file for file in files if file.suffix.lower() in VIDEO_ENDINGS]
    pictures = [file for file in files if file.suffix.lower() in PICTURE_ENDINGS]
    recorder = any((path / name).is_file() for name in (METADATA, SETTINGS, *STAMPS))
    if videos and (recorder or not _stacks(pictures)):
        _senseless(path, options)
        chosen, left = choose_videos(path, videos)
        return open_videos(path, chosen, [*left, *pictures, *_recordings_below(path)])
    if pictures:
        recording, left = _open_pictures(path, pictures, videos, options)
        left = [*left, *videos, *_recordings_below(path)]
        _say(recording, left)
        return recording
    others = [file for file in files if file.name.lower().endswith(OTHER)]
    if others:
        return _open_others(path, others, options)
    return _open_below(path, options, depth)


def _senseless(path: Path, options: Options) -> None:
    if options.given():
        raise InputError(f"{path}: {options.given()[0]}= means nothing to videos; leave out")


def _stacks(pictures: Sequence[Path]) -> bool:
    """Whether TIFFs beside videos may be recordings: a single picture is a projection or a reference."""
    for file in pictures:
        if file.suffix.lower() in TIFF_ENDINGS and file.stat().st_size:
            with open_tiff(file, Options(channel=0, plane=0)) as recording:
                if recording.n_frames > 1:
                    return True
    return False


def _open_pictures(
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
    doubles = copies(pictures)
    pictures = [file for file in pictures if file not in doubles]
    if "TIFF" in kinds:
        everything = series_of(pictures)
        stacks = [series for series in everything if any(_is_stack(file) for file in series.files[:2])]
        if stacks:
            if len(stacks) > 1:
                raise InputError(
                    f"{path}: holds {len(stacks)} recordings ({_names(stacks)}); give one as input=, or join "
                    f"them with input=[{stacks[0].files[0]},{stacks[1].files[0]}] join=true"
                )
            left = [file for series in everything if series is not stacks[0] for file in series.files]
            return _open_stack(path, stacks[0], options), [*left, *doubles]
    _senseless(path, options)
    ordered, left = _frames(pictures)
    return ImageFolder(path, ordered), [*left, *doubles]


def _is_stack(file: Path) -> bool:
    if not file.stat().st_size:
        return False
    with open_tiff(file, Options(channel=0, plane=0)) as recording:
        return recording.n_frames > 1


def _names(found: Sequence[Series]) -> str:
    names = [series.files[0].name for series in found]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _open_stack(path: Path, series: Series, options: Options) -> Recording:
    """One recording in several TIFFs; those that name each other are read once."""
    if series.split:
        series.check_gaps()
    first = open_tiff(series.files[0], options)
    taken = {file.resolve() for file in first.files}
    rest = [file for file in series.files[1:] if file.resolve() not in taken]
    if not rest:
        first.path = path
        first.note(f"{_count(series.files, 'file')}, {first.n_frames:,} frames")
        return first
    first.close()
    files = [series.files[0], *rest]
    empty = [] if files[-1].stat().st_size else [files.pop()]
    recording = Sequenced(path, files, lambda file: open_tiff(file, options))
    which = f"{files[0].name} to {files[-1].name}"
    recording.note(f"{_count(files, 'file')} ({which}), {recording.n_frames:,} frames")
    if series.gaps():
        recording.note(f"no files are numbered {', '.join(series.gaps()[:5])}")
    if empty:
        recording.note(f"left out: {empty[0].name} (empty)")
    return recording


def _count(files: Sequence[Path], noun: str) -> str:
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


def _open_others(path: Path, others: list[Path], options: Options) -> Recording:
    """A folder with a single file of another format, or with the parts of one recording."""
    found = series_of(others)
    if len(found) > 1:
        raise InputError(f"{path}: holds {len(found)} recordings ({_names(found)}); give one as input=")
    series = found[0]
    if len(series.files) == 1:
        recording = choose(series.files[0], options)
        recording.note(f"taken: {series.files[0].name}")
        return recording
    series.check_gaps()
    recording = Sequenced(path, series.files, lambda file: choose(file, options))
    recording.note(f"{_count(series.files, 'file')} ({series.files[0].name} to {series.files[-1].name})")
    return recording


def _folders(path: Path) -> list[Path]:
    return sorted(
        (item for item in path.iterdir() if item.is_dir() and not item.name.startswith(".")), key=natural
    )


def _holds_something(folder: Path) -> bool:
    return any(
        item.suffix.lower() in (*VIDEO_ENDINGS, *PICTURE_ENDINGS, *OTHER) or item.name in (*ZARR, "data.bin")
        for item in folder.iterdir()
    )


def _recordings_below(path: Path) -> list[Path]:
    return [folder for folder in _folders(path) if _holds_something(folder)]


def _open_below(path: Path, options: Options, depth: int) -> Recording:
    """A session's folder: the scope's among those of cameras; or the only folder that holds anything."""
    folders = _folders(path)
    session = read_metadata(path)
    named = [str(name).replace(" ", "_") for name in session.get("miniscopes") or []]
    cameras = [str(name).replace(" ", "_") for name in session.get("cameras") or []]
    scopes = [
        folder
        for folder in folders
        if _holds_something(folder)
        and (
            folder.name in named
            or (folder.name not in cameras and is_scope(read_metadata(folder), folder.name))
        )
    ]
    if len(scopes) > 1:
        names = ", ".join(folder.name for folder in scopes)
        raise InputError(f"{path}: holds several miniscopes ({names}); give one, as in input={scopes[0]}")
    inner = [folder for folder in folders if _holds_something(folder)]
    if scopes:
        recording = open_folder(scopes[0], options, depth + 1)
        _say(recording, [folder for folder in inner if folder != scopes[0]])
        recording.path = path
        return recording
    if len(inner) == 1:
        recording = open_folder(inner[0], options, depth + 1)
        recording.note(f"taken: the folder {inner[0].name}")
        return recording
    if not inner and depth < DEPTH:
        deeper = [folder for folder in folders if _holds_deeper(folder, DEPTH - depth)]
        if len(deeper) == 1:
            recording = open_folder(deeper[0], options, depth + 1)
            recording.note(f"taken: the folder {deeper[0].name}")
            return recording
        inner = deeper
    if inner:
        names = ", ".join(folder.name for folder in inner[:5]) + (", ..." if len(inner) > 5 else "")
        raise InputError(
            f"{path}: holds no frames (but folders: {names}); give one of them, as in input={inner[0]}, or "
            f"several, as in input=[{inner[0]},{inner[-1]}]"
        )
    what = "is empty" if not any(path.iterdir()) else "holds no frames"
    hint = f" (but folders: {', '.join(folder.name for folder in folders[:5])})" if folders else ""
    raise InputError(f"{path}: the folder {what}{hint}; expected JPG, PNG or TIFF frames, or numbered videos")


def _holds_deeper(folder: Path, depth: int) -> bool:
    return _holds_something(folder) or (
        depth > 0 and any(_holds_deeper(inner, depth - 1) for inner in _folders(folder))
    )


def _say(recording: Recording, left: Sequence[Path]) -> None:
    """Say what was left out, in the line that says what was taken."""
    if not left:
        return
    names = ", ".join(item.name for item in left[:6]) + (
        f" and {len(left) - 6} more" if len(left) > 6 else ""
    )
    if not recording.notes:
        recording.note(f"left out: {names}")
        return
    first, *rest = recording.notes
    recording.notes = (f"{first}{', ' if 'left out' in first else '; left out: '}{names}", *rest)
