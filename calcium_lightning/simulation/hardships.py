"""What makes real recordings hard, put on scenes at random: so that a network has seen it all before.

One function for each hardship, which changes settings; any of them may come together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation.settings import SceneSettings

Changes = dict[str, Any]


def denoised(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """Noise that is alike in neighbouring frames and pixels."""
    blur = max(scene.noise_smoothing_px, rng.uniform(0.0, 1.5))
    return {
        "noise_autocorrelation": rng.uniform(0.2, 0.8),
        "noise_smoothing_px": blur,
        "demosaicked": scene.kind == "raw" and bool(rng.random() < 0.3),
    }


def lossy(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """A video codec, if frames have or can have 8 bit."""
    codec, quality = str(rng.choice(["h264", "h264", "mpeg4"])), rng.uniform(0, 1)
    if scene.dtype != np.uint8 and scene.kind != "raw":
        return {}
    steps = 16 + round(10 * quality) if codec == "h264" else 2 + round(5 * quality)
    return {"bit_depth": 8, "codec": codec, "codec_quality": steps}


def lens(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """The edge of a lens in the frame."""
    radius, edge = rng.uniform(0.75, 1.15), rng.uniform(2.0, 1.2 * scene.mean_diameter_px)
    return {"lens_radius": radius, "lens_edge_px": edge} if scene.kind == "raw" else {}


def flickering_vessels(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """Vessels whose walls change."""
    return {"vessel_flicker": rng.uniform(0.02, 0.15), "vessel_count": max(scene.vessel_count, 2)}


def blobs(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """Cells far out of focus."""
    per_cell_area = rng.uniform(0.03, 0.2)
    density = min(per_cell_area * 1000 / scene.mean_diameter_px**2, 10.0)
    return {"blobs_per_1000_px2": density, "blob_brightness": rng.uniform(0.2, 1.2)}


def heavy_neuropil(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """Neuropil that is strong, and much of it local."""
    low = scene.mean_diameter_px * rng.uniform(0.6, 1.5)
    return {
        "neuropil_std": scene.neuropil_std * rng.uniform(1.5, 3.5),
        "neuropil_components": 48,
        "neuropil_scale_px": (max(low, 2.0), max(scene.neuropil_scale_px[1], low)),
        "neuropil_global_share": rng.uniform(0.1, 0.6),
    }


def bad_frames(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """A few frames without a picture."""
    kinds = ("black", "white", "torn", "duplicated")
    rates = rng.uniform(0, 10, len(kinds))
    if scene.kind != "raw":
        return {}
    return {f"{kind}_frames_per_minute": rate for kind, rate in zip(kinds, rates, strict=True)}


def large_cells(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """Some cells that are much larger or longer than others."""
    low, high = scene.cell_diameter_px
    return {
        "cell_diameter_px": (low, min(high * rng.uniform(1.2, 2.0), 200.0)),
        "cell_elongation": (1.0, rng.uniform(1.5, 3.0)),
    }


def slow(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """Slow transients that come often and run into each other."""
    slower, busier = rng.uniform(1.5, 4.0), rng.uniform(1.5, 4.0)
    decay, often = scene.decay_s, scene.bursts_per_second
    return {
        "decay_s": (min(decay[0] * slower, 20.0), min(decay[1] * slower, 30.0)),
        "bursts_per_second": (min(often[0] * busier, 20.0), min(often[1] * busier, 20.0)),
    }


def dim(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """Little light."""
    return {"photons_per_px": max(scene.photons_per_px * rng.uniform(0.15, 0.6), 0.1)}


def dense(rng: np.random.Generator, scene: SceneSettings) -> Changes:
    """More cells than otherwise, up to 2.5 times."""
    return {"density_per_1000_px2": min(scene.density_per_1000_px2 * rng.uniform(1.3, 2.5), 100.0)}


Hardship = Callable[[np.random.Generator, SceneSettings], Changes]
HARDSHIPS: tuple[Hardship, ...] = (
    dense,
    dim,
    slow,
    large_cells,
    heavy_neuropil,
    blobs,
    flickering_vessels,
    lens,
    denoised,
    lossy,
    bad_frames,
)


def with_hardships(rng: np.random.Generator, scene: SceneSettings, chance: float) -> SceneSettings:
    """Put each hardship on a scene with some chance.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness. How much is drawn from it doesn't depend on the chance, nor on what is hit.
    scene : SceneSettings
        What is made harder.
    chance : float
        Of each hardship, 0 to 1.

    Raises
    ------
    InputError
        If the chance is none.
    """
    if not 0 <= chance <= 1:
        raise InputError(f"hardships={chance}: a chance lies between 0 and 1")
    for hardship in HARDSHIPS:
        hit = rng.random() < chance
        changes = hardship(rng, scene)
        if hit:
            scene = scene.replace(**changes)
    return scene
