"""What a session needs to be known before its frames can be prepared: quiet tissue, noise, what was seen.

Estimated from a sample of the frames, spread evenly, so that the cost does not grow with the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import progress
from calcium_lightning.io.session import Session
from calcium_lightning.preprocess.motion.estimate import Motion, MotionSettings, estimate_motion
from calcium_lightning.preprocess.motion.patches import PatchGrid
from calcium_lightning.preprocess.prepared import NETWORK_DIAMETER, Prepared, Scale
from calcium_lightning.preprocess.repaired import RepairedSession
from calcium_lightning.preprocess.standing import standing_shade
from calcium_lightning.preprocess.stretch import estimate_stretch, is_stretched

#: standard deviation of the blur over the noise's logarithm, network pixels: half a cell
NOISE_BLUR = 3.0
#: turns a median absolute deviation into a standard deviation of a Gaussian
MAD_TO_STD = 1.4826


@dataclass(frozen=True)
class PreprocessSettings:
    """How a session is prepared.

    Attributes
    ----------
    motion : MotionSettings or None
        How motion is estimated where the session's isn't corrected; None takes the session as it is.
    background_diameters : float
        Standard deviation of the blur that is taken for background, in cell diameters.
    baseline_seconds : float
        How often the quiet tissue is estimated anew.
    baseline_frames : int
        How many frames each estimate looks at.
    noise_floor : float
        Least noise, relative to the field's median: dark corners don't rule the picture.
    repair_defects : bool
        Fill hot, dead and blinking pixels of the sensor, where the session's motion isn't corrected.
    repair_stretch : bool
        Undo frames that were stretched to the full range one by one.
    """

    motion: MotionSettings | None = MotionSettings()
    background_diameters: float = 0.67
    baseline_seconds: float = 30.0
    baseline_frames: int = 120
    noise_floor: float = 0.5
    repair_defects: bool = True
    repair_stretch: bool = True


def prepare(
    session: Session,
    cell_diameter: float,
    settings: PreprocessSettings | None = None,
    *,
    fps: float | None = None,
    device: torch.device | str = "cpu",
) -> Prepared:
    """Find the defects of a session's sensor; estimate motion, quiet tissue and noise.

    Parameters
    ----------
    session : Session
        The recording.
    cell_diameter : float
        Full width at half maximum of a typical footprint, session pixels.
    settings : PreprocessSettings, optional
        How.
    fps : float, optional
        Frame rate, Hz, in place of the session's.
    device : torch.device or str
        Where to compute.
    """
    settings = settings or PreprocessSettings()
    if not isinstance(settings, PreprocessSettings):
        raise InputError(
            "preprocess: the published chain is for ingest and extract; ingest the sessions with it"
        )
    if settings.repair_defects:
        session = RepairedSession.of(session)
    count = session.n_frames
    gain, offset = np.ones(count, np.float32), np.zeros(count, np.float32)
    if settings.repair_stretch and is_stretched(session):
        stretch = estimate_stretch(session)
        gain, offset = stretch.gain.astype(np.float32), stretch.offset.astype(np.float32)
    scale = Scale.for_diameter(session.shape[1:], cell_diameter)
    rate = fps or session.fps
    motion = _motion(session, cell_diameter, settings, device)
    if isinstance(session, RepairedSession):
        session.know_motion(motion if isinstance(motion, np.ndarray) else motion.shifts)
    prepared = Prepared(
        session=session,
        scale=scale,
        fps=rate,
        cell_diameter=cell_diameter,
        shifts=motion if isinstance(motion, np.ndarray) else motion.shifts,
        gain=gain,
        offset=offset,
        background_sigma=settings.background_diameters * NETWORK_DIAMETER,
        baseline=torch.zeros(1, *scale.size),
        knots=torch.zeros(1),
        noise=torch.ones(scale.size),
        seen=torch.ones(scale.size),
        patches=None if isinstance(motion, np.ndarray) else motion.patches,
        nonrigid=None if isinstance(motion, np.ndarray) else motion.nonrigid,
    )
    prepared.seen = _seen(prepared)
    _estimate_images(prepared, settings, device)
    prepared.shade = standing_shade(prepared, device)
    return prepared


def _motion(
    session: Session, cell_diameter: float, settings: PreprocessSettings, device: torch.device | str
) -> np.ndarray | Motion:
    """Shifts that are known, or an estimate."""
    if settings.motion is not None:
        PatchGrid.of(settings.motion.patches, session.shape[1:], cell_diameter)  # even if it isn't needed
    known = session.shifts
    if known is not None:
        return known
    if session.motion_corrected or settings.motion is None or session.n_frames < 2:
        return np.zeros((session.n_frames, 2), np.float32)
    return estimate_motion(session, settings.motion, cell_diameter, device)


def _seen(prepared: Prepared, chunk: int = 4096) -> Tensor:
    total = torch.zeros(prepared.scale.size)
    whole = prepared.patches is None and prepared.usable is None
    if not whole:
        chunk = 64
    for start in range(0, prepared.shape[0], chunk):
        stop = min(start + chunk, prepared.shape[0])
        if whole:
            rows, columns = prepared.inside_lines(start, stop)
            total += rows.float().T @ columns.float()
        else:
            total += prepared.inside(start, stop).sum(0)
    return total / prepared.shape[0]


def _estimate_images(prepared: Prepared, settings: PreprocessSettings, device: torch.device | str) -> None:
    """Fill in ``baseline``, ``knots`` and ``noise`` from a sample of neighbouring pairs of frames."""
    length = prepared.shape[0]
    knots = int(np.clip(round(length / prepared.fps / settings.baseline_seconds), 1, 64))
    edges = np.linspace(0, length, knots + 1)
    baselines, noises = [], []
    with progress("baseline and noise", knots, "estimates") as advance:
        for begin, end in pairwise(edges):
            sample = _sample(prepared, int(begin), int(np.ceil(end)), settings.baseline_frames, device)
            baselines.append(_median(sample))
            pairs = sample[1::2] - sample[: len(sample) // 2 * 2 : 2]
            noises.append(
                _median(pairs.abs()) * (MAD_TO_STD / 2**0.5) if len(pairs) else torch.ones_like(sample[0])
            )
            advance(1)
    baseline = torch.stack(baselines).nan_to_num(0.0).cpu()
    noise = _median(torch.stack(noises)).cpu()
    known = torch.isfinite(noise) & (noise > 0)
    typical = float(noise[known].median()) if known.any() else 1.0
    # A pixel that was hardly ever seen gets the typical noise; its frames are zero where it wasn't.
    noise = torch.where(known, noise, torch.tensor(typical))
    # A pixel's own estimate scatters by a tenth or more, the noise itself changes slowly over the field.
    noise = torch.from_numpy(gaussian_filter(noise.log().numpy(), NOISE_BLUR, mode="nearest")).exp()
    prepared.baseline = baseline
    prepared.knots = torch.from_numpy((edges[:-1] + edges[1:]) / 2).float()
    prepared.noise = noise.clamp_min(settings.noise_floor * typical)


def _sample(prepared: Prepared, begin: int, end: int, count: int, device: torch.device | str) -> Tensor:
    """High-passed frames of [begin, end): pairs of neighbours, spread evenly; NaN where nothing was seen."""
    runs = max(1, min(count, end - begin) // 8)
    blocks = []
    for start in np.unique(np.linspace(begin, max(begin, end - 8), runs).astype(int)):
        stop = min(int(start) + 8, end)
        frames = torch.from_numpy(prepared.session.frames(int(start), stop).astype(np.float32)).to(device)
        detail = prepared.high_pass(prepared.resample(frames, int(start)))
        detail[~prepared.inside(int(start), stop).to(device)] = torch.nan
        blocks.append(detail[: len(detail) // 2 * 2] if len(detail) > 1 else detail)
    return torch.cat(blocks)


def _median(stack: Tensor) -> Tensor:
    """Median over the first axis of (n, h, w) without NaN; sorting contiguous lines beats nanmedian."""
    lines = stack.flatten(1).T.contiguous().sort(1).values  # NaN goes last
    known = (~lines.isnan()).sum(1)
    middle = ((known - 1) // 2).clamp_min(0)
    return lines.gather(1, middle[:, None])[:, 0].view(stack.shape[1:])
