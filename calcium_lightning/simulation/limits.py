"""The range of every setting of a scene, and the one line that refuses a value outside of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from calcium_lightning.core.errors import InputError

Range = tuple[float, float]

#: The range of values that each setting may have, both ends included; both ends of a pair are checked.
LIMITS: dict[str, tuple[float, float]] = {
    "height_px": (8, 8192),
    "width_px": (8, 8192),
    "seconds": (1e-3, 1e6),
    "fps": (0.1, 1000),
    "pixel_size_um": (1e-3, 1e3),
    "bit_depth": (8, 16),
    "density_per_1000_px2": (0, 100),
    "cell_diameter_px": (2, 200),
    "cell_elongation": (1, 5),
    "cell_orientation_spread_deg": (0, 90),
    "boundary_irregularity": (0, 0.4),
    "psf_sigma_px": (0, 50),
    "defocus_sigma_px": (0, 50),
    "defocus_power": (0.1, 10),
    "spacing_diameters": (0, 1),
    "clustering": (0, 3),
    "brightness": (0, 100),
    "brightness_log_std": (0, 3),
    "resting_fraction": (0, 10),
    "truth_min_detectability": (0, 1e6),
    "bursts_per_second": (1e-4, 20),
    "spikes_per_burst": (1, 100),
    "burst_rate_hz": (1, 500),
    "synchrony": (0, 1),
    "rise_s": (1e-3, 5),
    "decay_s": (5e-3, 30),
    "haze_contrast": (0, 1),
    "neuropil_std": (0, 10),
    "neuropil_components": (1, 500),
    "neuropil_scale_px": (2, 2000),
    "neuropil_time_s": (1e-3, 1000),
    "neuropil_global_share": (0, 1),
    "neuropil_follows_cells": (0, 1),
    "halo_fraction": (0, 1),
    "halo_diameters": (0.5, 10),
    "distractors_per_1000_px2": (0, 10),
    "vessel_count": (0, 50),
    "vessel_width_px": (1, 200),
    "vessel_absorbance": (0, 10),
    "vignette": (0, 0.95),
    "leakage": (0, 10),
    "debris_per_1000_px2": (0, 10),
    "bleach_fraction": (0, 0.95),
    "bleach_time_s": (0.1, 1e6),
    "photons_per_px": (0.1, 1e6),
    "read_noise_photons": (0, 1e4),
    "mean_level": (0.005, 0.95),
    "black_level": (0, 0.9),
    "pixel_gain_std": (0, 0.5),
    "hot_pixels_per_million": (0, 1e5),
    "dead_pixels_per_million": (0, 1e5),
    "motion_std_px": (0, 20),
    "motion_time_s": (1e-3, 100),
    "motion_oscillation_hz": (0.1, 50),
    "motion_jumps_per_minute": (0, 600),
    "motion_nonrigid_px": (0, 10),
    "motion_residual_px": (0, 5),
    "noise_smoothing_px": (0, 20),
    "noise_autocorrelation": (0, 0.95),
    "codec_quality": (0, 51),
    "lens_radius": (0, 2),
    "lens_edge_px": (0, 200),
    "vessel_flicker": (0, 1),
    "blobs_per_1000_px2": (0, 10),
    "blob_brightness": (0, 100),
    "blob_sigma_diameters": (0.5, 10),
    "black_frames_per_minute": (0, 600),
    "white_frames_per_minute": (0, 600),
    "torn_frames_per_minute": (0, 600),
    "duplicated_frames_per_minute": (0, 600),
}
WHOLE = {"height_px", "width_px", "bit_depth", "neuropil_components", "vessel_count"}


def checked(name: str, value: Any, pair: bool) -> Any:
    """Return a setting's value as a number, or as a pair of them.

    Parameters
    ----------
    name : str
        Of the setting.
    value : number, or sequence of numbers
        What was given; for a pair one number is a range of one value.
    pair : bool
        Whether the setting is a range (low, high).

    Raises
    ------
    InputError
        If it is no number, out of range, or not in order.
    """
    low, high = LIMITS[name]
    shown = f"simulation.{name}={value}"
    if pair:
        numbers = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        if len(numbers) == 1:  # one number is a range of one value
            numbers *= 2
        if len(numbers) != 2:
            raise InputError(f"{shown}: expected a range [low, high]")
    else:
        numbers = [value]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise InputError(f"{shown}: expected {'a range [low, high] of numbers' if pair else 'a number'}")
        if not low <= number <= high:
            raise InputError(f"{shown}: must lie between {low:g} and {high:g}")
    if name in WHOLE:
        if numbers[0] != int(numbers[0]):
            raise InputError(f"{shown}: expected a whole number")
        return int(numbers[0])
    if not pair:
        return float(numbers[0])
    if numbers[0] > numbers[1] and name not in ("motion_std_px",):
        raise InputError(f"{shown}: a range is [low, high]")
    return float(numbers[0]), float(numbers[1])
