"""What a search of a movie gives: its cells, and on the way what the search of the movie's twin waits for.

Knows what cells are made of; nothing of how they are found.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from calcium_lightning.localize.activity import Kernel
from calcium_lightning.localize.deconvolution import FinalActivity
from calcium_lightning.localize.demix import Model, Residual
from calcium_lightning.localize.footprints import centroids
from calcium_lightning.localize.forms import Forms
from calcium_lightning.localize.localizations import StoredLocalizations


@dataclass
class FoundCells:
    """Cells at the network's scale.

    Attributes
    ----------
    model : Model
        Footprints (peak 1) and how the movie shows them.
    forms : Forms
        What the last regression of footprints made of them.
    activity : FinalActivity
        Traces, denoised traces, spikes, noise.
    localizations : StoredLocalizations
        All localisations.
    scatter : float
        How many times farther than usual they lie from their places.
    among : callable, optional
        Activity where only some of the cells (their rows, rising) exist; not known where cells were put
        together by hand.
    """

    model: Model
    forms: Forms
    activity: FinalActivity
    localizations: StoredLocalizations
    scatter: float = 1.0
    among: Callable[[np.ndarray], FinalActivity] | None = None

    @cached_property
    def centers(self) -> np.ndarray:
        """Centroids of the footprints' bright parts, network pixels, (K, 2)."""
        return centroids(self.model.footprints)


@dataclass(frozen=True)
class Lead:
    """What a search tells the search of its twin, each as soon as it is known.

    Attributes
    ----------
    scatter : Future of float
        How many times farther than usual localisations lie from their places.
    kernel : Future of Kernel
        The calcium kernel that the first traces tell.
    rest : Future of Residual
        What the cells leave of the movie.
    """

    scatter: Future[float] = field(default_factory=Future)
    kernel: Future[Kernel] = field(default_factory=Future)
    rest: Future[Residual] = field(default_factory=Future)

    def withdraw(self) -> None:
        """Tell nothing more: whoever waits is woken by an error."""
        for told in (self.scatter, self.kernel, self.rest):
            told.cancel()
