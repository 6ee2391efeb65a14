"""From a movie and its localisations to cells: footprints, traces, activity, at the network's scale.

Candidates gather from localisations, and two are made of one that is two; footprints and traces are regressed
in turn; what the cells leave unexplained is searched again; cells that are one cell are merged. In a plain
recording sums over a few frames tell as much of transients as the frames do: cells are sought in them, and
the traces that are kept are of all frames. Knows a movie and a detector, not where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree
from torch import Tensor

from calcium_lightning.core.errors import InputError, positive
from calcium_lightning.core.memory import give_back_freed
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.localize.deconvolution import Deconvolver, FinalActivity, SessionActivity
from calcium_lightning.localize.demix import LOOSE_RIDGE, RIDGE, Demixer, Model, Residual
from calcium_lightning.localize.detect import Movie
from calcium_lightning.localize.footprints import centroids
from calcium_lightning.localize.forms import Forms, regressed
from calcium_lightning.localize.found import FoundCells, Lead
from calcium_lightning.localize.gather import GatherSettings, gather, scatter_of
from calcium_lightning.localize.lab import LabScore
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.localize.merge import Merger, MergeSettings
from calcium_lightning.localize.neuropil import NeuropilSettings
from calcium_lightning.localize.patches import Patches, Surround, concatenate, gaussian_patches
from calcium_lightning.localize.plain import noise_limited, plain, squeezed, wanders
from calcium_lightning.localize.quality import QualitySettings
from calcium_lightning.localize.scratch import Foreground, ScratchTraces
from calcium_lightning.localize.split import SplitSettings, split
from calcium_lightning.nn.coordinates import LocalizationBatch

#: share of the least evidence that does in a plain recording
PLAIN_EVIDENCE = 0.75
#: transients last much longer than this, seconds: what cells leave, and the twin, aren't searched more often,
#: unless that were fewer than so many frames
LOOK_EVERY_S, LEAST_LOOKS = 0.15, 300
#: localisations in every so-many-th frame of a movie
Detect = Callable[[Movie, int], Iterable[LocalizationBatch]]


@dataclass(frozen=True)
class LocalizeSettings:
    """From localisations to cells.

    Attributes
    ----------
    threshold : float
        Least probability of a localisation.
    neuropil : NeuropilSettings, optional
        What is taken for neuropil and off the foreground; nothing where it is None.
    gather : GatherSettings
        From localisations to candidates.
    split : SplitSettings, optional
        When a candidate is two cells; none is split where it is None.
    rounds : int
        Alternations of footprints and traces after each search.
    residual_searches : int
        How often what the cells leave unexplained is searched again, in plain recordings.
    merge : MergeSettings
        When two candidates are one cell.
    least_evidence : float
        Candidates with less signal (root of the energy over the noise) are dropped while cells are sought;
        three quarters of it do in a plain recording.
    sparsity : float
        L1 penalty of the deconvolution: by so many standard deviations of noise a spike must stand out.
    rise_s, decay_s : float, optional
        The calcium kernel, seconds; default: estimated from the session.
    twin : bool
        Search the recording upside down, too: what is found there tells how much is chance.
    quality : QualitySettings
        The tests of acceptance.
    lab : LabScore, optional
        What a lab's own decisions have taught: moves the score.
    """

    threshold: float = 0.3
    neuropil: NeuropilSettings | None = field(default_factory=NeuropilSettings)
    gather: GatherSettings = field(default_factory=GatherSettings)
    split: SplitSettings | None = field(default_factory=SplitSettings)
    rounds: int = 2
    residual_searches: int = 1
    merge: MergeSettings = field(default_factory=MergeSettings)
    least_evidence: float = 4.0
    sparsity: float = 6.0
    rise_s: float | None = None
    decay_s: float | None = None
    twin: bool = True
    quality: QualitySettings = field(default_factory=QualitySettings)
    lab: LabScore | None = None

    def __post_init__(self) -> None:
        """Refuse a threshold that is no probability, and numbers of turns and times that are none.

        Raises
        ------
        InputError
            Naming the setting.
        """
        if not 0 < self.threshold <= 1:
            raise InputError(f"localize.threshold={self.threshold}: a probability above 0")
        if self.rounds < 1:
            raise InputError(f"localize.rounds={self.rounds}: 1 or more")
        if self.residual_searches < 0:
            raise InputError(f"localize.residual_searches={self.residual_searches}: 0 or more")
        for name in ("rise_s", "decay_s"):
            if getattr(self, name) is not None:
                positive(f"localize.{name}", getattr(self, name))

    def within(self, frames: int) -> LocalizeSettings:
        """The same for a movie of so many frames."""
        return replace(self, gather=self.gather.within(frames))

    def wider(self, factor: float) -> LocalizeSettings:
        """The same where localisations scatter ``factor`` times as far about their places."""
        return replace(
            self,
            gather=self.gather.wider(factor),
            split=None if self.split is None else self.split.wider(factor),
            merge=self.merge.wider(factor),
        )

    def eased(self) -> LocalizeSettings:
        """The same for a plain recording, whose noise is white and whose pictures of a cell are alike."""
        return replace(
            self,
            split=None if self.split is None else self.split.eased(),
            merge=self.merge.eased(),
            least_evidence=self.least_evidence * PLAIN_EVIDENCE,
        )

    def strict(self) -> LocalizeSettings:
        """The same for any other: what cells leave is mostly what their footprints don't fit."""
        return replace(self, residual_searches=0)


def candidates(localizations: StoredLocalizations, fps: float, settings: LocalizeSettings) -> np.ndarray:
    """Places (K, 2) where localisations gather, network pixels: two where they are two groups."""
    centers = gather(localizations, settings.gather)
    if settings.split is None:
        return centers
    return split(localizations, centers, settings.gather.reach, fps, settings.split)


class CellFinder:
    """Find the cells of one movie.

    Parameters
    ----------
    movie : Foreground
        (T, h, w) in units of its noise.
    noise : Tensor (h, w)
        Units of the frames.
    background_sigma : float
        Of preprocessing's blur, network pixels.
    fps : float
        Hz.
    detect : callable
        Localisations in every so-many-th frame of a movie, in pieces.
    settings : LocalizeSettings, optional
        How.
    wander : float
        What neighbouring frames miss of the noise of traces: a factor, 1 for white noise.
    lead : Lead, optional
        What another search tells of the recording, waited for when it is needed; default: told by the movie
        itself, and the settings.

    Attributes
    ----------
    told : Lead
        What this search tells another.
    """

    def __init__(
        self,
        movie: Foreground,
        noise: Tensor,
        background_sigma: float,
        fps: float,
        detect: Detect,
        settings: LocalizeSettings | None = None,
        wander: float = 1.0,
        lead: Lead | None = None,
    ) -> None:
        self.movie = movie
        self.background_sigma = background_sigma
        self.fps = fps
        self.detect = detect
        #: as they were given: the twin's search gets them, too
        self.settings = settings or LocalizeSettings()
        #: the same for this movie's scatter
        self.wider = self.settings
        self.merger = Merger(fps, self.wider.merge)
        self.surround = Surround(movie.size, background_sigma)
        self.demixer = Demixer(movie, noise, self.surround)
        self.deconvolver = Deconvolver(
            fps, self.settings.sparsity, self.settings.rise_s, self.settings.decay_s, wander
        )
        #: the two with which cells are sought
        self.seeking = self.demixer, self.deconvolver
        self.lead, self.told = lead, Lead()
        #: what the last alternation took the movie for
        self.explained: tuple[Model, ScratchTraces] | None = None
        #: its activity, and which rows of it the footprints that came of it are
        self.activity: SessionActivity | None = None
        self.rows = np.zeros(0, int)
        #: where the cells that footprints belong to were found, network pixels
        self.places = np.zeros((0, 2))
        #: whether noise is white and pictures of a cell are alike
        self.plain = False
        #: whether the last alternation found cells that were one
        self.merged = False

    def find(self) -> FoundCells:
        """Search, alternate, search the rest, and finish."""
        # Of the recording, the localisations of every frame are wanted; of its twin, where it has cells.
        every = self._every() if self.lead else 1
        localizations = StoredLocalizations(self.movie.size, every).extend(self.detect(self.movie, every))
        # Where pictures of one cell differ, two are told apart only farther from each other.
        settings = self.settings.within(self.movie.n_frames)
        white = not wanders(self.deconvolver.wander)
        scatter = (
            self.lead.scatter.result() if self.lead else scatter_of(localizations, settings.gather, white)
        )
        self.told.scatter.set_result(scatter)
        self.plain = plain(scatter, self.deconvolver.wander)
        settings = settings.wider(scatter)
        settings = settings.eased() if self.plain else settings.strict()
        if squeezed(scatter, self.deconvolver.wander):
            settings = replace(settings, merge=settings.merge.strict())
        self.wider = settings
        self.demixer.ridge = RIDGE if self.plain else LOOSE_RIDGE
        centers = candidates(localizations, self.fps, settings)
        localizations.forget_density()
        footprints = gaussian_patches(centers, CELL_SIGMA, self.movie.size)
        self.places = centers
        if self.lead:
            known = self.lead.kernel.result()
            self.deconvolver.rise_s, self.deconvolver.decay_s = known.rise_s, known.decay_s
        summed = self._every() if self.plain else 1
        self.merger = Merger(self.fps / summed, settings.merge, self.plain)
        if summed > 1:
            self.seeking = self.demixer.of_sums(summed), self.deconvolver.of_sums(summed)
        for search in range(settings.residual_searches + 1):
            if search:
                footprints = self._search_residual(footprints)
            for turn in range(settings.rounds):
                last = search == settings.residual_searches and turn == settings.rounds - 1
                forms = self._alternate(footprints, last)
                footprints = forms.footprints
        forms = self._until_none_are_one(forms)
        if summed > 1:  # the last look is at all frames
            self.seeking = self.demixer, self.deconvolver
            forms = self._alternate(forms.footprints, last=True)
        self.explained = None
        model = self._model(forms.footprints)
        projections = self.demixer.project(model)
        activity = self.deconvolver.finish(self.demixer.unmix(model, projections))
        self._tell_kernel(activity)
        self.told.rest.set_result(Residual(self.movie, model, activity.denoised))

        def among(kept: np.ndarray) -> FinalActivity:
            return self.deconvolver.refinish(self.demixer.unmix(model, projections, kept), activity, kept)

        return FoundCells(model, forms, activity, localizations, scatter, among)

    def _until_none_are_one(self, forms: Forms) -> Forms:
        """Alternate as long as cells are found that were one."""
        for _ in range(self.wider.merge.rounds):
            if self.merged:
                forms = self._alternate(forms.footprints, last=True)
        return forms

    def _search_residual(self, footprints: Patches) -> Patches:
        """Add Gaussians at the candidates that aren't known yet."""
        # Denoised traces are taken off: raw ones would take a neighbour's noise along.
        if self.explained is None:
            raise RuntimeError("what is left is searched after an alternation")
        model, denoised = self.explained
        if denoised.n_frames != self.movie.n_frames:  # of sums: the search looks at frames
            traces = self.demixer.unmix(model, self.demixer.project(model))
            denoised = self.deconvolver.draft(traces).denoised
        rest = Residual(self.movie, model, denoised)
        every = self._every()
        localizations = StoredLocalizations(self.movie.size, every, keep=False).extend(
            self.detect(rest, every)
        )
        centers = gather(localizations, self.wider.gather)
        if len(footprints) and len(centers):
            distance, _ = cKDTree(centroids(footprints)).query(centers)
            centers = centers[distance > self.wider.gather.separation]
        self.places = np.concatenate([self.places, centers])
        return concatenate(footprints, gaussian_patches(centers, CELL_SIGMA, self.movie.size))

    def _every(self) -> int:
        """Of so many frames, one tells as much of where cells are as all."""
        return max(1, min(int(self.fps * LOOK_EVERY_S + 1e-9), self.movie.n_frames // LEAST_LOOKS))

    def _tell_kernel(self, activity: SessionActivity) -> None:
        """Tell the calcium kernel to whoever waits for it."""
        if not self.told.kernel.done():
            self.told.kernel.set_result(activity.kernel)

    def _model(self, footprints: Patches) -> Model:
        """What footprints look like in the movie; new ones stand behind the others."""
        if not self.plain:
            return self.demixer.model(footprints)
        evidence = np.zeros(0) if self.activity is None else self.activity.evidence[self.rows]
        return self.demixer.model(footprints, noise_limited(centroids(footprints), evidence))

    def _alternate(self, footprints: Patches, last: bool = False) -> Forms:
        """Traces from footprints, footprints from traces, and one cell for what is one cell."""
        self.explained = None
        give_back_freed()
        demixer, deconvolver = self.seeking
        model = self._model(footprints)
        projections = demixer.project(model)
        source = np.full(len(footprints), -1)  # new ones stand behind the others
        source[: len(self.rows)] = self.rows
        activity = deconvolver.draft(demixer.unmix(model, projections), self.activity, source)
        self._tell_kernel(activity)
        keep = activity.evidence >= self.wider.least_evidence
        merged = self.merger.duplicates(centroids(footprints), activity, keep, last)
        self.merged = bool(merged.any())
        keep &= ~merged
        if not keep.all():
            kept = np.flatnonzero(keep)
            traces = demixer.unmix(model, projections, kept)
            activity = deconvolver.redraft(traces, activity, kept)
            model, self.places = model[kept], self.places[kept]
        self.explained, self.activity = (model, activity.denoised), activity
        # Of all cells in every round: forms only around what was dropped agree less with annotators.
        forms, self.rows = regressed(demixer, model, activity.denoised, places=self.places)
        self.places = self.places[self.rows]
        return forms
