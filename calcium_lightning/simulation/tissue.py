"""Everything that moves with the brain: cells, vessels, haze and neuropil, drawn once and lit frame by frame.

Knows nothing of motion or of the sensor: it renders the tissue at rest, with a margin around the field.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags_array, vstack

from calcium_lightning.simulation import background
from calcium_lightning.simulation.activity import draw_activity, slow_courses, standardized
from calcium_lightning.simulation.cells import (
    CUT,
    Shapes,
    draw_cells,
    draw_distractors,
    draw_footprints,
)
from calcium_lightning.simulation.flicker import Flicker
from calcium_lightning.simulation.settings import SceneSettings


class TissueOfADay(Protocol):
    """What several days of one animal have in common, as it is on one of them.

    Attributes
    ----------
    cells : Shapes
        Where they lie.
    brightness : ndarray (K,)
        Of each, of a typical burst; 0 for those that aren't there.
    active : ndarray, bool (K,)
        Which of them fire at all.
    background : float
        Haze and neuropil, relative.
    """

    cells: Shapes
    brightness: np.ndarray
    active: np.ndarray
    background: float

    def vessels(self, margin: int) -> np.ndarray:
        """Transmission over the field and `margin` pixels around it, float32."""
        ...


class Tissue:
    """The tissue of one scene.

    Parameters
    ----------
    settings : SceneSettings
        What it is like.
    margin : int
        Pixels around the field that motion may uncover.
    rng : callable
        Gives the random generator of a part by its name.
    day : TissueOfADay, optional
        Cells and vessels that are known, of one of several days; default: they are drawn.

    Attributes
    ----------
    places : ndarray (K, 2)
        Centres (y, x) of all cells drawn, in the field's coordinates; some lie outside.
    light : ndarray, float32 (K, T)
        Calcium times brightness of each, 1 = background in the middle of the field.
    spikes : ndarray, float32 (K, T)
        Their spikes.
    still : ndarray, float32 (height + 2 margin, width + 2 margin)
        The tissue when no cell is active.
    """

    def __init__(
        self,
        settings: SceneSettings,
        margin: int,
        rng: Callable[[str], np.random.Generator],
        day: TissueOfADay | None = None,
    ) -> None:
        self.settings = settings
        self._day = day
        self.margin = margin
        self.size = (settings.height_px, settings.width_px)
        self._rng = rng
        self._full_size = (self.size[0] + 2 * margin, self.size[1] + 2 * margin)
        if day is None:
            self._vessels = background.draw_vessels(self._full_size, settings, rng("vessels"))
        else:
            self._vessels = day.vessels(margin)
        self._flicker = Flicker(self._vessels, settings, rng) if settings.vessel_flicker else None
        self._draw_cells()
        self._draw_background()

    def _draw_cells(self) -> None:
        settings, origin = self.settings, (-self.margin, -self.margin)
        pad = self.margin + settings.mean_diameter_px + settings.defocus_sigma_px[1]
        cells = draw_cells(settings, pad, self._rng("cells")) if self._day is None else self._day.cells
        images, _ = draw_footprints(cells, origin, self._full_size, settings.psf_sigma_px)
        rng = self._rng("brightness")
        brightness = settings.brightness * rng.lognormal(0, settings.brightness_log_std, len(cells))
        if self._day is not None:
            brightness = self._day.brightness
        self._resting = brightness * rng.uniform(*settings.resting_fraction, len(cells))
        activity = draw_activity(len(cells), settings, self._rng("activity"))
        self._cells, self.places, self.spikes = cells, cells.centers, activity.spikes
        if self._day is not None:
            activity.calcium[~self._day.active] = 0
            activity.spikes[~self._day.active] = 0
        self.light = (brightness[:, None] * activity.calcium).astype(np.float32)

        others = draw_distractors(settings, pad, self._rng("distractors"))
        other_images, _ = draw_footprints(others, origin, self._full_size, settings.psf_sigma_px)
        rng = self._rng("distraction")
        other_light = settings.brightness * rng.lognormal(-0.5, 0.5, (len(others), 1))
        self._other_light = (other_light * draw_activity(len(others), settings, rng).calcium).astype(
            np.float32
        )

        shade = diags_array(self._vessels.ravel())
        self._images = csr_matrix(images @ shade)
        self._all_images = csr_matrix(vstack([self._images, other_images @ shade], dtype=np.float32).T)

    def _draw_background(self) -> None:
        settings = self.settings
        origin = (-self.margin, -self.margin)
        scale = min(settings.neuropil_scale_px[0], settings.halo_diameters[0] * settings.cell_diameter_px[0])
        if settings.blobs_per_1000_px2:
            scale = min(scale, settings.blob_sigma_diameters[0] * settings.mean_diameter_px)
        self._grid = background.CoarseGrid(self._full_size, min(max(0.5 * scale, 2.0), 16.0))
        halos = background.draw_halos(self._cells, self._grid, origin, settings, self._rng("halos"))
        fields = background.draw_neuropil(self._grid, settings, self._rng("neuropil"))
        flat = fields.reshape(len(fields), -1)
        blobs, self._blob_light = self._draw_blobs(origin)
        self._smooth = csr_matrix(vstack([csr_matrix(flat), halos, blobs], dtype=np.float32).T)
        self._courses = self._neuropil_courses(flat, halos)
        haze = background.draw_haze(self._grid, settings, self._rng("haze"))
        haze_image = self._grid.interpolate(haze.reshape(-1, 1))[0]
        if self._day is not None:
            haze_image = haze_image * np.float32(self._day.background)
            self._courses *= np.float32(self._day.background)
        resting = (self._images.T @ self._resting).reshape(self._full_size)
        self.still = (resting + self._vessels * haze_image).astype(np.float32)

    def _draw_blobs(self, origin: tuple[int, int]) -> tuple[csr_matrix, np.ndarray]:
        """Cells far out of focus on the grid, and their light: float32 (N, nodes), (N, T)."""
        settings = self.settings
        pad = self.margin + 2 * settings.blob_sigma_diameters[1] * settings.mean_diameter_px
        blobs = background.draw_blobs(self._grid, origin, pad, settings, self._rng("blobs"))
        rng = self._rng("blobs' activity")
        spread = rng.lognormal(0, settings.brightness_log_std, (blobs.shape[0], 1))
        peak = settings.brightness * settings.blob_brightness * spread
        return blobs, (peak * draw_activity(blobs.shape[0], settings, rng).calcium).astype(np.float32)

    def _neuropil_courses(self, fields: np.ndarray, halos: csr_matrix) -> np.ndarray:
        """Time courses of the neuropil, float32 (components, T): their own and what the cells beneath do."""
        settings = self.settings
        count, share = len(fields), settings.neuropil_follows_cells
        own = slow_courses(
            count, settings.n_frames, settings.fps, settings.neuropil_time_s, self._rng("courses")
        )
        if share and len(self.light):
            beneath = csr_matrix(np.maximum(halos @ fields.T, 0).T)  # (components, K)
            own = np.sqrt(1 - share) * own + np.sqrt(share) * standardized(beneath @ self.light)
        return own.astype(np.float32)

    def at(self, frames: np.ndarray) -> torch.Tensor:
        """Light of the tissue in some frames: float32 (n, height + 2 margin, width + 2 margin)."""
        parts = (self.light, self._other_light, self._courses, self._blob_light)
        tissue = self._lit(*(part[:, frames] for part in parts))
        if self._flicker is not None:
            tissue.view(len(frames), -1).mul_(torch.from_numpy(self._flicker.factor(frames)))
        return tissue

    def mean(self) -> torch.Tensor:
        """Light of the tissue on average: float32 (1, height + 2 margin, width + 2 margin)."""
        parts = (self.light, self._other_light, self._courses, self._blob_light)
        return self._lit(*(part.mean(1, keepdims=True) for part in parts))

    def _lit(
        self, light: np.ndarray, other_light: np.ndarray, courses: np.ndarray, blob_light: np.ndarray
    ) -> torch.Tensor:
        count = light.shape[1]
        nodes = self._smooth @ np.concatenate([courses, light, blob_light])
        tissue = torch.from_numpy(np.ascontiguousarray(self._grid.interpolate(nodes)))
        tissue *= torch.from_numpy(self._vessels)
        tissue += torch.from_numpy(self.still)
        sharp = self._all_images @ np.concatenate([light, other_light])
        tissue.view(count, -1).add_(torch.from_numpy(sharp).T)
        return tissue

    def at_places(self, image: np.ndarray) -> np.ndarray:
        """Values of an image (height, width) at the cells' centres, or at the nearest border: (K,)."""
        place = np.clip(np.rint(self.places), 0, np.array(self.size) - 1).astype(int)
        return image[place[:, 0], place[:, 1]]

    @property
    def still_field(self) -> np.ndarray:
        """The field's part of `still`: (height, width)."""
        margin = self.margin
        return self.still[margin : margin + self.size[0], margin : margin + self.size[1]]

    @cached_property
    def footprints(self) -> tuple[csr_matrix, np.ndarray]:
        """Footprints on the field, float32 (K, height * width), and each peak before it was made 1 (K,).

        Only the visible part counts: what lies beyond the field's border or in a vessel's shade is lost.
        """
        full = np.arange(self._images.shape[1]).reshape(self._full_size)
        margin, (height, width) = self.margin, self.size
        full = full[margin : margin + height, margin : margin + width]
        footprints = csr_matrix(self._images[:, full.ravel()])
        peaks = footprints.max(1).toarray().ravel() if len(self.light) else np.zeros(0)
        footprints = csr_matrix(diags_array(1 / np.where(peaks > 0, peaks, 1)) @ footprints, dtype=np.float32)
        footprints.data[footprints.data < CUT] = 0
        footprints.eliminate_zeros()
        footprints.sort_indices()
        return footprints, peaks

    @cached_property
    def visible(self) -> np.ndarray:
        """Each cell's brightest pixel in the field over its brightest anywhere, 0 to 1 (K,)."""
        whole = self._images.max(1).toarray().ravel() if len(self.light) else np.zeros(0)
        return self.footprints[1] / np.where(whole > 0, whole, 1)
