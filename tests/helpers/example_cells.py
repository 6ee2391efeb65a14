"""A small, realistic cells file and its truth for the tests of everything that comes after extraction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import Cells, Localizations, footprint_centers
from calcium_lightning.core.decisions import Draw, Entry, Label, Note, Verdict
from calcium_lightning.core.standing import Standing
from calcium_lightning.io.session import Truth
from calcium_lightning.io.session_writer import SessionWriter

HOSTILE = 'rec <script>alert(1)</script> & "quoted" {{ 7*7 }}.h5'


def make_example(
    count: int = 12, length: int = 300, height: int = 60, width: int = 84, seed: int = 0, fps: float = 20.0
) -> tuple[Cells, Truth]:
    """Cells as a good method would find them, and the truth; the field is not square."""
    rng = np.random.default_rng(seed)
    spots = np.stack(
        np.meshgrid(np.arange(8, height - 6, 12), np.arange(8, width - 6, 12), indexing="ij"), -1
    )
    centers = rng.permutation(spots.reshape(-1, 2))[:count] + rng.uniform(-2, 2, (count, 2))
    y, x = np.mgrid[:height, :width]
    sigma = rng.uniform(2.0, 3.5, (2, count, 1, 1))
    dy, dx = (y - centers[:, 0, None, None]) / sigma[0], (x - centers[:, 1, None, None]) / sigma[1]
    images = np.exp(-(dy**2 + dx**2) / 2)
    images[images < 0.05] = 0
    images /= images.max((1, 2), keepdims=True)
    footprints = csr_matrix(images.reshape(count, -1).astype(np.float32))
    spikes = (rng.random((count, length)) < 0.02) * rng.uniform(0.5, 2, (count, length))
    time = np.arange(200) / fps
    kernel = np.exp(-time / 0.6) - np.exp(-time / 0.05)
    calcium = np.stack([np.convolve(row, kernel)[:length] for row in spikes])
    amplitude = rng.uniform(5, 40, count)
    denoised = calcium * amplitude[:, None]
    traces = denoised + rng.normal(0, 1.5, denoised.shape)
    shifts = np.cumsum(rng.normal(0, 0.2, (length, 2)), 0)
    activity = rng.poisson(4, length)
    frame = np.repeat(np.arange(length), activity)
    cell = rng.integers(-1, count, len(frame))
    place = np.where(cell[:, None] >= 0, centers[cell], rng.uniform(0, 1, (len(frame), 2)) * (height, width))
    place = place + rng.normal(0, 0.4, place.shape)
    real = np.full(len(frame), 0.4, np.float32)
    localizations = Localizations(
        frame.astype(np.int32),
        place[:, 0].astype(np.float32),
        place[:, 1].astype(np.float32),
        rng.uniform(1, 30, len(frame)).astype(np.float32),
        real,
        real,
        cell.astype(np.int32),
    )
    score = rng.uniform(0.02, 1, count)
    mean = 80 + 10 * np.cos(x / width * 3) + images.sum(0) * 5
    cells = Cells(
        centers=footprint_centers(footprints, (height, width)),
        center_std=np.full((count, 2), 0.1, np.float32),
        footprints=footprints,
        frame_shape=(height, width),
        traces=traces.astype(np.float32),
        denoised=denoised.astype(np.float32),
        spikes=spikes.astype(np.float32),
        accepted=score > 0.3,
        quality={"snr": rng.uniform(1, 20, count).astype(np.float32), "score": score.astype(np.float32)},
        shifts=shifts.astype(np.float32),
        baseline=np.full(count, 80, np.float32),
        mean_image=mean.astype(np.float32),
        max_image=(mean + 20 * images.max(0)).astype(np.float32),
        peak_image=(10 * images.max(0)).astype(np.float32),
        timestamps=np.arange(length) / fps,
        localizations=localizations,
        session=f"/data/{HOSTILE}",
        session_sha256="0" * 64,
        fps=fps,
        kind="raw",
        pixel_size_um=1.6,
        config="seed: 0\nnote: '<b>bold</b>'\n",
        package_version="0.1.0",
    )
    truth = Truth(
        shifts=cells.shifts,
        footprints=footprints,
        traces=cells.denoised,
        spikes=cells.spikes,
        amplitude=amplitude.astype(np.float32),
    )
    return cells, truth


def decided(cells: Cells) -> Cells:
    """After a person's decisions: the first cell rejected, the second labelled and noted, the last one drawn."""
    standing = Standing.of(np.r_[True, True, cells.accepted[2:-1]])
    at = ("Ada", "2026-03-04T10:00:00+00:00", "1")
    actions = (
        Verdict((0,), False),
        Note(1, "=dim at the end"),
        Label((1,), "place cell", True),
        Label((1,), "late", True),
        Draw(((1.0, 1.0), (1.0, 9.0), (9.0, 5.0))),
    )
    for number, action in enumerate(actions, 1):
        standing = standing.after(Entry(number, *at, action))
    return replace(cells, accepted=standing.accepted, curation=standing, false_discovery=None)


def take(cells: Cells, rows: np.ndarray) -> Cells:
    """Some of the cells, without localisations."""
    names = ("centers", "center_std", "footprints", "traces", "denoised", "spikes", "accepted", "baseline")
    parts = {name: getattr(cells, name)[rows] for name in names}
    quality = {name: values[rows] for name, values in cells.quality.items()}
    return replace(cells, **parts, quality=quality, localizations=Localizations.empty())


def write_truth(path: Path, cells: Cells, truth: Truth) -> Path:
    """A session file that holds the truth, with blank frames."""
    with SessionWriter(path, *cells.frame_shape, "uint8", cells.fps) as writer:
        writer.append(np.zeros((cells.n_frames, *cells.frame_shape), np.uint8))
        writer.set_truth(truth)
    return path
