"""From a movie and its localisations to cells: footprints, traces, activity, at the network's scale.

Candidates gather from localisations; footprints and traces are regressed in turn; what the cells leave
unexplained is searched again; cells that are one cell are merged. Knows a movie and a detector, not where
they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from calcium_lightning.errors import InputError
from calcium_lightning.localize.activity import Activity, Kernel, deconvolve, estimate_kernel, remove_baseline
from calcium_lightning.localize.bandpass import CELL_SIGMA
from calcium_lightning.localize.demix import Demixer, Model
from calcium_lightning.localize.gather import GatherSettings, assign, gather
from calcium_lightning.localize.patches import Patches, Surround, concatenate, gaussian_patches
from calcium_lightning.localize.quality import QualitySettings
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.localize.shape import footprints_from_filtered
from calcium_lightning.nn.coordinates import CoordinateList

#: a companion with less than this share of a cell's evidence may be its halo
HALO_RATIO = 0.6
Detect = Callable[[ScratchMovie], CoordinateList]


@dataclass(frozen=True)
class LocalizeSettings:
    """From localisations to cells.

    Attributes
    ----------
    threshold : float
        Least probability of a localisation.
    gather : GatherSettings
        From localisations to candidates.
    rounds : int
        Alternations of footprints and traces after each search.
    residual_searches : int
        How often what the cells leave unexplained is searched again.
    merge_distance : float
        Candidates closer than this are one cell, network pixels (a cell is 6 wide).
    merge_reach : float
        Candidates closer than this are one cell if their activity is the same.
    merge_correlation : float
        Correlation of denoised traces that counts as the same.
    least_evidence : float
        Candidates with less signal (root of the energy over the noise) are dropped while cells are sought.
    sparsity : float
        L1 penalty of the deconvolution in units of each trace's noise.
    rise_s, decay_s : float, optional
        The calcium kernel, seconds; default: estimated from the session.
    quality : QualitySettings
        The tests of acceptance.
    """

    threshold: float = 0.3
    gather: GatherSettings = field(default_factory=GatherSettings)
    rounds: int = 2
    residual_searches: int = 1
    merge_distance: float = 1.8
    merge_reach: float = 6.0
    merge_correlation: float = 0.8
    least_evidence: float = 8.0
    sparsity: float = 1.0
    rise_s: float | None = None
    decay_s: float | None = None
    quality: QualitySettings = field(default_factory=QualitySettings)

    def __post_init__(self) -> None:
        """Refuse a threshold that is no probability.

        Raises
        ------
        InputError
            Naming the setting.
        """
        if not 0 < self.threshold <= 1:
            raise InputError(f"localize.threshold={self.threshold}: a probability above 0")


@dataclass
class Found:
    """Cells at the network's scale.

    Attributes
    ----------
    model : Model
        Footprints (peak 1) and how the movie shows them.
    activity : Activity
        Traces, denoised traces, spikes, noise.
    kernel : Kernel
        Of the session.
    center_std : Tensor (K, 2)
        Standard error of the centres, network pixels.
    consistency : ndarray (K,)
        Correlation of each footprint with its picture regressed from the frames.
    spots : CoordinateList
        All localisations.
    owner : ndarray, int32 (N,)
        The cell that claims each localisation, -1 for none.
    """

    model: Model
    activity: Activity
    kernel: Kernel
    center_std: Tensor
    consistency: np.ndarray
    spots: CoordinateList
    owner: np.ndarray


class CellFinder:
    """Find the cells of one movie.

    Parameters
    ----------
    movie : ScratchMovie
        Foreground (T, h, w) in units of its noise.
    noise : Tensor (h, w)
        Units of the frames.
    background_sigma : float
        Of preprocessing's blur, network pixels.
    fps : float
        Hz.
    detect : callable
        Localisations of a movie.
    settings : LocalizeSettings, optional
        How.
    """

    def __init__(
        self,
        movie: ScratchMovie,
        noise: Tensor,
        background_sigma: float,
        fps: float,
        detect: Detect,
        settings: LocalizeSettings | None = None,
    ) -> None:
        self.movie = movie
        self.fps = fps
        self.detect = detect
        self.settings = settings or LocalizeSettings()
        self.surround = Surround(movie.size, background_sigma)
        self.demixer = Demixer(movie, noise, self.surround)
        self.center_std = torch.zeros(0, 2)
        self.consistency = np.zeros(0)

    def find(self) -> Found:
        """Search, alternate, search the rest, and finish."""
        settings = self.settings
        spots = self.detect(self.movie)
        footprints = self._new_footprints(spots, Patches.at(np.zeros((0, 2)), self.movie.size))
        for search in range(settings.residual_searches + 1):
            if search:
                footprints = self._search_residual(footprints)
            for _ in range(settings.rounds):
                footprints = self._alternate(footprints)
        model = self.demixer.model(footprints)
        activity, kernel = self._activity(self.demixer.traces(model))
        centers = _centers(footprints)
        owner = assign(spots, centers, settings.gather.reach)
        return Found(model, activity, kernel, self.center_std, self.consistency, spots, owner)

    def _new_footprints(self, spots: CoordinateList, known: Patches) -> Patches:
        """Gaussians at the candidates that aren't known yet."""
        centers = gather(spots, self.movie.size, self.settings.gather)
        if len(known) and len(centers):
            distance, _ = cKDTree(_centers(known)).query(centers)
            centers = centers[distance > self.settings.merge_distance]
        return gaussian_patches(centers, CELL_SIGMA, self.movie.size)

    def _search_residual(self, footprints: Patches) -> Patches:
        model = self.demixer.model(footprints)
        traces = self.demixer.traces(model)
        activity, _ = self._activity(traces)
        with ScratchMovie(self.movie.size) as rest:
            # Denoised traces are taken off: raw ones would take a neighbour's noise along.
            self.demixer.residual(model, activity.denoised, rest)
            fresh = self._new_footprints(self.detect(rest), footprints)
        return concatenate(footprints, fresh)

    def _alternate(self, footprints: Patches) -> Patches:
        """Traces from footprints, footprints from traces, and one cell for what is one cell."""
        model = self.demixer.model(footprints)
        activity, _ = self._activity(self.demixer.traces(model))
        evidence = np.sqrt((activity.denoised**2).sum(1)) / activity.noise
        keep = evidence >= self.settings.least_evidence
        keep &= ~self._duplicates(footprints, activity.denoised, evidence, keep)
        if not keep.all():
            model = self.demixer.model(footprints[keep])
            activity, _ = self._activity(self.demixer.traces(model))
            footprints = footprints[keep]
        filtered, error = self.demixer.footprints(model, activity.denoised)
        shaped, moments, self.center_std = footprints_from_filtered(
            footprints, filtered, error, self.surround, CELL_SIGMA
        )
        self.consistency = self._consistency(shaped, filtered, error)
        keep = torch.isfinite(moments).all(1) & (shaped.values.flatten(1).amax(1) > 0)
        self.center_std, self.consistency = self.center_std[keep], self.consistency[keep.numpy()]
        return shaped[keep].recentred(moments[keep, :2])

    def _consistency(self, shaped: Patches, filtered: Tensor, error: Tensor) -> np.ndarray:
        """Correlation of footprint and regressed picture over the patch."""
        wide = self.surround.high_pass(shaped)
        reach = self.surround.reach
        core = slice(reach, reach + shaped.values.shape[-1])
        expected = wide.values[:, core, core]
        known = torch.isfinite(error) & shaped.inside()
        weight = known.float()
        count = weight.sum((1, 2)).clamp_min(1)
        a = (expected - ((expected * weight).sum((1, 2)) / count)[:, None, None]) * weight
        b = (filtered - ((filtered * weight).sum((1, 2)) / count)[:, None, None]) * weight
        norm = (a.square().sum((1, 2)) * b.square().sum((1, 2))).sqrt().clamp_min(1e-12)
        return ((a * b).sum((1, 2)) / norm).numpy()

    def _duplicates(
        self, footprints: Patches, denoised: np.ndarray, evidence: np.ndarray, alive: np.ndarray
    ) -> np.ndarray:
        """Cells that are another, stronger one, bool (K,)."""
        settings = self.settings
        duplicate = np.zeros(len(footprints), bool)
        index = np.flatnonzero(alive)
        if len(index) < 2:
            return duplicate
        centers = _centers(footprints)[index]
        centred = denoised - denoised.mean(1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1) + 1e-12
        pairs = cKDTree(centers).query_pairs(settings.merge_reach, output_type="ndarray")
        first, second = index[pairs[:, 0]], index[pairs[:, 1]]
        distance = np.linalg.norm(centers[pairs[:, 0]] - centers[pairs[:, 1]], axis=1)
        correlation = np.einsum("kt,kt->k", centred[first], centred[second]) / (norm[first] * norm[second])
        # Farther off than half a cell, only a faint companion is taken for a bright cell's halo.
        ratio = np.minimum(evidence[first], evidence[second]) / np.maximum(evidence[first], evidence[second])
        near = (distance < 0.75 * settings.merge_reach) | (ratio < HALO_RATIO)
        same = (distance < settings.merge_distance) | (near & (correlation > settings.merge_correlation))
        weaker = np.where(evidence[first] < evidence[second], first, second)
        stronger = np.where(evidence[first] < evidence[second], second, first)
        # The strongest decide first; a dropped cell drops nobody.
        for pair in np.argsort(-evidence[stronger], kind="stable"):
            if same[pair] and not duplicate[stronger[pair]]:
                duplicate[weaker[pair]] = True
        return duplicate

    def _activity(self, traces: np.ndarray) -> tuple[Activity, Kernel]:
        settings = self.settings
        level = remove_baseline(traces, self.fps)
        kernel = estimate_kernel(level, self.fps)
        kernel = Kernel(settings.rise_s or kernel.rise_s, settings.decay_s or kernel.decay_s)
        return deconvolve(level, self.fps, kernel, settings.sparsity), kernel


def _centers(footprints: Patches) -> np.ndarray:
    """Centroid of the part above 30 % of the peak, network pixels, float64 (K, 2)."""
    if not len(footprints):
        return np.zeros((0, 2))
    values = footprints.values
    weight = values * (values > 0.3 * values.flatten(1).amax(1)[:, None, None])
    mass = weight.sum((1, 2)).clamp_min(1e-9)
    y, x = footprints.grid()
    center = torch.stack([(weight.sum(2) * y).sum(1) / mass, (weight.sum(1) * x).sum(1) / mass], 1)
    return center.double().numpy()
