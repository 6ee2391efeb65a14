"""Folders as UCLA Miniscope-DAQ writes them.

V4 software (also for V3 scopes): a session's folder with ``metaData.json`` (animal, start, which devices), in
it a folder for each device: ``0.avi 1.avi …``, ``timeStamps.csv`` (milliseconds), ``metaData.json`` with
``"frameRate": "20FPS"``. The older V3 software: ``msCam1.avi …`` beside the behaviour camera's videos,
``timestamp.dat`` and ``settings_and_notes.dat``. The first row of the times may hold the camera's own clock
(-1, 4294967264, …) in place of the recording's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import Recording
from calcium_lightning.io.readers.clock import rate_of
from calcium_lightning.io.readers.sequence import Sequenced
from calcium_lightning.io.readers.series import is_hidden
from calcium_lightning.io.readers.stamps import count_stamps, measured_rate, read_stamps

#: endings of tables that may hold the times of a video
TABLES = (".csv", ".tsv", ".txt")
METADATA = "metaData.json"
SETTINGS = "settings_and_notes.dat"
#: files of time stamps by their names; others are recognised by what is in them
STAMPS = ("timeStamps.csv", "timestamps.csv", "timestamp.csv", "timestamp.dat", "timeStamp.csv")


def is_scope(metadata: Mapping[str, Any], name: str) -> bool:
    """Whether a device's metadata, or else its folder's name, are a miniscope's."""
    kind = str(metadata.get("deviceType", ""))
    return bool(re.search(r"miniscope|mini_?lfov|minicam-?scope", kind or name, re.IGNORECASE))


def read_metadata(path: Path) -> dict[str, Any]:
    """What a folder's ``metaData.json`` says; empty without one.

    Raises
    ------
    InputError
        If it is damaged.
    """
    file = path / METADATA
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file}: not a JSON file that can be read ({error}); mend it or take it away"
        ) from error
    return content if isinstance(content, dict) else {}


def add_side_files(recording: Recording, folder: Path, candidates: tuple[Path, ...] = ()) -> None:
    """Give a recording what the files beside it know: rate, time of each frame, who, what and when.

    Parameters
    ----------
    recording : Recording
        Videos of that folder.
    folder : Path
        Where they lie.
    candidates : tuple of Path
        Tables that may hold its times, though their names aren't the DAQ's.
    """
    metadata = read_metadata(folder)
    session = read_metadata(folder.parent) if metadata else {}
    recording.about = {**recording.about, **_about(session), **_about(metadata), **_settings(folder)}
    nominal = _frame_rate(metadata)
    header = recording.fps
    if nominal is not None:
        recording.fps = nominal
    elif metadata:
        recording.fps = None  # the header of a DAQ video is a default, not a measurement
    named = next((folder / name for name in STAMPS if (folder / name).is_file()), None)
    if named is not None:
        try:
            _add_times(recording, named, nominal or header)
        except InputError as error:
            recording.clock_problem = str(error)
            with suppress(InputError):  # the rate is theirs all the same
                recording.use_rate(measured_rate(named, nominal or header))
        return
    others = []
    for table in candidates:
        try:
            _add_times(recording, table, nominal or header)
        except InputError as error:
            with suppress(InputError):  # a table of something else
                if measured_rate(table, nominal or header):
                    others.append(f"no times from {table.name} ({str(error).removeprefix(f'{table}: ')})")
            continue
        recording.note(f"times from {table.name}")
        return
    for text in others:
        recording.note(text)


def _add_times(recording: Recording, file: Path, nominal: float | None) -> None:
    if isinstance(recording, Sequenced):
        recording.expect_one_of(count_stamps(file))
    clock = read_stamps(file, recording.promised, nominal)
    places = recording.places if isinstance(recording, Sequenced) else np.arange(recording.n_frames)
    recording.use_clock(clock.at(places), file.name)
    recording.use_rate(rate_of(clock.times))


def _frame_rate(metadata: Mapping[str, Any]) -> float | None:
    """The nominal rate: ``20``, ``"20FPS"``, ``"FPS20"`` or ``"20 Hz"`` under the names that were used."""
    for holder in (metadata, metadata.get("miniscope", {})):
        for name in ("frameRate", "FrameRate", "frame_rate", "fps"):
            match = (
                re.search(r"\d+(?:\.\d+)?", str(holder.get(name, "")))
                if isinstance(holder, Mapping)
                else None
            )
            if match and float(match[0]) > 0:
                return float(match[0])
    return None


def _about(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Animal, experiment, experimenter, device and start, under the DAQ's names."""
    names = {
        "animalName": "subject_id",
        "experimentName": "experiment",
        "researcherName": "experimenter",
        "deviceType": "device",
    }
    about = {ours: str(metadata[theirs]) for theirs, ours in names.items() if metadata.get(theirs)}
    began = metadata.get("recordingStartTime")
    if isinstance(began, Mapping) and (start := _start(began)) is not None:
        about["session_start_time"] = start
    return about


def _start(began: Mapping[str, Any]) -> str | None:
    """The start as ISO 8601: the local time with its distance from UTC, where both are given."""
    try:
        year, month, day, hour, minute, second = (
            int(began[name]) for name in ("year", "month", "day", "hour", "minute", "second")
        )
        passed = timedelta(milliseconds=int(began.get("msec", 0)))
        local: datetime | None = datetime(year, month, day, hour, minute, second) + passed
    except (KeyError, TypeError, ValueError, OverflowError):
        local = None
    try:
        moment = datetime.fromtimestamp(int(began["msecSinceEpoch"]) / 1e3, tz=UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return local.isoformat(timespec="milliseconds") if local else None
    if local is not None:
        distance = timedelta(minutes=round((local - moment.replace(tzinfo=None)).total_seconds() / 60))
        if abs(distance) <= timedelta(hours=14):
            moment = moment.astimezone(timezone(distance))
    return moment.isoformat(timespec="milliseconds")


def _settings(folder: Path) -> dict[str, str]:
    """The animal from the older software's ``settings_and_notes.dat``: a row of names, a row of values."""
    file = folder / SETTINGS
    if not file.is_file():
        return {}
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split("\t") for line in lines[:2]]  # a field that was left blank is one, too
    if len(rows) < 2:
        return {}
    known = {name.strip().lower(): value.strip() for name, value in zip(*rows, strict=False)}
    about = {"device": "Miniscope_V3"}
    return {**about, "subject_id": known["animal"]} if known.get("animal") else about


def tables_in(folder: Path, name: str = "") -> list[Path]:
    """Files of a folder that may be tables, whose names begin with a recording's."""
    return sorted(
        item
        for item in folder.iterdir()
        if item.suffix.lower() in TABLES
        and item.name.startswith(name)
        and not is_hidden(item)
        and not (name[-1:].isdigit() and item.stem[len(name) :][:1].isdigit())  # of rec_10 beside rec_1
        and item.is_file()
        and item.stat().st_size
    )


def with_side_files(recording: Recording) -> Recording:
    """Give a single video what the folder that it lies in knows of its rate, and of whom it is."""
    folder = recording.path.parent
    metadata = read_metadata(folder)
    stamps = next((folder / name for name in STAMPS if (folder / name).is_file()), None)
    if not metadata and stamps is None:
        add_side_files(recording, folder, tuple(tables_in(folder, recording.path.stem)))
        return recording
    nominal = _frame_rate(metadata)
    measured = None
    if stamps is not None:
        with suppress(InputError):
            measured = measured_rate(stamps, nominal)
    recording.fps = measured or nominal or recording.fps
    recording.about = {**recording.about, **_about(read_metadata(folder.parent)), **_about(metadata)}
    recording.note(f"lies in a recorder's folder; input={folder} takes its time stamps along")
    return recording
