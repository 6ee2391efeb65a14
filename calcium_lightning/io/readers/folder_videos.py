"""Which videos of a folder are the recording: the recorder's own, not their copies, nor another camera's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.miniscope import METADATA, STAMPS, add_side_files, tables_in
from calcium_lightning.io.readers.sequence import Sequenced
from calcium_lightning.io.readers.series import Series, check_copies, copies, recordings_of, repeated, to_join
from calcium_lightning.io.readers.video import VideoRecording

#: how recorders name their videos: plain numbers, or the older software's
_OWN = re.compile(r"\d+|mscam\d+", re.IGNORECASE)
_CAMERA = re.compile(r"behav|webcam|^cam\d|topcam|sidecam|face|eye", re.IGNORECASE)


def choose_videos(path: Path, videos: Sequence[Path]) -> tuple[Series, list[Path]]:
    """The series of videos that are the recording, and the files that are left out.

    Raises
    ------
    InputError
        If that would be a guess, with the names to choose from; or if one of the numbers is missing.
    """
    doubles = copies(videos)
    check_copies([file for file in videos if file not in doubles])
    found: list[Series] = []
    for ending in sorted({file.suffix.lower() for file in videos}):
        same = [file for file in videos if file.suffix.lower() == ending and file not in doubles]
        found += recordings_of(same)
    own = [series for series in found if _is_own(series)]
    behind = [series for series in found if not _CAMERA.search(series.files[0].stem)]
    candidates = own or behind or found
    chosen = candidates[0] if len(candidates) == 1 else _original(path, candidates)
    chosen.check_gaps()
    left = [file for series in found if series is not chosen for file in series.files]
    return chosen, [*left, *doubles]


def scope_videos(videos: Sequence[Path]) -> list[Path]:
    """Those among the videos of a folder that its scope writes, not another camera beside it."""
    own = [file for file in videos if _OWN.fullmatch(file.stem)]
    return own or [file for file in videos if not _CAMERA.search(file.stem)]


def _is_own(series: Series) -> bool:
    return all(_OWN.fullmatch(file.stem) for file in series.files)


def _original(path: Path, candidates: Sequence[Series]) -> Series:
    """Of series with the same names in several formats the lossless one, which the others were made of."""
    stems = {
        tuple(file.stem.lower() for file in series.files if file.stat().st_size) for series in candidates
    }
    if len(stems) == 1:
        lossless = [series for series in candidates if _lossless(series)]
        avis = [series for series in candidates if series.files[0].suffix.lower() == ".avi"]
        for chosen in (lossless, [series for series in avis if series in lossless], avis):
            if len(chosen) == 1:
                return chosen[0]
    names = ", ".join(series.files[0].name for series in candidates[:5])
    alike = [one for one in candidates if one.files[0].suffix == candidates[0].files[0].suffix]
    raise InputError(
        f"{path}: which video? {names}; give one as input={f', or {to_join(alike)}' if alike[1:] else ''}"
    )


def _check_first(recording: Recording, first: Path) -> None:
    """Say that a recorder's first video isn't there, unless time stamps tell that nothing is missing."""
    daq = [name for name in (METADATA, *STAMPS) if (first.parent / name).is_file()]
    match = re.fullmatch(r"(mscam|)(\d+)", first.stem, re.IGNORECASE)
    if recording.timestamps is not None or match is None or not (match[1] or daq):
        return
    begins = 1 if match[1] else 0
    if int(match[2]) <= begins:
        return
    text = f"begins with {first.name}; {match[1]}{begins}{first.suffix}, the recorder's first, isn't there"
    if recording.clock_problem:
        recording.clock_problem += f" ({text})"
    else:
        recording.note(text)


def _lossless(series: Series) -> bool:
    return VideoRecording(series.files[0]).lossless  # holds nothing open


def _one_after_the_other(path: Path, files: Sequence[Path]) -> Recording:
    """Several videos as one, all of one range of levels."""
    full: list[bool] = []

    def look(file: Path) -> Recording:
        video = VideoRecording(file)
        full.append(video.full_range)
        return video

    recording = Sequenced(path, files, look)
    if any(full):
        return Sequenced(path, files, partial(VideoRecording, full_range=True))
    return recording


def open_videos(path: Path, series: Series, left: Sequence[Path]) -> Recording:
    """Open a recorder's videos with the files beside them."""
    files = list(series.files)
    gone = []
    while len(files) > 1 and not files[-1].stat().st_size:  # opened, and never written to
        gone.append(files.pop())
    recording = _one_after_the_other(path, files) if len(files) > 1 else VideoRecording(files[0])
    recording.path = path
    notes, recording.notes = recording.notes, ()
    add_side_files(recording, path, tuple(tables_in(path)))
    _check_first(recording, files[0])
    rate = "" if recording.fps is None else f" at {recording.fps:.4g} Hz"
    which = f" ({files[0].name} to {files[-1].name})" if len(files) > 1 and not _is_own(series) else ""
    count = f"{len(files)} video{'s' * (len(files) != 1)}"
    said = f"{count} of {path.name}{which}, {recording.n_frames:,} frames{rate}"
    names = [item.name for item in left] + [f"{file.name} (empty)" for file in gone]
    if names:
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        said += f"; left out: {', '.join(names[:6])}{more}"
    recording.notes = (said, *repeated(files), *notes, *recording.notes)
    return recording
