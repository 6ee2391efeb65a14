"""What a simulated recording is like: one flat, immutable, validated description.

Units are in the names; a pair is a range (low, high). Brightness is relative to the background in the middle
of the field, so that a cell of 0.4 brightens its place by 40 %. Knows nothing of how any of it is drawn.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation.artefacts import ArtefactSettings
from calcium_lightning.simulation.limits import LIMITS, Range, checked


@dataclass(frozen=True)
class SceneSettings(ArtefactSettings):
    """A scene and the instrument that sees it. The defaults are a Miniscope V4 over CA1.

    Beside these it has the settings of
    :class:`~calcium_lightning.simulation.artefacts.ArtefactSettings`, which are off.

    Attributes
    ----------
    height_px, width_px : int
        Size of a frame.
    seconds, fps : float
        Duration and frame rate (Hz).
    pixel_size_um : float, optional
        Micrometres per pixel, as it is written to the session; nothing else depends on it.
    kind : {"raw", "dff"}
        Sensor counts, or (F - mean image) / mean image.
    motion_corrected : bool
        Whether the motion was removed already, but for `motion_residual_px`.
    bit_depth : int
        8 to 16; more than 8 gives uint16.
    density_per_1000_px2 : float
        Cells of the tissue per 1000 square pixels, those too dim for the truth included.
    cell_diameter_px : (float, float)
        Diameter of a soma in focus, the full width at half maximum of its footprint.
    cell_elongation : (float, float)
        Ratio of the long to the short axis.
    cell_orientation_spread_deg : float
        Standard deviation of the long axes around one direction; 90 is every direction alike.
    boundary_irregularity : float
        Standard deviation of the soma's radius around its outline, relative.
    psf_sigma_px : float
        Blur in focus.
    defocus_sigma_px : (float, float)
        Further blur of each cell, from defocus and scattering; its light is spread, not lost.
    defocus_power : float
        Each blur is low + (high - low) u^power with u uniform in [0, 1]: above 1, most cells are near focus.
    spacing_diameters : float
        Least distance between centres, in mean diameters.
    clustering : float
        How unevenly cells are spread: log standard deviation of their density.
    brightness : float
        Median peak of a typical burst of a cell in focus, relative to the background.
    brightness_log_std : float
        Its log-normal spread between cells.
    resting_fraction : (float, float)
        Brightness at rest, relative to `brightness`.
    truth_min_detectability : float
        A cell is in the truth if its half maximum reaches into the field and its brightest transient, summed
        over the visible pixels of its footprint with the best weights, exceeds this many standard deviations
        of the sensor's noise.
    bursts_per_second : (float, float)
        Rate of bursts, log-uniform between cells.
    spikes_per_burst : (float, float)
        Mean number of spikes of a burst, uniform between cells.
    burst_rate_hz : float
        Rate of spikes within a burst.
    synchrony : float
        Share of bursts that a cell fires together with others of its assembly.
    rise_s, decay_s : (float, float)
        Time constants of calcium, per cell.
    haze_contrast : float
        Standard deviation of the resting background over the field, relative to its mean.
    neuropil_std : float
        Standard deviation of the background in time, relative to its mean.
    neuropil_components : int
        Number of smooth fields with a time course of their own.
    neuropil_scale_px : (float, float)
        Standard deviation of the blur that made these fields out of white noise.
    neuropil_time_s : (float, float)
        Correlation times of these time courses, log-uniform.
    neuropil_global_share : float
        Share of the background's variance that the whole field has in common.
    neuropil_follows_cells : float
        Share of each component's variance that follows the cells beneath it.
    halo_fraction : (float, float)
        Peak of the light around each cell that flickers with it, relative to the cell's.
    halo_diameters : (float, float)
        Standard deviation of this halo, in diameters of the cell.
    distractors_per_1000_px2 : float
        Elongated things that flicker and aren't cells (processes, fibres).
    vessel_count : int
        Number of vessels that enter the field; each branches.
    vessel_width_px : (float, float)
        Diameter of a vessel.
    vessel_absorbance : (float, float)
        Absorbance (natural) of a vessel along its diameter.
    vignette : float
        Loss of light at the field's corners.
    leakage : float
        Stray light, relative to the background: it doesn't move, bleach or flicker.
    debris_per_1000_px2 : float
        Specks in the optical path: they don't move with the tissue.
    bleach_fraction, bleach_time_s : float
        Fluorescence falls by this share, exponentially.
    photons_per_px : float
        Detected photons per pixel and frame in the middle of the field at rest.
    read_noise_photons : float
        Standard deviation of the read noise, in photons.
    mean_level : float
        Level of the background in the middle of the field, share of full scale.
    black_level : float
        Level without light, share of full scale.
    pixel_gain_std : float
        Fixed differences in gain between pixels, relative.
    hot_pixels_per_million, dead_pixels_per_million : float
        Pixels near saturation, and pixels that see nothing.
    motion_std_px : (float, float)
        Standard deviation of the motion along y and x.
    motion_time_s : (float, float)
        Correlation times of its fast and its slow part.
    motion_oscillation_hz : (float, float)
        Band of its oscillating part (breathing, steps).
    motion_jumps_per_minute : float
        Sudden displacements that decay with the slow time constant.
    motion_nonrigid_px : float
        Motion that differs over the field (stretch, shear, bending): standard deviation along each axis over
        the field and time, on top of the rigid motion.
    motion_residual_px : float
        Standard deviation of what a motion correction left, along each axis.
    noise_smoothing_px : float
        Blur of the noise by earlier processing (resampling, video compression).
    stretch_each_frame : bool
        ΔF/F only: each frame is stretched to the whole range of levels on its own.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    height_px: int = 256
    width_px: int = 256
    seconds: float = 60.0
    fps: float = 20.0
    pixel_size_um: float | None = 1.65
    kind: str = "raw"
    motion_corrected: bool = False
    bit_depth: int = 8
    # cells
    density_per_1000_px2: float = 4.0
    cell_diameter_px: Range = (10.5, 14.0)
    cell_elongation: Range = (1.0, 1.35)
    cell_orientation_spread_deg: float = 90.0
    boundary_irregularity: float = 0.07
    psf_sigma_px: float = 2.0
    defocus_sigma_px: Range = (0.0, 6.0)
    defocus_power: float = 2.0
    spacing_diameters: float = 0.12
    clustering: float = 0.4
    brightness: float = 0.32
    brightness_log_std: float = 0.5
    resting_fraction: Range = (0.0, 0.4)
    truth_min_detectability: float = 8.0
    # activity
    bursts_per_second: Range = (0.03, 0.2)
    spikes_per_burst: Range = (2.0, 6.0)
    burst_rate_hz: float = 30.0
    synchrony: float = 0.15
    rise_s: Range = (0.03, 0.12)
    decay_s: Range = (0.35, 0.8)
    # background
    haze_contrast: float = 0.12
    neuropil_std: float = 0.08
    neuropil_components: int = 12
    neuropil_scale_px: Range = (15.0, 80.0)
    neuropil_time_s: Range = (0.3, 6.0)
    neuropil_global_share: float = 0.8
    neuropil_follows_cells: float = 0.4
    halo_fraction: Range = (0.03, 0.12)
    halo_diameters: Range = (1.0, 2.0)
    distractors_per_1000_px2: float = 0.05
    vessel_count: int = 2
    vessel_width_px: Range = (5.0, 16.0)
    vessel_absorbance: Range = (0.3, 0.9)
    # instrument
    vignette: float = 0.6
    leakage: float = 0.05
    debris_per_1000_px2: float = 0.0
    bleach_fraction: float = 0.08
    bleach_time_s: float = 120.0
    photons_per_px: float = 110.0
    read_noise_photons: float = 2.0
    mean_level: float = 0.42
    black_level: float = 0.01
    pixel_gain_std: float = 0.01
    hot_pixels_per_million: float = 10.0
    dead_pixels_per_million: float = 10.0
    # motion
    motion_std_px: Range = (2.0, 1.9)
    motion_time_s: Range = (0.15, 1.0)
    motion_oscillation_hz: Range = (5.0, 8.0)
    motion_jumps_per_minute: float = 2.0
    motion_nonrigid_px: float = 0.0
    motion_residual_px: float = 0.3
    # earlier processing
    noise_smoothing_px: float = 0.0
    stretch_each_frame: bool = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in LIMITS and not (field.name == "pixel_size_um" and value is None):
                pair = str(field.type) == "Range"
                object.__setattr__(self, field.name, checked(field.name, value, pair))
            elif str(field.type) == "bool" and not isinstance(value, bool):
                raise InputError(f"simulation.{field.name}={value}: expected true or false")
        if self.kind not in ("raw", "dff"):
            raise InputError(f"simulation.kind={self.kind}: raw or dff")
        if self.stretch_each_frame and self.kind != "dff":
            raise InputError("simulation.stretch_each_frame=true: for simulation.kind=dff only")
        self.check_artefacts(self.kind, self.dtype)
        if self.mean_level + self.black_level >= 1:
            raise InputError("simulation.mean_level + simulation.black_level: must stay below 1, full scale")
        if self.decay_s[0] <= self.rise_s[1]:
            raise InputError(
                f"simulation.decay_s={self.decay_s} must lie above simulation.rise_s={self.rise_s}, seconds"
            )

    @property
    def n_frames(self) -> int:
        """Number of frames T, at least one."""
        return max(1, round(self.seconds * self.fps))

    @property
    def mean_diameter_px(self) -> float:
        """Middle of the range of diameters."""
        return 0.5 * (self.cell_diameter_px[0] + self.cell_diameter_px[1])

    @property
    def dtype(self) -> np.dtype:
        """Type of the frames: uint8, uint16, or float32 for ΔF/F that isn't stretched."""
        if self.kind == "dff" and not self.stretch_each_frame:
            return np.dtype(np.float32)
        return np.dtype(np.uint8 if self.bit_depth <= 8 else np.uint16)

    def replace(self, **changes: Any) -> SceneSettings:
        """Return a copy with some settings changed, validated again."""
        return dataclasses.replace(self, **changes)
