"""What a session needs to be known before its frames can be prepared: quiet tissue, noise, what was seen.

Estimated from a sample of the frames, spread evenly, so that the cost does not grow with the recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.memory import give_back_freed
from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.progress import progress
from calcium_lightning.core.scale import MAD_TO_STD, background_sigma
from calcium_lightning.io.array_session import as_session
from calcium_lightning.preprocess.diameter import estimate_diameter
from calcium_lightning.preprocess.fixed_pattern import LEFT
from calcium_lightning.preprocess.motion.estimate import Motion, MotionSettings
from calcium_lightning.preprocess.motion.types import PatchShifts
from calcium_lightning.preprocess.prepared import Prepared, Scale
from calcium_lightning.preprocess.repaired import RepairedSession, kept_frames, rate_of
from calcium_lightning.preprocess.session_motion import session_motion
from calcium_lightning.preprocess.standing import standing_shade
from calcium_lightning.preprocess.stretch import estimate_stretch, is_stretched
from calcium_lightning.preprocess.wander import Wander, estimate_wander

#: standard deviation of the blur over the noise's logarithm, network pixels: half a cell
NOISE_BLUR = 3.0
#: pixels whose values are sorted at a time
FEW_PIXELS = 1 << 14


@dataclass(frozen=True)
class PreprocessSettings:
    """How a session is prepared.

    Attributes
    ----------
    motion : MotionSettings or None
        How motion is estimated where the session's isn't corrected; None takes the session as it is.
    background_diameters : float, optional
        Standard deviation of the blur that is taken for background, in cell diameters. Default: as the
        network was trained that is to see the frames, or
        :data:`~calcium_lightning.core.scale.BACKGROUND_DIAMETERS`.
    baseline_seconds : float
        How often the quiet tissue is estimated anew.
    baseline_frames : int
        How many frames each estimate looks at.
    noise_floor : float
        Least noise, relative to the field's median: dark corners don't rule the picture.
    repair_defects : bool
        Look at every frame for what is no picture of the tissue: leave out bad frames and what lies outside
        the field, fill defective pixels and lines, level steps, take bands off.
    repair_stretch : bool
        Undo frames that were stretched to the full range one by one.
    correlated_noise : bool
        Measure how much more noise there is at the scale of a cell and of a transient than in the difference
        of neighbouring frames; otherwise it is taken for white.
    """

    motion: MotionSettings | None = MotionSettings()
    background_diameters: float | None = None
    baseline_seconds: float = 30.0
    baseline_frames: int = 120
    noise_floor: float = 0.5
    repair_defects: bool = True
    repair_stretch: bool = True
    correlated_noise: bool = True

    def for_background(self, diameters: float | None) -> PreprocessSettings:
        """These settings, with the background that a network expects where they leave it open."""
        if self.background_diameters is not None:
            return self
        return replace(self, background_diameters=diameters)


@dataclass(frozen=True)
class Known:
    """Motion that is known, as a cells file has it.

    Attributes
    ----------
    shifts : ndarray, float32 (T, 2)
        (dy, dx), pixels, sign of the session file.
    patches : PatchShifts, optional
        Motion that differs over the field.
    nonrigid : float, optional
        How much it differs, pixels.
    pattern : bool, optional
        Whether what stands still before the tissue was cleared; None: it isn't known, and looked for.
    """

    shifts: np.ndarray
    patches: PatchShifts | None = None
    nonrigid: float | None = None
    pattern: bool | None = None

    def of(self, frames: np.ndarray) -> Known:
        """That of some frames (T',)."""
        patches = self.patches and PatchShifts(self.patches.shifts[frames], self.patches.std)
        return replace(self, shifts=self.shifts[frames], patches=patches)


def as_settings(settings: object | None) -> PreprocessSettings:
    """The settings, or the default ones.

    Raises
    ------
    InputError
        If they are of something else than the preparation for a network.
    """
    if settings is None:
        return PreprocessSettings()
    if not isinstance(settings, PreprocessSettings):
        raise InputError(
            f"preprocess: {type(settings).__name__} makes session files; ingest the sessions with it, "
            "a network's frames are prepared with preprocess=default"
        )
    return settings


def prepare(
    recording: Any,
    cell_diameter: float | None = None,
    settings: PreprocessSettings | None = None,
    *,
    fps: float | None = None,
    device: torch.device | str = "cpu",
    known: Known | None = None,
) -> Prepared:
    """Find what is no picture of the tissue in a recording; estimate motion, quiet tissue and noise.

    Parameters
    ----------
    recording : BaseSession, path-like or array-like (T, H, W)
        As of :func:`~calcium_lightning.io.array_session.as_session`.
    cell_diameter : float, optional
        Full width at half maximum of a typical footprint, session pixels; default: estimated.
    settings : PreprocessSettings, optional
        How.
    fps : float, optional
        Frame rate, Hz, in place of the session's; an array needs it.
    device : torch.device or str
        Where to compute.
    known : Known, optional
        Motion of all frames of the recording that is known already, and isn't estimated again.

    Returns
    -------
    Prepared
        What turns the recording's frames into the network's input: ``prepared.foreground(0, 100)``. Bad
        frames aren't among them: ``prepared.session.kept`` says which frames are.

    Raises
    ------
    InputError
        If the recording can't be taken.
    """
    settings = as_settings(settings)
    session = as_session(recording, fps)
    if settings.repair_defects:
        session = RepairedSession.of(session)
    if cell_diameter is None:
        cell_diameter = estimate_diameter(session)
    count = session.n_frames
    gain, offset = np.ones(count, np.float32), np.zeros(count, np.float32)
    if settings.repair_stretch and is_stretched(session):
        stretch = estimate_stretch(session)
        gain, offset = stretch.gain.astype(np.float32), stretch.offset.astype(np.float32)
    scale = Scale.for_diameter(session.shape[1:], cell_diameter)
    rate = rate_of(session, fps)
    motion: np.ndarray | Motion | Known
    if known is not None:
        motion = known.of(kept_frames(session))
        if isinstance(session, RepairedSession):
            session = _cleared_as(motion, session, cell_diameter)
    else:
        session, motion = session_motion(session, cell_diameter, settings.motion, device)
    give_back_freed()
    if isinstance(session, RepairedSession):
        shifts = motion if isinstance(motion, np.ndarray) else motion.shifts
        session = session.knowing_motion(shifts, cell_diameter)
    told = not isinstance(motion, Motion) or motion.told
    bare = Prepared(
        session=session,
        scale=scale,
        fps=rate,
        cell_diameter=cell_diameter,
        shifts=motion if isinstance(motion, np.ndarray) else motion.shifts,
        gain=gain,
        offset=offset,
        background_sigma=background_sigma(settings.background_diameters),
        baseline=torch.zeros(1, *scale.size),
        knots=torch.zeros(1),
        noise=torch.ones(scale.size),
        seen=torch.ones(scale.size),
        patches=None if isinstance(motion, np.ndarray) else motion.patches,
        nonrigid=None if isinstance(motion, np.ndarray) or not told else motion.nonrigid,
        motion_told=told,
    )
    bare = replace(bare, seen=_seen(bare))
    baseline, knots, noise = _estimate_images(bare, settings, device)
    wander = estimate_wander(bare, device) if settings.correlated_noise else Wander()
    quiet = replace(bare, baseline=baseline, knots=knots, noise=noise * wander.both, wander=wander.time)
    return replace(quiet, shade=standing_shade(quiet, device))


def _cleared_as(known: Known, session: RepairedSession, cell_diameter: float) -> RepairedSession:
    """A session whose motion is known without what stands still before the tissue."""
    search = None if known.pattern is False else session.search_for_pattern(cell_diameter)
    if search is None or not (known.pattern or search.left(known.shifts, known.shifts) < LEFT):
        return session
    return session.without(search.at(known.shifts))


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


def _estimate_images(
    prepared: Prepared, settings: PreprocessSettings, device: torch.device | str
) -> tuple[Tensor, Tensor, Tensor]:
    """``baseline``, ``knots`` and ``noise`` from a sample of neighbouring pairs of frames."""
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
                _median(pairs.abs()) * (MAD_TO_STD / 2**0.5) if len(pairs) else torch.ones(sample.shape[1:])
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
    middles = torch.from_numpy((edges[:-1] + edges[1:]) / 2).float()
    return baseline, middles, noise.clamp_min(settings.noise_floor * typical)


def _sample(prepared: Prepared, begin: int, end: int, count: int, device: torch.device | str) -> Tensor:
    """High-passed frames of [begin, end): pairs of neighbours, spread evenly; NaN where nothing was seen."""
    runs = max(1, min(count, end - begin) // 8)
    starts = np.unique(np.linspace(begin, max(begin, end - 8), runs).astype(int)).tolist()

    def detail(part: tuple[int, np.ndarray]) -> Tensor:
        start, frames = part
        block = torch.from_numpy(frames.astype(np.float32)).to(device)
        detail = prepared.high_pass(prepared.resample(block, start))
        detail[~prepared.inside(start, start + len(frames)).to(device)] = torch.nan
        return detail[: len(detail) // 2 * 2] if len(detail) > 1 else detail

    read = ((start, prepared.session.frames(start, min(start + 8, end))) for start in starts)
    return torch.cat(list(in_order(detail, read)))


def _median(stack: Tensor) -> Tensor:
    """Median over the first axis of (n, h, w) without NaN; NumPy is the fastest at contiguous lines."""

    def median(pixels: Tensor) -> Tensor:
        lines = pixels.T.cpu().contiguous().numpy()
        lines.sort(1)  # NaN goes last
        known = (~np.isnan(lines)).sum(1)
        middle = np.maximum(known - 1, 0) // 2
        return torch.from_numpy(lines[np.arange(len(lines)), middle])

    return torch.cat(list(in_order(median, stack.flatten(1).split(FEW_PIXELS, 1)))).view(stack.shape[1:])
