"""The motion-corrected movie: to look at (MP4, with outlines on request), or to go on with (TIFF, zarr).

Streams: memory is bounded by a few chunks. Motion is undone as a whole; what differs over the field stays.
Knows cells, sessions and how frames are shifted; nothing of how motion was found.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from scipy.ndimage import binary_erosion

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import progress
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.io.writers.measures import patch_of
from calcium_lightning.preprocess.motion.registration import shift_frames

#: frames that are shifted at once, and that are looked at for the brightness of an MP4
BLOCK, SAMPLE = 64, 60
#: shares of all pixels that an MP4 shows as black, and as white
DARKEST, BRIGHTEST = 0.1, 99.9
#: an MP4 of fewer pixels along its longer side is enlarged twice, so that outlines are thin
SMALL = 480
#: outlines are where a footprint has this share of its peak; their colours, accepted and not
LEVEL, COLOURS = 0.5, ((255, 190, 0), (120, 120, 120))


class Sink(Protocol):
    """Takes corrected frames (n, H, W), float32, one block after the other."""

    def __call__(self, frames: np.ndarray, /) -> None:
        """Take the next frames."""


def write_movie(
    cells: Cells,
    session: BaseSession,
    target: Path,
    format: str,
    *,
    outlines: bool = False,
    rejected: bool = False,
    overwrite: bool = False,
) -> None:
    """Write the recording with its motion undone, atomically.

    Parameters
    ----------
    cells : Cells
        Whose ``shifts`` are undone.
    session : BaseSession
        Their recording.
    target : Path
        What to make.
    format : {"mp4", "tiff", "zarr"}
        TIFF and zarr keep the session's number type, and all of its levels; an MP4 (H.264) is to look at.
    outlines : bool
        Draw the accepted cells (MP4 only).
    rejected : bool
        Draw the others too.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the session isn't that of the cells, or the target exists.
    """
    if session.shape != (cells.n_frames, *cells.frame_shape):
        raise InputError(
            f"{session.path}: {session.shape} frames; the cells are of {(cells.n_frames, *cells.frame_shape)}"
        )
    if outlines and format != "mp4":
        raise InputError(f"outlines=true: are drawn into an MP4; {format} keeps the recording's levels")
    is_folder = format == "zarr"
    if is_folder and target.is_dir() and not (target / ".zarray").is_file():
        raise InputError(f"{target}: is a folder, and no zarr array that could be replaced")
    with atomic_path(target, overwrite, folder=is_folder) as temporary:
        opened = {
            "tiff": _tiff(temporary, session),
            "zarr": _zarr(temporary, session),
            "mp4": _mp4(temporary, session, _drawn(cells, rejected) if outlines else None),
        }[format]
        with opened as sink, progress(f"movie {target.name}", session.n_frames) as advance:
            for frames in corrected(session, cells.shifts):
                sink(frames)
                advance(len(frames))


def corrected(session: BaseSession, shifts: np.ndarray) -> Iterator[np.ndarray]:
    """Frames (n, H, W), float32, with the motion of the whole field undone, in order."""
    moved = torch.from_numpy(np.ascontiguousarray(shifts, np.float32))
    for start, frames in session.chunks(BLOCK):
        block = torch.from_numpy(frames.astype(np.float32))
        yield shift_frames(block, moved[start : start + len(block)]).numpy()


def _in_type(frames: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The nearest values of the session's type."""
    if dtype.kind == "f":
        return frames.astype(dtype)
    limit = np.iinfo(dtype)
    return np.clip(np.rint(frames), limit.min, limit.max).astype(dtype)


@contextmanager
def _tiff(path: Path, session: BaseSession) -> Iterator[Sink]:
    """A stack of ImageJ's axes, big where it must be."""
    import tifffile

    with tifffile.TiffWriter(path, bigtiff=True) as writer:

        def sink(frames: np.ndarray) -> None:
            for frame in _in_type(frames, session.dtype):
                writer.write(frame, contiguous=True, photometric="minisblack", metadata={"axes": "TYX"})

        yield sink


@contextmanager
def _zarr(path: Path, session: BaseSession) -> Iterator[Sink]:
    """One array (time, y, x), chunked along time."""
    import zarr

    count = min(BLOCK, session.n_frames)
    array = zarr.create_array(
        str(path),
        shape=session.shape,
        chunks=(count, *session.shape[1:]),
        dtype=session.dtype,
        zarr_format=2,
        attributes={"_ARRAY_DIMENSIONS": ["time", "y", "x"], "fps": float(session.fps)},
    )
    written = 0

    def sink(frames: np.ndarray) -> None:
        nonlocal written
        array[written : written + len(frames)] = _in_type(frames, session.dtype)
        written += len(frames)

    yield sink


@contextmanager
def _mp4(path: Path, session: BaseSession, drawn: tuple[np.ndarray, np.ndarray] | None) -> Iterator[Sink]:
    """H.264, which browsers and slides play: grey, and outlines in colour."""
    import av

    low, high = _brightness(session)
    larger = 2 if max(session.shape[1:]) < SMALL else 1
    height, width = (side * larger // 2 * 2 for side in session.shape[1:])  # even, as H.264 wants it
    with av.open(str(path), "w", format="mp4") as container:
        rate = Fraction(session.fps).limit_denominator(1000)
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"

        def sink(frames: np.ndarray) -> None:
            grey = np.clip((frames - low) * (255 / max(high - low, 1e-9)), 0, 255).astype(np.uint8)
            grey = grey.repeat(larger, 1).repeat(larger, 2)[:, :height, :width]
            for picture in grey:
                shown = np.repeat(picture[..., None], 3, -1)
                if drawn is not None:
                    where, colours = drawn[0][:height, :width], drawn[1][:height, :width]
                    shown[where] = colours[where]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))

        yield sink
        container.mux(stream.encode())


def _brightness(session: BaseSession) -> tuple[float, float]:
    """What is shown as black and as white."""
    spread = np.unique(np.linspace(0, session.n_frames - 1, SAMPLE).astype(int))
    values = np.stack([session.frames(int(t), int(t) + 1)[0] for t in spread])
    low, high = np.percentile(values[:, session.field], (DARKEST, BRIGHTEST))
    return float(low), float(high)


def _drawn(cells: Cells, rejected: bool) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of the picture are outlines, bool (h, w), and their colours, uint8 (h, w, 3)."""
    larger = 2 if max(cells.frame_shape) < SMALL else 1
    height, width = (side * larger for side in cells.frame_shape)
    where, colours = np.zeros((height, width), bool), np.zeros((height, width, 3), np.uint8)
    for k in np.argsort(cells.accepted, kind="stable"):  # accepted ones on top
        if not (cells.accepted[k] or rejected):
            continue
        y, x, weights = patch_of(cells, k)
        bright = weights > LEVEL * weights.max(initial=0)
        if not bright.any():
            continue
        y, x = y[bright], x[bright]
        image = np.zeros((np.ptp(y) + 3, np.ptp(x) + 3), bool)
        image[y - y.min() + 1, x - x.min() + 1] = True
        image = image.repeat(larger, 0).repeat(larger, 1)
        rows, columns = np.nonzero(image & ~binary_erosion(image))
        rows, columns = rows + (y.min() - 1) * larger, columns + (x.min() - 1) * larger
        where[rows, columns] = True
        colours[rows, columns] = COLOURS[0 if cells.accepted[k] else 1]
    return where, colours
