"""What ScanImage writes into a TIFF: which channels and planes take turns among its pages, and how fast.

Knows the texts of versions 3 (``state.acq...``), 5 (``scanimage.SI...``) and later (``SI...``); no pixels.
"""

from __future__ import annotations

import re
from typing import Any

_LINE = re.compile(r"^\s*(?:scanimage\.)?(SI\d?\.[\w.]+|state\.[\w.]+)\s*=\s*(.*?)\s*$", re.MULTILINE)
#: channels of version 3
_OLD_CHANNELS = range(1, 5)


def scanimage_text(page: Any) -> str:
    """The settings in a file's first page; empty where ScanImage didn't write it."""
    for text in (page.software, page.description):
        if isinstance(text, str) and _LINE.search(text):
            return text
    return ""


def scanimage_planes(text: str, pages: int) -> list[tuple[str, int]] | None:
    """Which dimensions the pages have, slowest first; None where each page is a frame.

    Parameters
    ----------
    text : str
        As :func:`scanimage_text` gives it.
    pages : int
        Of the file. What is left behind the last whole frame counts for nothing.

    Examples
    --------
    >>> scanimage_planes("SI.hChannels.channelSave = [1;2]", 200)
    [('T', 100), ('Z', 1), ('C', 2)]
    """
    channels, depths = _counts(text)
    each = channels * depths
    if each == 1 or pages < 2 * each:
        return None
    return [("T", pages // each), ("Z", depths), ("C", channels)]


def scanimage_rate(text: str) -> float | None:
    """How often a plane was recorded, Hz."""
    said = dict(_LINE.findall(text))
    _, depths = _counts(text)
    rate = _first(said, "hRoiManager.scanFrameRate", "acq.frameRate")
    averaged = _first(said, "hScan2D.logAverageFactor") or 1.0
    return rate / averaged / depths if rate else None


def _counts(text: str) -> tuple[int, int]:
    """Channels that were kept, and planes that a volume has, those of the piezo's way back included."""
    said = dict(_LINE.findall(text))
    kept = next((value for name, value in said.items() if name.endswith("hChannels.channelSave")), "")
    channels = len(re.findall(r"\d+", kept))
    if not channels:
        old = [said.get(f"state.acq.savingChannel{number}") == "1" for number in _OLD_CHANNELS]
        channels = sum(old)
    depths = 1
    if any(name.endswith("hFastZ.enable") and value in ("true", "1") for name, value in said.items()):
        flown = _first(
            said, "hFastZ.numFramesPerVolumeWithFlyback", "hStackManager.numFramesPerVolumeWithFlyback"
        )
        told = flown or _first(said, "hFastZ.numFramesPerVolume", "hStackManager.numFramesPerVolume")
        depths = int(told or _first(said, "hStackManager.numSlices") or 1)
    return max(1, channels), max(1, depths)


def _first(said: dict[str, str], *endings: str) -> float | None:
    """The first of these settings that is a positive number."""
    for ending in endings:
        for name, value in said.items():
            if name.endswith(f".{ending}"):
                try:
                    number = float(value)
                except ValueError:
                    continue
                if 0 < number < 1e9:
                    return number
    return None
