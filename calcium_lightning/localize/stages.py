"""The stages of ``extract`` one by one, on arrays: to see what each does, and to put another in its place.

    prepare → foreground → detect → gather → (traces → activity → footprints, in turn) → quality → cells

Each takes and gives what a notebook can look at (arrays, tables, footprints as
:class:`~calcium_lightning.localize.patches.Patches` or images), so one's own function can stand for any of
them. ``extract`` itself goes the same way with the same parts; beyond one round of it,
:class:`~calcium_lightning.localize.finder.CellFinder` merges cells that are one, and searches what they leave
unexplained. ``docs/tutorials/stages.ipynb`` goes through all of them. Must not know: files, commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from calcium_lightning.core.cells import Cells
from calcium_lightning.localize.activity import Activity, autocovariance, fit_kernel
from calcium_lightning.localize.assemble import Images, assemble, measured, vessels_of
from calcium_lightning.localize.deconvolution import Deconvolver, FinalActivity
from calcium_lightning.localize.demix import Demixer
from calcium_lightning.localize.detect import detect as detections
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.finder import LocalizeSettings, candidates
from calcium_lightning.localize.footprints import centroids
from calcium_lightning.localize.foreground import write_foreground
from calcium_lightning.localize.forms import Forms, regressed
from calcium_lightning.localize.found import FoundCells
from calcium_lightning.localize.gather import scatter_of
from calcium_lightning.localize.judge import judge
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.localize.patches import Patches, Surround
from calcium_lightning.localize.scratch import ScratchMovie, ScratchTraces
from calcium_lightning.localize.trace_statistics import TraceStatistics
from calcium_lightning.preprocess.prepare import prepare
from calcium_lightning.preprocess.prepared import Prepared

__all__ = [
    "Shapes",
    "activity",
    "cells",
    "detect",
    "footprints",
    "foreground",
    "gather",
    "prepare",
    "quality",
    "traces",
]

#: a movie: (T, h, w) in memory, or on disk
MovieLike = ScratchMovie | torch.Tensor | np.ndarray
#: footprints at the network's scale: patches, or images (K, h, w)
FootprintsLike = Patches | np.ndarray


@dataclass(frozen=True)
class Shapes:
    """What the regression of pixels on activity gives, for K cells.

    Attributes
    ----------
    footprints : Patches
        Peak 1.
    centers : ndarray (K, 2)
        Centroids of their bright parts, (y, x), network pixels.
    center_std : ndarray (K, 2)
        Standard errors, network pixels.
    consistency : ndarray (K,)
        Correlation of each footprint with its picture in the frames.
    focus : ndarray (K,)
        How strong that picture is within a cell over how strong it is around it.
    kept : ndarray of int (K,)
        The rows that they had among the footprints that came in: what took no form is gone.
    """

    footprints: Patches
    centers: np.ndarray
    center_std: np.ndarray
    consistency: np.ndarray
    focus: np.ndarray
    kept: np.ndarray


def foreground(
    prepared: Prepared,
    device: torch.device | str = "cpu",
    settings: LocalizeSettings | None = None,
) -> tuple[ScratchMovie, Images]:
    """All frames at the network's scale: without motion and background, in units of the noise.

    Parameters
    ----------
    prepared : Prepared
        From :func:`~calcium_lightning.preprocess.prepare.prepare`.
    device : torch.device or str
        Where to compute.
    settings : LocalizeSettings, optional
        ``neuropil`` of it.

    Returns
    -------
    movie : ScratchMovie
        (T, h, w), on disk: ``movie.read(0, 100)``. The other stages take an array in its place.
    images : Images
        Mean and maximum of the registered frames, and the peak to noise; session pixels.
    """
    movie = ScratchMovie(prepared.scale.size)
    return movie, write_foreground(prepared, movie, device, (settings or LocalizeSettings()).neuropil)


def detect(
    movie: MovieLike, model: WindowDetector, fps: float, *, threshold: float = 0.3
) -> StoredLocalizations:
    """Localise cells in every frame.

    Parameters
    ----------
    movie : ScratchMovie or array-like (T, h, w)
        Foreground.
    model : WindowDetector
        From :func:`~calcium_lightning.pipeline.load_model`, or a detector of one's own with its window.
    fps : float
        Frame rate, Hz.
    threshold : float
        Least probability of a localisation.

    Returns
    -------
    StoredLocalizations
        ``spots.table()`` is all of them; network pixels.
    """
    held, device = _movie(movie), getattr(model, "device", "cpu")
    found = detections(held, model.detector, model.window, fps, threshold=threshold, device=device)
    return StoredLocalizations(held.size).extend(found)


def gather(
    localizations: StoredLocalizations,
    fps: float,
    settings: LocalizeSettings | None = None,
    white: bool = False,
) -> np.ndarray:
    """Places where localisations gather, two where they are two groups lit at different times.

    Parameters
    ----------
    localizations : StoredLocalizations
        From :func:`detect`.
    fps : float
        Frame rate, Hz.
    settings : LocalizeSettings, optional
        ``gather`` and ``split`` of it.
    white : bool
        The recording's noise is (``prepared.wander == 1``).

    Returns
    -------
    ndarray (K, 2)
        (y, x), network pixels.
    """
    settings = settings or LocalizeSettings()
    return candidates(localizations, fps, settings.wider(scatter_of(localizations, settings.gather, white)))


def traces(movie: MovieLike, footprints: FootprintsLike, prepared: Prepared) -> np.ndarray:
    """Brightness of every cell in every frame, all cells regressed at once.

    Parameters
    ----------
    movie : ScratchMovie or array-like (T, h, w)
        Foreground.
    footprints : Patches or ndarray (K, h, w)
        Peak 1. ``gaussian_patches(centers, CELL_SIGMA, size)`` begin with.
    prepared : Prepared
        Tells the noise and the background's filter.

    Returns
    -------
    ndarray, float32 (K, T)
        Units of the frames, unclipped, with their baseline.
    """
    demixer = _demixer(movie, prepared)
    model = demixer.model(_patches(footprints, prepared))
    return demixer.unmix(model, demixer.project(model)).rows(slice(None))


def activity(traces: np.ndarray, fps: float, settings: LocalizeSettings | None = None) -> Activity:
    """Bring baselines to 0, fit the session's calcium kernel, deconvolve.

    Parameters
    ----------
    traces : ndarray (K, T)
        Unclipped.
    fps : float
        Frame rate, Hz.
    settings : LocalizeSettings, optional
        ``sparsity``, ``rise_s`` and ``decay_s`` of it.

    Returns
    -------
    Activity
        Traces, denoised traces and spikes (K, T), and the traces' noise (K,).
    """
    settings = settings or LocalizeSettings()
    found = Deconvolver(fps, settings.sparsity, settings.rise_s, settings.decay_s).finish(
        ScratchTraces.of(traces)
    )
    whole = slice(None)
    return Activity(
        found.traces.rows(whole), found.denoised.rows(whole), found.spikes.rows(whole), found.noise
    )


def footprints(
    movie: MovieLike, footprints: FootprintsLike, denoised: np.ndarray, prepared: Prepared
) -> Shapes:
    """Regress every pixel on the activity around it, and give each cell the form that comes out.

    Parameters
    ----------
    movie : ScratchMovie or array-like (T, h, w)
        Foreground.
    footprints : Patches or ndarray (K, h, w)
        Where cells are now.
    denoised : ndarray (K, T)
        Their activity without noise, which would be copied from the movie into the footprints.
    prepared : Prepared
        Tells the noise and the background's filter.
    """
    held = _movie(movie)
    demixer = _demixer(held, prepared)
    model = demixer.model(_patches(footprints, prepared))
    forms, rows = regressed(demixer, model, ScratchTraces.of(denoised, held.block_frames))
    return Shapes(
        forms.footprints,
        centroids(forms.footprints),
        forms.center_std.numpy(),
        forms.consistency,
        forms.focus,
        rows,
    )


def quality(
    shapes: Shapes, activity: Activity, localizations: StoredLocalizations, prepared: Prepared, images: Images
) -> dict[str, np.ndarray]:
    """How far each cell can be trusted, by what simulations tell; ``extract`` asks the twin, too.

    Returns
    -------
    dict of str to ndarray, float32 (K,)
        As :func:`~calcium_lightning.localize.judge.judge`; what counts is for
        :func:`~calcium_lightning.localize.quality.accept` to say.
    """
    settings = LocalizeSettings()
    vessel = vessels_of(prepared, images.mean)
    properties = measured(
        prepared, _found(shapes, activity, localizations, prepared), vessel, settings
    ).quality
    return judge(properties, shapes.centers, None, np.zeros((0, 2)), settings.quality, prepared.session.kind)[
        0
    ]


def cells(
    prepared: Prepared,
    shapes: Shapes,
    activity: Activity,
    localizations: StoredLocalizations,
    images: Images,
    settings: LocalizeSettings | None = None,
) -> Cells:
    """Put cells together: session pixels, the frames' units, the best first, those that count marked.

    Parameters
    ----------
    prepared : Prepared
        The recording.
    shapes : Shapes
        Footprints.
    activity : Activity
        Of the same cells.
    localizations : StoredLocalizations
        All localisations; each cell claims those around it.
    images : Images
        From :func:`foreground`.
    settings : LocalizeSettings, optional
        The tests of acceptance.
    """
    session, fps = prepared.session, prepared.fps
    times = np.arange(session.n_frames) / fps if session.timestamps is None else session.timestamps
    return assemble(
        prepared,
        _found(shapes, activity, localizations, prepared),
        None,
        images,
        settings or LocalizeSettings(),
        times,
        session=str(session.path),
        fps=fps,
        kind=session.kind,
        pixel_size_um=session.pixel_size_um,
    ).in_memory()


def _movie(movie: MovieLike) -> ScratchMovie:
    return movie if isinstance(movie, ScratchMovie) else ScratchMovie.of(movie)


def _patches(footprints: FootprintsLike, prepared: Prepared) -> Patches:
    if isinstance(footprints, Patches):
        return footprints
    images: Any = np.asarray(footprints, np.float32)
    if images.ndim != 3 or images.shape[1:] != prepared.scale.size:
        raise ValueError(f"footprints of shape {images.shape}: (K, h, w) with (h, w) = {prepared.scale.size}")
    return Patches.of(images)


def _demixer(movie: MovieLike, prepared: Prepared) -> Demixer:
    return Demixer(_movie(movie), prepared.noise, Surround(prepared.scale.size, prepared.background_sigma))


def _found(
    shapes: Shapes, activity: Activity, localizations: StoredLocalizations, prepared: Prepared
) -> FoundCells:
    """What the finder gives."""
    statistics = TraceStatistics.of(activity, prepared.fps)
    final = FinalActivity(
        traces=ScratchTraces.of(activity.traces),
        denoised=ScratchTraces.of(activity.denoised),
        noise=statistics.noise,
        energy=statistics.energy,
        kernel=fit_kernel(autocovariance(activity.traces, prepared.fps), prepared.fps),
        spikes=ScratchTraces.of(activity.spikes),
        statistics=statistics,
    )
    model = _demixer(ScratchMovie(prepared.scale.size), prepared).model(shapes.footprints)
    std = torch.from_numpy(shapes.center_std)
    forms = Forms(shapes.footprints, std, shapes.consistency, shapes.focus)
    return FoundCells(model, forms, final, localizations)
