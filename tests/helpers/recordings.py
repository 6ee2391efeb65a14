"""Small recordings in other people's formats, for tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np


def movie(
    frames: int = 12, height: int = 24, width: int = 38, dtype: str = "uint8", seed: int = 0
) -> np.ndarray:
    """A smooth, noisy movie on a field that isn't square."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    scale = {"uint8": 1, "uint16": 150, "float32": 0.01}[dtype]
    base = 60 + y + x + 30 * np.exp(-((y - 9) ** 2 + (x - 25) ** 2) / 18) * rng.random((frames, 1, 1))
    return ((base + rng.normal(0, 2, base.shape)).clip(0, 255) * scale).astype(dtype)


def write_video(
    path: Path, frames: np.ndarray, codec: str = "ffv1", pixels: str = "gray", rate: int = 20, **options: str
) -> Path:
    """Encode grey (T, H, W) or RGB (T, H, W, 3) frames."""
    import av

    colour = frames.ndim == 4
    source = {(False, 1): "gray", (False, 2): "gray16le", (True, 1): "rgb24", (True, 2): "rgb48le"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format=source[colour, frames.dtype.itemsize])
            container.mux(stream.encode(picture.reformat(format=pixels, threads=1)))  # its threads race
        container.mux(stream.encode())
    return path


def packets(path: Path) -> list[tuple[int, int]]:
    """(position, size) of every packet of a video in the file."""
    import av

    with av.open(str(path)) as container:
        return [
            (packet.pos, packet.size) for packet in container.demux(container.streams.video[0]) if packet.size
        ]


def damage(path: Path, position: int, count: int = 40) -> None:
    """Overwrite some bytes with noise."""
    content = bytearray(path.read_bytes())
    content[position : position + count] = (
        np.random.default_rng(1).integers(0, 256, count, np.uint8).tobytes()
    )
    path.write_bytes(content)


def cut(path: Path, keep: float | int) -> None:
    """Keep a share of a file, or so many bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])


def read_all(path: Path, **options: str | None) -> np.ndarray:
    """All frames of a recording, read in blocks of five."""
    from calcium_lightning.io.readers.formats import open_recording

    with open_recording(path, **options) as recording:
        recording.check_whole(0, None)
        frames = np.concatenate(list(recording.blocks(0, recording.n_frames, 5)))
        assert frames.shape == recording.shape
        assert frames.dtype == recording.dtype
        return frames


def ingested(path: Path, folder: Path, **settings: Any) -> tuple[Any, tuple[str, ...]]:
    """A recording as a session (its reader, open), and what was said."""
    from calcium_lightning.io.convert import ingest_recording
    from calcium_lightning.io.ingest_settings import IngestSettings
    from calcium_lightning.io.readers.formats import open_recording
    from calcium_lightning.io.session import Session

    options = {
        name: settings.pop(name) for name in ("key", "axes", "channel", "plane", "shape") if name in settings
    }
    if "shape" in options:
        options["dtype"] = settings.pop("dtype", None)
    with open_recording(path, **options) as recording:
        ingest_recording(recording, folder / "s.h5", IngestSettings(**settings), overwrite=True)
        return Session(folder / "s.h5"), recording.notes


def advice(message: str) -> dict[str, int]:
    """The first range of frames that a message advises."""
    found = re.search(r"(?:start=(\d+) )?stop=(\d+) takes", message)
    if found is None:
        return {}
    return {"start": int(found[1] or 0), "stop": int(found[2])}
