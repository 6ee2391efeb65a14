"""What a folder is, decided from all that is in it, and said in one line.

Single frames, TIFF stacks, numbered videos of a recorder beside their copies, a session's folder with one for
each device, Suite2p's output, a zarr store. Knows the layouts; how files are read is the readers' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.npy import dimensions
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.folder_pictures import (
    counted,
    holds_stacks,
    names_of,
    open_pictures,
    refuse_options,
)
from calcium_lightning.io.readers.folder_videos import choose_videos, open_videos
from calcium_lightning.io.readers.foreign import advice_for
from calcium_lightning.io.readers.formats import (
    FORMATS,
    PICTURE_ENDINGS,
    VIDEO_ENDINGS,
    Options,
    choose,
)
from calcium_lightning.io.readers.inscopix import may_be_movie
from calcium_lightning.io.readers.miniscope import (
    METADATA,
    SETTINGS,
    STAMPS,
    add_side_files,
    is_scope,
    read_metadata,
)
from calcium_lightning.io.readers.sequence import Sequenced
from calcium_lightning.io.readers.series import is_hidden, natural, recordings_of, series_of

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
    files = [item for item in path.iterdir() if item.is_file() and not is_hidden(item)]
    session = read_metadata(path)
    if session and "deviceType" not in session and (scopes := _scopes(path, session)):
        return _open_scope(path, scopes, files, options, depth)
    videos = [file for file in files if file.suffix.lower() in VIDEO_ENDINGS]
    pictures = [file for file in files if file.suffix.lower() in PICTURE_ENDINGS]
    others = [file for file in files if file.name.lower().endswith(OTHER)]
    recorder = any((path / name).is_file() for name in (METADATA, SETTINGS, *STAMPS))
    if videos and (recorder or not holds_stacks(pictures)):
        refuse_options(path, options)
        chosen, left = choose_videos(path, videos)
        return open_videos(path, chosen, [*left, *pictures, *others, *_recordings_below(path)])
    if pictures:
        recording, left = open_pictures(path, pictures, videos, options)
        left = [*left, *videos, *others, *_recordings_below(path)]
        _say(recording, left)
        if recorder:
            add_side_files(recording, path)
        return recording
    if others:
        return _open_others(path, others, options)
    arrays, count = _numbered([file for file in files if file.suffix.lower() == ".npy"])
    if count == 3:
        return _open_others(path, arrays, options)
    if count == 2:
        recording, left = open_pictures(path, arrays, videos, options)
        _say(recording, left)
        return recording
    return _open_below(path, options, depth)


def _open_others(path: Path, others: list[Path], options: Options) -> Recording:
    """A folder with a single file of another format, or with the parts of one recording."""
    left = sorted(file for file in others if file.suffix.lower() == ".isxd" and not may_be_movie(file))
    found = recordings_of([file for file in others if file not in left] or others)
    if len(found) > 1:
        raise InputError(f"{path}: holds {len(found)} recordings ({names_of(found)}); give one as input=")
    series = found[0]
    if len(series.files) == 1:
        recording = choose(series.files[0], options)
        recording.note(f"taken: {series.files[0].name}")
        _say(recording, left)
        return recording
    series.check_gaps()
    recording = Sequenced(path, series.files, lambda file: choose(file, options))
    recording.note(f"{counted(series.files, 'file')} ({series.files[0].name} to {series.files[-1].name})")
    _say(recording, left)
    return recording


def _numbered(arrays: Sequence[Path]) -> tuple[list[Path], int]:
    """NumPy's files that are numbered, in order, and how many dimensions most have: a damaged one belongs.

    None, where two series or more have two dimensions or three: it isn't known which is meant. A single file
    may be anything.
    """
    found = []
    for series in series_of(arrays):
        (count, number), *_ = Counter(map(dimensions, series.files)).most_common(1)
        if count in (2, 3) and 2 * number > len(series.files) > 1:
            found.append((list(series.files), count))
    return found[0] if len(found) == 1 else ([], 0)


def _folders(path: Path) -> list[Path]:
    return sorted(
        (item for item in path.iterdir() if item.is_dir() and not item.name.startswith(".")), key=natural
    )


def _holds_something(folder: Path) -> bool:
    return any(
        (item.suffix.lower() in (*VIDEO_ENDINGS, *PICTURE_ENDINGS, *OTHER) and not is_hidden(item))
        or item.name in (*ZARR, "data.bin")
        for item in folder.iterdir()
    )


def _recordings_below(path: Path) -> list[Path]:
    return [folder for folder in _folders(path) if _holds_something(folder)]


def _scopes(path: Path, session: Mapping[str, Any]) -> list[Path]:
    """The folders of miniscopes in a session's folder."""
    named = [str(name).replace(" ", "_") for name in session.get("miniscopes") or []]
    cameras = [str(name).replace(" ", "_") for name in session.get("cameras") or []]
    return [
        folder
        for folder in _folders(path)
        if folder.name not in cameras
        and _holds_something(folder)
        and (folder.name in named or is_scope(read_metadata(folder), folder.name))
    ]


def _open_scope(
    path: Path, scopes: Sequence[Path], files: Sequence[Path], options: Options, depth: int
) -> Recording:
    """The only scope of a session; what else lies there is left out."""
    if len(scopes) > 1:
        names = ", ".join(folder.name for folder in scopes)
        raise InputError(f"{path}: holds several miniscopes ({names}); give one, as in input={scopes[0]}")
    recording = open_folder(scopes[0], options, depth + 1)
    known = (*VIDEO_ENDINGS, *PICTURE_ENDINGS, *OTHER)
    left = [file for file in sorted(files, key=natural) if file.suffix.lower() in known]
    _say(recording, [*left, *(folder for folder in _recordings_below(path) if folder != scopes[0])])
    recording.path = path
    return recording


def _open_below(path: Path, options: Options, depth: int) -> Recording:
    """The scope's folder among those of cameras; or the only folder that holds anything."""
    if scopes := _scopes(path, {}):
        return _open_scope(path, scopes, [], options, depth)
    folders = _folders(path)
    inner = [folder for folder in folders if _holds_something(folder)]
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
    for file in sorted((item for item in path.iterdir() if item.is_file()), key=natural):
        if advice := advice_for(file):
            raise InputError(f"{file}: {advice}")
    what = "is empty" if not any(path.iterdir()) else "holds no frames"
    hint = f" (but folders: {', '.join(folder.name for folder in folders[:5])})" if folders else ""
    raise InputError(
        f"{path}: the folder {what}{hint}; expected JPG, PNG, BMP or TIFF frames, or numbered videos"
    )


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
