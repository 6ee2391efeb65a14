"""The mean image of a moving recording is sharp again once the motion is taken back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, shift
from skimage.metrics import structural_similarity

from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.pipeline import write_foreground
from calcium_lightning.preprocess.prepare import prepare


def test_the_mean_image_is_like_the_tissue_that_did_not_move(tmp_path: Path):
    rng = np.random.default_rng(5)
    tissue = gaussian_filter(rng.normal(size=(64, 80)), 2.0)
    tissue = (100 + 40 * tissue / tissue.std()).astype(np.float32)
    motion = rng.integers(-4, 5, (40, 2)).astype(np.float32)
    # A point at c lies at c + shift in the frame.
    frames = np.stack([shift(tissue, step, order=1, mode="nearest") for step in motion]).astype(np.float32)
    frames += rng.normal(0, 5, frames.shape).astype(np.float32)
    path = tmp_path / "moving.h5"
    with SessionWriter(path, 64, 80, "float32", 20.0) as writer:
        writer.append(frames)
        writer.set_shifts(motion)
    with Session(path) as session:
        prepared = prepare(session, 12.0)
        with ScratchMovie(prepared.scale.size) as movie:
            images = write_foreground(prepared, movie)
    inner = (slice(6, -6), slice(6, -6))
    scale = float(np.ptp(tissue))

    def likeness(image: np.ndarray) -> float:
        return float(structural_similarity(image[inner], tissue[inner], data_range=scale))

    assert likeness(images.mean) > 0.95
    assert likeness(frames.mean(0)) < 0.7
    assert (images.max[inner] >= images.mean[inner]).all()
