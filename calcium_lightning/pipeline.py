"""From a session file to cells, in one call: what ``extract`` does, for notebooks too.

Puts the rooms together: preprocessing, a detector, localisation to cells, and the scale of the session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from calcium_lightning import __version__
from calcium_lightning.cells import Cells, Localizations, footprint_centers
from calcium_lightning.data.windows import WindowSettings
from calcium_lightning.errors import InputError
from calcium_lightning.localize.activity import regain
from calcium_lightning.localize.cells import CellFinder, Found, LocalizeSettings
from calcium_lightning.localize.detect import Detector, detect
from calcium_lightning.localize.quality import accept, measure
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.localize.upscale import to_session
from calcium_lightning.nn.coordinates import CoordinateList
from calcium_lightning.preprocess.prepared import NETWORK_DIAMETER, Prepared
from calcium_lightning.preprocess.statistics import PreprocessSettings, prepare
from calcium_lightning.progress import progress
from calcium_lightning.session import Session

#: what the pixels of a footprint leave uncertain of its centre however bright the cell, session pixels
CENTER_FLOOR = 0.06
#: frames that are brought to the network's scale at a time
CHUNK = 64


@dataclass(frozen=True)
class Images:
    """Of the motion-corrected recording, session pixels, float32 (H, W).

    Attributes
    ----------
    mean, max : ndarray
        Over all frames in which a pixel was seen, registered to whole pixels.
    """

    mean: np.ndarray
    max: np.ndarray


def extract_cells(
    session: Session,
    detector: Detector,
    window: WindowSettings,
    cell_diameter: float,
    *,
    preprocess: PreprocessSettings | None = None,
    settings: LocalizeSettings | None = None,
    fps: float | None = None,
    pixel_size_um: float | None = None,
    device: torch.device | str = "cpu",
    config: str = "",
) -> Cells:
    """Find the cells of a session.

    Parameters
    ----------
    session : Session
        The recording.
    detector : Detector
        A :class:`~calcium_lightning.nn.network.LocalizationNetwork`, or the baseline.
    window : WindowSettings
        What the detector looks at.
    cell_diameter : float
        Full width at half maximum of a typical footprint, session pixels.
    preprocess, settings : optional
        How frames are prepared, and how localisations become cells.
    fps, pixel_size_um : float, optional
        In place of the session's.
    device : torch.device or str
        Where the network runs.
    config : str
        Kept in the result (YAML).

    Returns
    -------
    Cells
        Sorted by score, the best first.

    Raises
    ------
    InputError
        If the session is too short, or its cells are too large for its field.
    """
    settings = settings or LocalizeSettings()
    rate = fps or session.fps
    least = max(4, round(window.seconds * rate))
    if session.n_frames < least:
        raise InputError(
            f"{session.path}: {session.n_frames} frames are fewer than a window of {window.seconds:g} s "
            f"({least} frames at {rate:g} Hz)"
        )
    prepared = prepare(session, cell_diameter, preprocess, fps=fps, device=device)
    if min(prepared.scale.size) < 2 * NETWORK_DIAMETER:
        raise InputError(
            f"{session.path}: cells of {cell_diameter:g} px don't fit a field of {session.shape[1:]} px; "
            "check cell_diameter="
        )

    def run(movie: ScratchMovie) -> CoordinateList:
        return detect(movie, detector, window, rate, threshold=settings.threshold, device=device)

    with ScratchMovie(prepared.scale.size) as movie:
        images = write_foreground(prepared, movie, device)
        found = CellFinder(movie, prepared.noise, prepared.background_sigma, rate, run, settings).find()
    cells = _assemble(prepared, found, images, settings)
    timestamps = session.timestamps
    return Cells(
        **cells,
        timestamps=timestamps
        if timestamps is not None and fps is None
        else np.arange(session.n_frames) / rate,
        session=str(session.path),
        session_sha256=session.sha256(),
        fps=rate,
        kind=session.kind,
        pixel_size_um=pixel_size_um or session.pixel_size_um,
        config=config,
        package_version=__version__,
    )


def write_foreground(prepared: Prepared, movie: ScratchMovie, device: torch.device | str = "cpu") -> Images:
    """Bring every frame of a session to the network's scale, and look at the registered frames on the way."""
    session = prepared.session
    total = np.zeros(session.shape[1:], np.float64)
    count = np.zeros(session.shape[1:], np.float64)
    peak = np.full(session.shape[1:], -np.inf, np.float32)
    with progress("preparing", session.n_frames) as advance:
        for start, frames in session.chunks(CHUNK):
            block = torch.from_numpy(frames.astype(np.float32)).to(device)
            movie.append(prepared.foreground_of(block, start))
            registered, rows, columns = _registered(frames, prepared, start)
            total += registered.sum(0, dtype=np.float64)
            count += rows.T.astype(np.float64) @ columns
            np.maximum(peak, registered.max(0), out=peak)
            advance(len(frames))
    mean = (total / np.maximum(count, 1)).astype(np.float32)
    return Images(mean, np.where(count > 0, peak, 0).astype(np.float32))


def _registered(
    frames: np.ndarray, prepared: Prepared, start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames moved back by whole pixels, 0 where nothing was seen; rows (n, H) and columns (n, W) seen."""
    shifts = np.round(prepared.shifts[start : start + len(frames)]).astype(int)
    _, height, width = frames.shape
    y = np.arange(height) + shifts[:, :1]
    x = np.arange(width) + shifts[:, 1:]
    rows, columns = (y >= 0) & (y < height), (x >= 0) & (x < width)
    index = np.arange(len(frames))[:, None, None]
    moved = frames[index, np.clip(y, 0, height - 1)[:, :, None], np.clip(x, 0, width - 1)[:, None, :]].astype(
        np.float32
    )
    gain = prepared.gain[start : start + len(frames), None, None]
    offset = prepared.offset[start : start + len(frames), None, None]
    moved = (moved - offset) / gain
    moved *= rows[:, :, None]
    moved *= columns[:, None, :]
    return moved, rows, columns


def _assemble(prepared: Prepared, found: Found, images: Images, settings: LocalizeSettings) -> dict:  # type: ignore[type-arg]
    """The parts of :class:`Cells` that depend on the network's scale, sorted by score."""
    scale = prepared.scale
    footprints, peaks = to_session(found.model.footprints, scale)
    activity = found.activity
    centers = footprint_centers(footprints, scale.field)
    index = np.clip(
        np.nan_to_num(np.round(scale.to_network(centers))).astype(int), 0, np.array(scale.size) - 1
    )
    claimed = np.bincount(found.owner[found.owner >= 0], minlength=len(peaks))
    quality = measure(
        activity,
        prepared.fps,
        found.consistency,
        _widths(found.model.footprints.values) / NETWORK_DIAMETER,
        claimed,
        prepared.seen.numpy()[index[:, 0], index[:, 1]],
    )
    activity = regain(activity)  # the quality is that of the fit itself
    order = np.argsort(-quality["score"], kind="stable")
    rank = np.empty(len(order) + 1, np.int32)
    rank[order], rank[-1] = np.arange(len(order)), -1
    spots = found.spots
    position = scale.to_session(np.stack([spots.y.numpy(), spots.x.numpy()], 1))
    pixel = np.clip(
        np.round(np.stack([spots.y.numpy(), spots.x.numpy()], 1)).astype(int), 0, np.array(scale.size) - 1
    )
    unit = prepared.noise.numpy()[pixel[:, 0], pixel[:, 1]]
    amplitude = peaks[:, None]
    weight = np.asarray(footprints.sum(1)).ravel()
    # What lies under a cell, less what the cell itself adds on average.
    under = footprints @ images.mean.ravel() / np.maximum(weight, 1e-9)
    own = (
        np.asarray(footprints.multiply(footprints).sum(1)).ravel()
        / np.maximum(weight, 1e-9)
        * (activity.traces * amplitude).mean(1)
    )
    quality = {name: values[order] for name, values in quality.items()}
    return {
        "centers": centers[order],
        "center_std": np.hypot(found.center_std.numpy() / scale.factor, CENTER_FLOOR)[order],
        "footprints": footprints[order],
        "frame_shape": scale.field,
        "traces": (activity.traces * amplitude)[order],
        "denoised": (activity.denoised * amplitude)[order],
        "spikes": (activity.spikes * amplitude)[order],
        "accepted": accept(quality, settings.quality, prepared.session.kind),
        "quality": quality,
        "shifts": prepared.shifts,
        "baseline": (under - own)[order],
        "mean_image": images.mean,
        "max_image": images.max,
        "localizations": Localizations(
            frame=spots.frame.numpy().astype(np.int32),
            y=position[:, 0].astype(np.float32),
            x=position[:, 1].astype(np.float32),
            amplitude=(spots.amplitude.numpy() * unit).astype(np.float32),
            y_std=(spots.y_std.numpy() / scale.factor[0]).astype(np.float32),
            x_std=(spots.x_std.numpy() / scale.factor[1]).astype(np.float32),
            cell=rank[found.owner],
        ),
    }


def _widths(values: Tensor) -> np.ndarray:
    """Diameter of the disc as large as the part above half of the peak, network pixels, (K,)."""
    area = (
        (values > 0.5 * values.flatten(1).amax(1)[:, None, None]).sum((1, 2))
        if len(values)
        else torch.zeros(0)
    )
    return 2 * np.sqrt(area.numpy() / np.pi)
