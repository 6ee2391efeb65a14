"""From cells at the network's scale to the cells of a session: its pixels, its units, the best first.

Traces and localisations stay on disk; what reads them converts as it goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Localizations, StreamedCells, footprint_centers
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.localize.coincidence import coincidence, lit_seconds
from calcium_lightning.localize.finder import LocalizeSettings
from calcium_lightning.localize.footprints import shape_of
from calcium_lightning.localize.found import FoundCells
from calcium_lightning.localize.gather import assign
from calcium_lightning.localize.judge import judge
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.localize.places import claimed_means, put_together
from calcium_lightning.localize.quality import measure
from calcium_lightning.localize.revisits import told_by_place
from calcium_lightning.localize.scratch import ScratchTraces
from calcium_lightning.localize.upscale import to_session
from calcium_lightning.localize.vessels import share_on, vessels
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.repaired import RepairedSession
from calcium_lightning.preprocess.shown import PassingBorder, from_edge, shows

#: what the pixels of a footprint leave uncertain of its centre however bright the cell, session pixels
CENTER_FLOOR = 0.06


@dataclass(frozen=True)
class Images:
    """Of the motion-corrected recording, session pixels, float32 (H, W).

    Attributes
    ----------
    mean, max : ndarray
        Over all frames in which a pixel was seen, registered to whole pixels.
    peak : ndarray
        The foreground's peak to noise, see :func:`~calcium_lightning.localize.peak.peak_to_noise`.
    """

    mean: np.ndarray
    max: np.ndarray
    peak: np.ndarray


@dataclass(frozen=True)
class SortedRows:
    """Traces in another order and in other units.

    Attributes
    ----------
    traces : ScratchTraces
        (K, T).
    order : ndarray of int (K,)
        Which trace comes where.
    unit : ndarray (K,)
        What each trace, in its old place, is multiplied with.
    """

    traces: ScratchTraces
    order: np.ndarray
    unit: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(K, T)."""
        return self.traces.shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        index = self.order[rows]
        return self.traces.rows(index) * self.unit[index, None].astype(np.float32)


@dataclass(frozen=True)
class SessionLocalizations:
    """Localisations in session pixels and units, each with the cell that claims it.

    Attributes
    ----------
    localizations : StoredLocalizations
        At the network's scale.
    prepared : Prepared
        The session.
    centers : ndarray (K, 2)
        Of the cells, network pixels.
    reach : float
        How far a cell's localisations may lie from its centre, network pixels.
    rank : ndarray of int (K + 1,)
        Each cell's row in the result, and -1 for none.
    """

    localizations: StoredLocalizations
    prepared: Prepared
    centers: np.ndarray
    reach: float
    rank: np.ndarray

    def blocks(self) -> Iterator[Localizations]:
        """Yield them in the order of their frames."""
        scale = self.prepared.scale
        noise = self.prepared.noise.numpy()
        for found in self.localizations.blocks():
            points = np.stack([found["y"], found["x"]], 1)
            position = scale.to_session(points).astype(np.float32)
            row, column = np.clip(np.round(points).astype(int), 0, np.array(scale.size) - 1).T
            yield Localizations(
                frame=found["frame"],
                y=position[:, 0],
                x=position[:, 1],
                amplitude=found["amplitude"] * noise[row, column],
                y_std=(found["y_std"] / scale.factor[0]).astype(np.float32),
                x_std=(found["x_std"] / scale.factor[1]).astype(np.float32),
                cell=self.rank[assign(points, self.centers, self.reach)],
            )


@dataclass(frozen=True)
class Placed:
    """Cells in session pixels, in the finder's order.

    Attributes
    ----------
    footprints : csr_matrix, float32 (K, H*W)
        Peak 1.
    peaks : ndarray (K,)
        What a trace of the network's footprints is multiplied with to be one of these.
    centers : ndarray, float32 (K, 2)
        Session pixels.
    std : ndarray (K, 2)
        Standard errors of the centres, network pixels.
    quality : dict of str to ndarray, float32 (K,)
        As :func:`~calcium_lightning.localize.quality.measure`.
    """

    footprints: csr_matrix
    peaks: np.ndarray
    centers: np.ndarray
    std: np.ndarray
    quality: dict[str, np.ndarray]


def measured(prepared: Prepared, found: FoundCells, vessel: np.ndarray, settings: LocalizeSettings) -> Placed:
    """Bring cells to the session's pixels, and measure what they are judged by; ``vessel``: bool (h, w)."""
    scale = prepared.scale
    count, mean, variance = claimed_means(found.localizations, found.centers, settings.gather.reach)
    places, std = put_together(found.centers, found.forms.center_std.numpy(), mean, variance)
    footprints, peaks = to_session(found.model.footprints, scale, places - found.centers)
    centers = footprint_centers(footprints, scale.field)
    quality = _measured(prepared, found, count, centers, vessel, settings)
    return Placed(footprints, peaks, centers, std, quality)


def assemble(
    prepared: Prepared,
    found: FoundCells,
    decoys: FoundCells | None,
    images: Images,
    settings: LocalizeSettings,
    timestamps: np.ndarray,
    **origin: object,
) -> StreamedCells:
    """Put the cells of a session together, sorted by score.

    Parameters
    ----------
    prepared : Prepared
        The session.
    found : FoundCells
        Its cells at the network's scale.
    decoys : FoundCells or None
        What was found in its twin.
    images : Images
        Of the session.
    settings : LocalizeSettings
        The tests of acceptance.
    timestamps : ndarray (T,)
        Seconds.
    **origin
        What else :class:`~calcium_lightning.core.cells.CellTable` says of where they come from.
    """
    scale = prepared.scale
    vessel = vessels_of(prepared, images.mean)
    placed = measured(prepared, found, vessel, settings)
    footprints, peaks, centers = placed.footprints, placed.peaks, placed.centers
    decoy_quality, decoy_centers = None, np.zeros((0, 2))
    if decoys is not None:
        claims, *_ = claimed_means(decoys.localizations, decoys.centers, settings.gather.reach)
        decoy_centers = decoys.centers
        places = scale.to_session(decoy_centers)
        chance = found.activity.statistics.chance
        decoy_quality = _measured(prepared, decoys, claims, places, vessel, settings, chance)
    quality, accepted, false_discovery = judge(
        placed.quality,
        scale.to_network(centers),
        decoy_quality,
        decoy_centers,
        settings.quality,
        prepared.session.kind,
        shows(prepared, centers),
        settings.lab,
        found.scatter,
        prepared.wander,
        float(prepared.shifts.std(0).mean()) / prepared.cell_diameter,
    )
    # What was rejected takes light of its neighbours: noise, and what is smooth over many cells.
    activity = found.among(np.flatnonzero(accepted)) if found.among else found.activity
    statistics = activity.statistics
    order = np.argsort(-quality["score"], kind="stable")
    rank = np.empty(len(order) + 1, np.int32)
    rank[order], rank[-1] = np.arange(len(order)), -1
    weight = np.asarray(footprints.sum(1)).ravel()
    # What lies under a cell, less what the cell itself adds on average.
    under = footprints @ images.mean.ravel() / np.maximum(weight, 1e-9)
    own = np.asarray(footprints.multiply(footprints).sum(1)).ravel() / np.maximum(weight, 1e-9)
    own *= statistics.mean * peaks
    quality = {name: values[order] for name, values in quality.items()}
    # The deconvolution's penalty is made up for here: quality is that of the fit itself.
    gain = statistics.gain
    session = prepared.session
    pattern_cleared = isinstance(session, RepairedSession) and bool(session.fixed_pattern)
    return StreamedCells(
        centers=centers[order],
        center_std=np.hypot(placed.std / scale.factor, CENTER_FLOOR)[order].astype(np.float32),
        footprints=footprints[order],
        frame_shape=scale.field,
        traces=SortedRows(activity.traces, order, peaks),
        denoised=SortedRows(activity.denoised, order, peaks * gain),
        spikes=SortedRows(activity.spikes, order, peaks * gain),
        accepted=accepted[order],
        false_discovery=false_discovery,
        quality=quality,
        shifts=prepared.shifts,
        nonrigid=prepared.nonrigid,
        pattern_cleared=pattern_cleared,
        patch_shifts=prepared.patches.shifts if prepared.patches else None,
        patch_std=prepared.patches.std if prepared.patches else None,
        baseline=(under - own)[order].astype(np.float32),
        mean_image=images.mean,
        max_image=images.max,
        peak_image=images.peak,
        timestamps=timestamps,
        localizations=SessionLocalizations(
            found.localizations, prepared, found.centers, settings.gather.reach, rank
        ),
        **origin,  # type: ignore[arg-type]
    )


def vessels_of(prepared: Prepared, mean: np.ndarray) -> np.ndarray:
    """Where a session's mean image shows vessels, bool (h, w); what is ΔF/F has lost them with its mean."""
    if prepared.session.kind == "dff":
        return np.zeros(prepared.scale.size, bool)
    return vessels(prepared.scale.resized(mean))


def _measured(
    prepared: Prepared,
    found: FoundCells,
    claims: np.ndarray,
    centers: np.ndarray,
    vessel: np.ndarray,
    settings: LocalizeSettings,
    chance: float | None = None,
) -> dict[str, np.ndarray]:
    """Properties of what was found in a session or in its twin; ``centers`` in session pixels."""
    denoised, fps = found.activity.denoised, prepared.fps
    lit = lit_seconds(found.localizations, found.centers, settings.gather.reach, denoised.n_frames, fps)
    told = np.zeros(len(found.centers))
    if isinstance(prepared.session, RepairedSession) and prepared.session.survey.coded_in_blocks:
        told = told_by_place(found.activity.traces, np.asarray(prepared.shifts, float), fps)
    edge = from_edge(prepared, centers)
    properties = measure(
        found.activity.statistics,
        found.forms.consistency,
        found.forms.focus,
        shape_of(found.model.footprints, CELL_SIGMA),
        claims,
        coincidence(lit, denoised, fps),
        prepared.session.n_frames,
        _seen(prepared, centers),
        share_on(found.model.footprints, vessel),
        chance,
    )
    if edge is not None:
        properties["edge"] = edge
    if (border := PassingBorder.of(prepared)) is not None:
        properties["border"] = _while_cut(border, centers, denoised)
    return {**properties, "revisits": told}


def _while_cut(border: PassingBorder, centers: np.ndarray, denoised: ScratchTraces) -> np.ndarray:
    """Share of the denoised traces' energy in frames whose border cuts the cell, (K,)."""
    share = np.zeros(len(centers))
    for row, cut in border.cut_frames(centers):
        energy = np.square(denoised.rows(np.array([row]))[0], dtype=float)
        share[row] = energy[cut].sum() / max(energy.sum(), 1e-12)
    return share


def _seen(prepared: Prepared, centers: np.ndarray) -> np.ndarray:
    """Share of the frames in which each centre was on the sensor, (K,)."""
    place = np.round(np.nan_to_num(prepared.scale.to_network(centers))).astype(int)
    row, column = np.clip(place, 0, np.array(prepared.scale.size) - 1).T
    return prepared.seen.numpy()[row, column]
