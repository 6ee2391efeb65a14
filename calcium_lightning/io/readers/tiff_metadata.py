"""What ImageJ, OME and Micro-Manager write beside a TIFF's pixels: intervals, sizes, who and when.

Knows their units and names; courtesies all: what can't be understood is left out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calcium_lightning.io.readers.clock import rate_of

SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", ""), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
}
MICRONS = {
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometers"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimeters"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 1e4),
    **dict.fromkeys(("m", "meter", "meters"), 1e6),
    **dict.fromkeys(("inch", "inches", "in"), 25400.0),
}


#: how far a nominal rate may lie from the measured one without a word
SAID = 0.01


@dataclass
class Facts:
    """What is known; ``None`` is what isn't.

    Attributes
    ----------
    fps, pixel_size_um : float or None
        Hz, micrometres.
    times : ndarray or None
        Seconds of each frame of the first channel and plane.
    nominal : float or None
        The rate, Hz, that the times of the frames contradict.
    playback : float or None
        A rate at which the file asks to be shown, which is no frame rate.
    offset : int
        To be added to each pixel (ImageJ's signed 16 bit).
    about : dict
        As :class:`~calcium_lightning.io.readers.base.Recording` has it.
    """

    fps: float | None = None
    pixel_size_um: float | None = None
    times: np.ndarray | None = None
    nominal: float | None = None
    playback: float | None = None
    offset: int = 0
    about: dict[str, str] = field(default_factory=dict)


def imagej_facts(metadata: dict[str, Any], resolution: tuple[int, int] | None) -> Facts:
    """Facts of ImageJ's description; ``resolution`` is the tag's (pixels, units)."""
    facts = Facts()
    interval = _positive(metadata.get("finterval"))
    unit = str(metadata.get("tunit", "s")).strip().lower()
    if interval and unit in SECONDS:
        facts.fps = 1 / (interval * SECONDS[unit])
    facts.playback = _positive(metadata.get("fps"))
    length = re.sub(r"\\u00b5", "µ", str(metadata.get("unit", "")).strip().lower())
    if length in MICRONS and resolution and all(resolution):
        facts.pixel_size_um = MICRONS[length] * resolution[1] / resolution[0]
    if str(metadata.get("cf", "")) == "0" and metadata.get("c1") == 1 and metadata.get("c0") == -32768:
        facts.offset = -32768
    return facts


def ome_facts(xml: str, number: int = 0) -> Facts:
    """Facts of one of the images of an OME-XML."""
    import tifffile

    facts = Facts()
    try:
        root = tifffile.xml2dict(xml)["OME"]
        images = root["Image"]
        image = images[number] if isinstance(images, list) else images
        pixels = image["Pixels"]
    except (KeyError, IndexError, TypeError, ValueError, SyntaxError):
        return facts
    scale = SECONDS.get(str(pixels.get("TimeIncrementUnit", "s")))
    increment = _positive(pixels.get("TimeIncrement"))
    if scale and increment:
        facts.fps = 1 / (increment * scale)
    microns = MICRONS.get(str(pixels.get("PhysicalSizeXUnit", "µm")))
    size = _positive(pixels.get("PhysicalSizeX"))
    if microns and size:
        facts.pixel_size_um = size * microns
    facts.times = _plane_times(pixels.get("Plane"))
    if facts.times is not None:
        measured = rate_of(facts.times)
        if measured and facts.fps and abs(facts.fps / measured - 1) > SAID:
            facts.nominal = facts.fps
        facts.fps = measured or facts.fps
    if image.get("AcquisitionDate"):
        facts.about["session_start_time"] = str(image["AcquisitionDate"])
    return facts


def _plane_times(planes: Any) -> np.ndarray | None:
    """Seconds of the frames from the planes' ``DeltaT``, where each has one and they rise."""
    if not isinstance(planes, list):
        return None
    first = [plane for plane in planes if not int(plane.get("TheC", 0)) and not int(plane.get("TheZ", 0))]
    if len(first) < 2 or any("DeltaT" not in plane for plane in first):
        return None
    scale = SECONDS.get(str(first[0].get("DeltaTUnit", "s")))
    times = np.array([float(plane["DeltaT"]) for plane in sorted(first, key=lambda p: int(p.get("TheT", 0)))])
    return times * scale if scale and (np.diff(times) > 0).all() else None


def micromanager_interval(summary: dict[str, Any]) -> float | None:
    """Frame rate, Hz, of Micro-Manager's summary."""
    interval = _positive(summary.get("Interval_ms"))
    return 1e3 / interval if interval else None


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
