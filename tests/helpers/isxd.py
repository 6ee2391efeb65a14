"""Movies as Inscopix writes them, for tests."""

from __future__ import annotations

import json


def write_isxd(path, frames, total=None, code=0, padding=0, **timing):
    """An uncompressed Inscopix movie: frames, a footer of JSON, a zero, the footer's length."""
    stored = {0: "<u2", 1: "<f4", 2: "u1"}[code]
    began = {"secsSinceEpoch": {"num": 1600000000000, "den": 1000}, "utcOffset": 7200}
    footer = json.dumps(
        {
            "type": 0,
            "dataType": code,
            "hasFrameHeaderFooter": bool(padding),
            "spacingInfo": {"numPixels": {"x": frames.shape[2], "y": frames.shape[1]}},
            "timingInfo": {
                "numTimes": total or len(frames),
                "period": {"num": 50, "den": 1000},
                "start": began,
                **timing,
            },
            "extraProperties": {"animal": {"id": "M7"}, "microscope": {"type": "NVista3"}},
        }
    ).encode()
    body = b"".join(b"\1" * padding + frame.astype(stored).tobytes() + b"\2" * padding for frame in frames)
    path.write_bytes(body + footer + b"\0" + len(footer).to_bytes(8, "little"))
    return path
