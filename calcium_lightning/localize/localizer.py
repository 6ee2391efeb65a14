"""A model that localises cells in a recording, frame by frame: what ``load_model`` gives.

For: ``load_model().localize(frames, fps=20)`` in a notebook, and the detector of ``extract``.
Must not know: how localisations become cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from calcium_lightning.core.cells import Localizations
from calcium_lightning.core.gaps import GappedLocalizations
from calcium_lightning.localize.assemble import SessionLocalizations
from calcium_lightning.localize.detect import detect
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.finder import LocalizeSettings
from calcium_lightning.localize.foreground import write_foreground
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.preprocess.prepare import PreprocessSettings, as_settings, prepare
from calcium_lightning.preprocess.repaired import kept_frames


@dataclass(frozen=True)
class Localizer(WindowDetector):
    """A detector on its device.

    Attributes
    ----------
    detector : Detector
        The network, or the baseline.
    window : WindowSettings
        What it looks at.
    device : torch.device
        Where it is.
    """

    device: torch.device = torch.device("cpu")  # noqa: RUF009  (immutable)

    def localize(
        self,
        recording: Any,
        *,
        fps: float | None = None,
        cell_diameter: float | None = None,
        preprocess: PreprocessSettings | None = None,
        threshold: float = 0.3,
    ) -> Localizations:
        """Where cells are lit in each frame of a recording, how brightly, and how certain that is.

        Parameters
        ----------
        recording : array-like (T, H, W), path-like or BaseSession
            As of :func:`~calcium_lightning.pipeline.extract`.
        fps : float, optional
            Frame rate, Hz; an array needs it.
        cell_diameter : float, optional
            Full width at half maximum of a typical footprint, pixels; default: estimated.
        preprocess : PreprocessSettings, optional
            How frames are prepared (motion, background, noise).
        threshold : float
            Least probability of a localisation.

        Returns
        -------
        Localizations
            Columns of one length, ordered by frame; positions and standard errors in pixels of the frames,
            without the motion; ``cell`` is -1. ``pandas.DataFrame(vars(found))`` is the table.

        Raises
        ------
        InputError
            If the recording can't be taken.

        Examples
        --------
        >>> model = load_model()  # doctest: +SKIP
        >>> found = model.localize(frames, fps=20, cell_diameter=12)  # doctest: +SKIP
        >>> found.y[found.frame == 7]  # doctest: +SKIP
        """
        settings = as_settings(preprocess).for_background(self.window.background_diameters)
        prepared = prepare(recording, cell_diameter, settings, fps=fps, device=self.device)
        localizations = StoredLocalizations(prepared.scale.size)
        with ScratchMovie(prepared.scale.size) as movie:
            write_foreground(prepared, movie, self.device, LocalizeSettings().neuropil)
            localizations.extend(
                detect(
                    movie, self.detector, self.window, prepared.fps, threshold=threshold, device=self.device
                )
            )
        nobody = np.zeros((0, 2)), 0.0, np.array([-1], np.int32)
        found = SessionLocalizations(localizations, prepared, *nobody)
        return Localizations.concatenate(GappedLocalizations(found, kept_frames(prepared.session)).blocks())
