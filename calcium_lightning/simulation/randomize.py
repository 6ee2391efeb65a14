"""Settings drawn at random around given ones: the variety that a pretrained network must have seen."""

from __future__ import annotations

import math

import numpy as np

from calcium_lightning.simulation.limits import Range
from calcium_lightning.simulation.settings import SceneSettings


def random_settings(rng: np.random.Generator, base: SceneSettings | None = None) -> SceneSettings:
    """Draw settings for one scene of a training set.

    Size, duration, kind and whether motion was corrected are kept; everything that a detector could come to
    rely on varies: diameter, density, brightness, frame rate, kinetics, background, vessels, motion, noise,
    bit depth.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    base : SceneSettings, optional
        What is varied; lengths scale with the diameter that is drawn.
    """
    base = SceneSettings() if base is None else base

    def factor(spread: float) -> float:
        return math.exp(rng.uniform(-math.log(spread), math.log(spread)))

    def scaled(pair: Range, by: float, low: float = 0.0, high: float = math.inf) -> Range:
        return min(max(pair[0] * by, low), high), min(max(pair[1] * by, low), high)

    size = factor(1.5)  # everything that is as large as a cell, relative to the base
    photons = base.photons_per_px * factor(3.0)
    fps = round(math.exp(rng.uniform(math.log(5), math.log(30))), 1)
    kinetics = factor(1.6)
    rise = scaled(base.rise_s, kinetics, 0.01, 2.0)
    depth = int(rng.choice([8, 8, 10, 12, 16])) if base.kind == "raw" else base.bit_depth
    if base.codec != "none":  # which take 8 bit
        depth = base.bit_depth
    blur = rng.uniform(0.4, 1.6)
    motion = rng.uniform(0.0, 1.5)
    return base.replace(
        fps=fps,
        bit_depth=depth,
        density_per_1000_px2=min(base.density_per_1000_px2 * factor(2.0) / size**2, 100.0),
        cell_diameter_px=scaled(base.cell_diameter_px, size, 2.0, 200.0),
        cell_elongation=(1.0, 1.0 + (base.cell_elongation[1] - 1) * rng.uniform(0.5, 1.5)),
        boundary_irregularity=base.boundary_irregularity * rng.uniform(0.3, 2.0),
        psf_sigma_px=base.psf_sigma_px * size * factor(1.4),
        defocus_sigma_px=scaled(base.defocus_sigma_px, size * blur, 0.0, 50.0),
        clustering=rng.uniform(0.0, 1.0),
        brightness=base.brightness * factor(1.8) * math.sqrt(base.photons_per_px / photons),
        brightness_log_std=rng.uniform(0.3, 0.9),
        bursts_per_second=scaled(base.bursts_per_second, factor(2.0), 1e-3, 10.0),
        synchrony=rng.uniform(0.0, 0.4),
        rise_s=rise,
        decay_s=scaled(base.decay_s, kinetics, 1.5 * rise[1], 20.0),
        haze_contrast=base.haze_contrast * rng.uniform(0.3, 2.0),
        neuropil_std=base.neuropil_std * factor(2.5),
        neuropil_scale_px=scaled(base.neuropil_scale_px, size, 2.0, 2000.0),
        neuropil_time_s=scaled(base.neuropil_time_s, factor(2.0), 0.05, 100.0),
        neuropil_global_share=rng.uniform(0.3, 0.95),
        neuropil_follows_cells=rng.uniform(0.0, 0.8),
        halo_fraction=scaled(base.halo_fraction, factor(2.0), 0.0, 0.5),
        distractors_per_1000_px2=base.distractors_per_1000_px2 * rng.uniform(0.0, 3.0) / size**2,
        blobs_per_1000_px2=base.blobs_per_1000_px2 / size**2,
        vessel_count=int(rng.integers(0, 4)),
        vessel_width_px=scaled(base.vessel_width_px, size * factor(1.4), 1.0, 200.0),
        vignette=rng.uniform(0.0, 0.8),
        leakage=base.leakage * rng.uniform(0.0, 2.0),
        bleach_fraction=rng.uniform(0.0, 0.25),
        photons_per_px=photons,
        read_noise_photons=math.sqrt(photons) * rng.uniform(0.0, 0.5),
        mean_level=rng.uniform(0.15, 0.6),
        motion_std_px=(base.motion_std_px[0] * motion, base.motion_std_px[1] * motion),
        motion_residual_px=base.motion_residual_px * rng.uniform(0.0, 1.5),
        noise_smoothing_px=base.noise_smoothing_px * rng.uniform(0.6, 1.3),
    )
