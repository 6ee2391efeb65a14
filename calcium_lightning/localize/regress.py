"""Footprints and traces of cells that come later, regressed on the recording with their neighbours.

The same two regressions as everywhere (:mod:`~calcium_lightning.localize.demix`), on the foreground that the
whole recording was brought to: traces of the new cells and of all around them at once, then the new cells'
footprints, in turn. Cells around keep their footprints; those that share pixels with what is new get the
traces that come of it. Knows cells and a prepared recording; must not know pages or files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack

from calcium_lightning.core.cells import StreamedCells, footprint_centers
from calcium_lightning.core.gaps import GappedRows
from calcium_lightning.core.remade import Remade
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.localize.activity import autocovariance, fit_kernel
from calcium_lightning.localize.assemble import vessels_of
from calcium_lightning.localize.coincidence import coincidence, no_seconds
from calcium_lightning.localize.deconvolution import Deconvolver, FinalActivity
from calcium_lightning.localize.demix import Demixer
from calcium_lightning.localize.footprints import shape_of
from calcium_lightning.localize.forms import Forms, regressed
from calcium_lightning.localize.gather import GatherSettings
from calcium_lightning.localize.patches import RADIUS, Patches, Surround, concatenate
from calcium_lightning.localize.quality import likeness, measure
from calcium_lightning.localize.ready import Ready
from calcium_lightning.localize.turns import seconds
from calcium_lightning.localize.upscale import from_session, to_session
from calcium_lightning.localize.vessels import share_on
from calcium_lightning.preprocess.repaired import repeated_frames

#: alternations of traces and footprints
ROUNDS = 3
#: cells that share more than this of their light with what is new get new traces
SHARED = 0.02
#: most cells whose traces the calcium kernel is fitted on
KERNEL_CELLS = 60


def regress(before: StreamedCells, gone: Sequence[int], footprints: csr_matrix, ready: Ready) -> Remade:
    """New cells, from the recording.

    Parameters
    ----------
    before : StreamedCells
        The cells so far.
    gone : sequence of int
        Rows of those whose place the new ones take.
    footprints : csr_matrix (n, H*W)
        Of the new cells, to begin with; they get the rows that follow.
    ready : Ready
        The recording.

    Returns
    -------
    Remade
        The new cells, and their neighbours with other traces.
    """
    prepared = ready.prepared
    scale = prepared.scale
    start = from_session(footprints, scale)
    fixed_rows = _around(before, gone, ready, start)
    fixed = from_session(before.footprints[fixed_rows], scale)
    demixer = Demixer(ready.movie, prepared.noise, Surround(scale.size, prepared.background_sigma))
    deconvolver = _deconvolver(before, ready)
    forms = _alternate(demixer, deconvolver, start, fixed)
    new = forms.footprints
    model = demixer.model(concatenate(new, fixed))
    activity = deconvolver.finish(demixer.unmix(model, demixer.project(model)))
    light = model.seen
    shared = np.asarray(abs(light[len(new) :]) @ abs(light[: len(new)]).sum(0).T).ravel()
    own = np.asarray(light[len(new) :].power(2).sum(1)).ravel()
    changed = np.flatnonzero(shared > SHARED * np.maximum(own, 1e-12))
    shapes, peaks = to_session(new, scale)
    centers = footprint_centers(shapes, before.frame_shape)
    quality = _quality(before, ready, activity, forms, centers)
    rows = np.concatenate([np.arange(len(new)), len(new) + changed])
    unit = np.concatenate([peaks, np.ones(len(changed))])
    gain = activity.statistics.gain[rows]
    beside = fixed_rows[changed]
    mass = np.maximum(np.asarray(shapes.sum(1)).ravel(), 1e-9)
    under = shapes @ before.mean_image.ravel() / mass
    lit = np.asarray(shapes.multiply(shapes).sum(1)).ravel() / mass
    lit *= activity.statistics.mean[: len(new)] * peaks
    unknown, none = np.full(len(new), np.nan), np.full(len(before), np.nan)
    # Frames without a picture are as in the file: nan, or bridged.
    missing = np.isnan(before.traces[slice(0, 1)]).any(0)
    repeated = repeated_frames(prepared.session)

    def in_time(values: np.ndarray, unit: np.ndarray, once: bool = False) -> np.ndarray:
        scaled = (values * unit[:, None]).astype(np.float32)
        rows = GappedRows(scaled, ready.kept, len(ready.place), bridged=True, repeated=repeated, once=once)
        whole = rows[slice(None)]
        whole[:, missing] = np.nan
        return whole

    return Remade(
        rows=np.concatenate([len(before) + np.arange(len(new)), beside]),
        centers=np.concatenate([centers, before.centers[beside]]),
        center_std=np.concatenate(
            [(forms.center_std.numpy() / scale.factor).astype(np.float32), before.center_std[beside]]
        ),
        footprints=csr_matrix(vstack([shapes, before.footprints[beside]])),
        traces=in_time(activity.traces.rows(rows), unit),
        denoised=in_time(activity.denoised.rows(rows), unit * gain),
        spikes=in_time(activity.spikes.rows(rows), unit * gain, once=True),
        baseline=np.concatenate([(under - lit).astype(np.float32), before.baseline[beside]]),
        quality={
            name: np.concatenate([quality.get(name, unknown), before.quality.get(name, none)[beside]]).astype(
                np.float32
            )
            for name in {**before.quality, **quality}
        },
        regressed=True,
    )


def _around(before: StreamedCells, gone: Sequence[int], ready: Ready, new: Patches) -> np.ndarray:
    """Rows of the cells that are seen where the new ones are, and of those that are seen with them."""
    there = np.ones(len(before), bool) if before.curation is None else before.curation.present
    there &= np.asarray(before.footprints.sum(1)).ravel() > 0
    there[list(gone)] = False
    places = ready.prepared.scale.to_network(np.nan_to_num(before.centers, nan=-1e6))
    middle = (new.corner + new.values.shape[-1] // 2).numpy()
    reach = 2 * (2 * RADIUS + Surround(new.size, ready.prepared.background_sigma).reach)
    return np.flatnonzero(there & (np.abs(places[:, None] - middle).max(2) <= reach).any(1))


def _alternate(demixer: Demixer, deconvolver: Deconvolver, new: Patches, fixed: Patches) -> Forms:
    """Traces and footprints in turn; what became of ``new``."""
    count = len(new)
    unknown = torch.full((count, 2), torch.nan)
    forms = Forms(new, unknown, np.zeros(count), np.zeros(count))
    for _ in range(ROUNDS):
        model = demixer.model(concatenate(forms.footprints, fixed))
        draft = deconvolver.draft(demixer.unmix(model, demixer.project(model)))
        found, rows = regressed(demixer, model, draft.denoised, np.arange(count))
        forms = forms.replaced(rows, found)
    return forms


def _deconvolver(before: StreamedCells, ready: Ready) -> Deconvolver:
    """With the kernel of the whole session, which few cells can't tell."""
    step = max(1, len(before) // KERNEL_CELLS)
    traces = before.traces[slice(0, len(before), step)][:, ready.kept]
    fps = ready.prepared.fps
    kernel = fit_kernel(autocovariance(np.nan_to_num(traces), fps), fps)
    return Deconvolver(fps, rise_s=kernel.rise_s, decay_s=kernel.decay_s, wander=ready.prepared.wander)


def _quality(
    before: StreamedCells,
    ready: Ready,
    activity: FinalActivity,
    forms: Forms,
    centers: np.ndarray,
) -> dict[str, np.ndarray]:
    """What the new cells are like; how many are false among their like isn't known of a few."""
    scale, count = ready.prepared.scale, len(forms)
    vessel = vessels_of(ready.prepared, before.mean_image)
    reach = GatherSettings().reach / float(scale.factor.mean())
    claims, denoised = np.zeros(count), activity.denoised
    fps = ready.prepared.fps
    lit = no_seconds(len(denoised), denoised.n_frames, fps)
    for block in before.localizations.blocks():
        for row, (y, x) in enumerate(centers):
            near = np.hypot(block.y - y, block.x - x) <= reach
            claims[row] += near.sum()
            frame = ready.place[block.frame[near]]
            lit[row, seconds(frame[frame >= 0], fps)] = True
    place = np.round(np.nan_to_num(scale.to_network(centers))).astype(int)
    row, column = np.clip(place, 0, np.array(scale.size) - 1).T

    def padded(values: np.ndarray) -> np.ndarray:
        """Neighbours have a say only in how dark a typical cell gets."""
        return np.concatenate([values, np.ones(len(activity.noise) - count)])

    shape = {name: padded(values) for name, values in shape_of(forms.footprints, CELL_SIGMA).items()}
    whole = measure(
        activity.statistics,
        padded(forms.consistency),
        padded(forms.focus),
        shape,
        padded(claims),
        coincidence(lit, denoised, fps),
        ready.prepared.session.n_frames,
        padded(ready.prepared.seen.numpy()[row, column]),
        padded(share_on(forms.footprints, vessel)),
    )
    quality = {name: np.asarray(values)[:count] for name, values in whole.items()}
    quality["score"] = 1 / (1 + np.exp(-likeness(quality)))
    return quality
