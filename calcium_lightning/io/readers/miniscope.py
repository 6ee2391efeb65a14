"""Folders as UCLA Miniscope-DAQ writes them.

V4 software (also for V3 scopes): ``0.avi 1.avi …``, ``timeStamps.csv`` (milliseconds), ``metaData.json`` with
``"frameRate": "20FPS"``. The older V3 software: ``msCam1.avi …`` beside the behaviour camera's videos, and
``timestamp.dat``. The first row of the times may hold the camera's own clock (-1, 4294967264, …) in place of
the recording's.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import VIDEO_ENDINGS, Recording
from calcium_lightning.io.readers.sequence import Sequenced
from calcium_lightning.io.readers.video import VideoRecording

#: how far the metadata's frame rate may lie from the measured one (which may have been changed in use)
RATE_TOLERANCE = 0.2


def open_miniscope(path: Path) -> Recording:
    """Open a folder of numbered videos with the frame rate and times beside them.

    Raises
    ------
    InputError
        If a video is missing from the numbers, or the side files are damaged.
    """
    files = _videos(path)
    recording = Sequenced(path, files, VideoRecording) if len(files) > 1 else VideoRecording(files[0])
    recording.path = path
    metadata = _metadata(path)
    nominal = _frame_rate(path, metadata)
    times = _timestamps(path, recording.n_frames)
    if times is not None:
        interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        if interval > 0 and (nominal is None or abs(nominal * interval - 1) > RATE_TOLERANCE):
            nominal = 1 / interval
        recording.timestamps = times
    if nominal is not None:
        recording.fps = nominal
    elif metadata is not None:
        recording.fps = None  # the header of a DAQ video is a default, not a measurement
    return recording


def find_miniscope(path: Path) -> Path | None:
    """Find the scope's folder in a session's folder, among those of behaviour cameras; None without one.

    Raises
    ------
    InputError
        If there are several.
    """
    found = []
    for folder in sorted(item for item in path.iterdir() if item.is_dir()):
        if (folder / "metaData.json").is_file():
            device = str((_metadata(folder) or {}).get("deviceType", folder.name))
            if "miniscope" in device.lower() and any(
                file.suffix.lower() in VIDEO_ENDINGS for file in folder.iterdir()
            ):
                found.append(folder)
    if len(found) > 1:
        raise InputError(
            f"{path}: holds several miniscopes ({', '.join(folder.name for folder in found)}); give one as "
            "input="
        )
    return found[0] if found else None


def _videos(path: Path) -> list[Path]:
    """Numbered videos in order, without gaps."""
    files = [
        file
        for file in path.iterdir()
        if file.suffix.lower() in VIDEO_ENDINGS and not file.name.startswith(".")
    ]
    for pattern in (r"(\d+)", r"(?i:msCam)(\d+)"):
        numbered = {int(match[1]): file for file in files if (match := re.fullmatch(pattern, file.stem))}
        if numbered:
            gaps = sorted(set(range(min(numbered), max(numbered) + 1)) - set(numbered))
            if gaps:
                example = numbered[max(numbered)]
                name = example.name.replace(str(max(numbered)), str(gaps[0]))
                raise InputError(
                    f"{path}: {name} is missing between {numbered[min(numbered)].name} and {example.name}"
                )
            return [numbered[number] for number in sorted(numbered)]
    if len(files) == 1:
        return files
    names = ", ".join(sorted(file.name for file in files)[:5])
    raise InputError(
        f"{path}: "
        f"{f'which video? {names}; give one as input=, or number them 0.avi 1.avi' if files else 'no videos'}"
    )


def _metadata(path: Path) -> dict[str, Any] | None:
    file = path / "metaData.json"
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not a JSON file that can be read ({error})") from error
    return content if isinstance(content, dict) else None


def _frame_rate(path: Path, metadata: dict[str, Any] | None) -> float | None:
    """The nominal rate: ``20``, ``"20FPS"``, ``"FPS20"`` or ``"20 Hz"`` under the names that were used."""
    for holder in (metadata or {}, (metadata or {}).get("miniscope", {})):
        for name in ("frameRate", "FrameRate", "frame_rate", "fps"):
            match = (
                re.search(r"\d+(?:\.\d+)?", str(holder.get(name, ""))) if isinstance(holder, dict) else None
            )
            if match and float(match[0]) > 0:
                return float(match[0])
    return None


def _timestamps(path: Path, n_frames: int) -> np.ndarray | None:
    """Seconds from the side file, the first row repaired."""
    if (path / "timeStamps.csv").is_file():
        file, delimiter, number, column = path / "timeStamps.csv", ",", "Frame Number", "Time Stamp (ms)"
    elif (path / "timestamp.dat").is_file():
        file, delimiter, number, column = path / "timestamp.dat", "\t", "frameNum", "sysClock"
    else:
        return None
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [
                {str(key).strip(): value for key, value in row.items()}
                for row in csv.DictReader(stream, delimiter=delimiter)
            ]
        rows = [
            row for row in rows if not str(row.get(number, "0")).strip().startswith("-")
        ]  # before the first frame
        if rows and "camNum" in rows[0]:
            rows = _scope_rows(file, rows, n_frames)
        times = np.array([float(row[column]) for row in rows]) / 1e3
    except KeyError as error:
        raise InputError(f"{file}: no column {column!r}; timestamps=false ingests without it") from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file}: can't be read ({error}); timestamps=false ingests without it") from error
    return repair_first(times)


def _scope_rows(file: Path, rows: list[dict[str, str]], n_frames: int) -> list[dict[str, str]]:
    """Of all cameras' rows the scope's, told by their number: which camera is which isn't written down."""
    counts = Counter(row["camNum"] for row in rows)
    fitting = [camera for camera, count in counts.items() if count == n_frames]
    if len(counts) > 1 and len(fitting) != 1:
        found = ", ".join(f"camera {camera} has {count}" for camera, count in sorted(counts.items()))
        raise InputError(
            f"{file}: whose times are the scope's {n_frames} frames? {found}; timestamps=false ingests "
            "without"
        )
    camera = fitting[0] if fitting else rows[0]["camNum"]
    return [row for row in rows if row["camNum"] == camera]


def repair_first(times: np.ndarray) -> np.ndarray:
    """Replace a first time that can't belong to the recording by one interval before the second.

    Examples
    --------
    >>> repair_first(np.array([4294967.264, 0.05, 0.1, 0.15]))
    array([0.  , 0.05, 0.1 , 0.15])
    """
    times = np.array(times, dtype=np.float64)
    if len(times) < 3:
        return times
    interval = float(np.median(np.diff(times[1:])))
    step = times[1] - times[0]
    if interval > 0 and (step <= 0 or times[0] < 0 or step > max(1.0, 10 * interval)):
        times[0] = times[1] - interval
    return times
