"""Makes the pictures of the explanation, from a simulated recording whose truth is known.

    python docs/explanation/pictures.py

Nothing in them is drawn by hand.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

import calcium_lightning
from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.core.scale import CELL_SIGMA
from calcium_lightning.localize import stages
from calcium_lightning.localize.patches import gaussian_patches
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.metrics.cell_match import match_cells
from calcium_lightning.nn.splat import splat
from calcium_lightning.pages.pictures import contours, patch
from calcium_lightning.simulation import SceneSession, SceneSettings

HERE = Path(__file__).resolve().parent / "pictures"
SCENE = SceneSettings(
    height_px=128, width_px=160, seconds=40, fps=20, cell_diameter_px=(9.0, 11.0), brightness=0.4
)
ORANGE, GREY = "#d95f02", "#777777"


def paint(table: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Localisations of one frame as round Gaussians, (h, w)."""
    positions = torch.tensor(np.column_stack([table["y"], table["x"]]), dtype=torch.float32)[None]
    amplitude = torch.tensor(table["amplitude"], dtype=torch.float32)[None]
    sigma = torch.full((1, len(table), 1), CELL_SIGMA)
    return splat(positions, amplitude, sigma, None, size)[0].numpy()


def panels(count: int, width: float = 3.3, height: float = 2.9) -> tuple:
    """A row of axes without ticks."""
    figure, axes = plt.subplots(1, count, figsize=(width * count, height), layout="constrained")
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
    return figure, axes


def save(figure, name: str) -> None:
    """Small enough for a repository."""
    figure.savefig(HERE / f"{name}.png", dpi=90)
    plt.close(figure)
    print(HERE / f"{name}.png")


def synthesis(frames, movie, table) -> None:
    """A frame, what is above its background, what is painted from coordinates, and what is left."""
    busy = int(np.bincount(table["frame"]).argmax())
    foreground = movie.read(busy, busy + 1)[0].numpy()
    here = table[table["frame"] == busy]
    painted = paint(here, movie.size)
    figure, axes = panels(4)
    axes[0].imshow(frames[busy], cmap="gray")
    axes[0].set_title(f"frame {busy}")
    for ax, picture, title in (
        (axes[1], foreground, "its foreground, units of the noise"),
        (axes[2], painted, f"{len(here)} coordinates, painted"),
        (axes[3], foreground - painted, "what they leave"),
    ):
        ax.imshow(picture, cmap="gray", vmin=-3, vmax=8)
        ax.set_title(title)
    axes[1].plot(here["x"], here["y"], "+", color=ORANGE, markersize=7)
    save(figure, "synthesis")


def gathering(frames, movie, table, centers) -> None:
    """The mean of all frames beside the places of all localisations."""
    figure, axes = panels(3)
    axes[0].imshow(frames.mean(0), cmap="gray")
    axes[0].set_title("mean of all frames")
    peak = movie.read(0, movie.n_frames).amax(0)
    axes[1].imshow(peak, cmap="gray", vmax=float(np.quantile(peak, 0.995)))
    axes[1].set_title("maximum of the foreground")
    height, width = movie.size
    edges = (np.arange(0, height + 0.1, 0.5) - 0.5, np.arange(0, width + 0.1, 0.5) - 0.5)
    count = np.histogram2d(table["y"], table["x"], edges)[0]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes[2].imshow(np.sqrt(count), cmap="gray_r", extent=extent, vmax=4)
    axes[2].scatter(centers[:, 1], centers[:, 0], s=60, facecolors="none", edgecolors=ORANGE, linewidths=0.8)
    axes[2].set_title(f"{len(table)} localisations, {len(centers)} candidates")
    save(figure, "gathering")


def candidates(movie, model, prepared, images):
    """What is found in a movie: its qualities."""
    found = stages.detect(movie, model, prepared.fps)
    centers = stages.gather(found, prepared.fps)
    footprints = gaussian_patches(centers, CELL_SIGMA, prepared.scale.size)
    activity = stages.activity(stages.traces(movie, footprints, prepared), prepared.fps)
    shapes = stages.footprints(movie, footprints, activity.denoised, prepared)
    activity = stages.activity(stages.traces(movie, shapes.footprints, prepared), prepared.fps)
    return stages.quality(shapes, activity, found, prepared, images)


def twins(movie, model, prepared, images) -> None:
    """Candidates of the recording and of the same recording upside down."""
    upside_down = ScratchMovie.of(-movie.read(0, movie.n_frames))
    targets = candidates(movie, model, prepared, images)
    decoys = candidates(upside_down, model, prepared, images)
    figure, (first, second) = plt.subplots(1, 2, figsize=(9, 2.9), layout="constrained")
    for ax, name in ((first, "snr"), (second, "consistency")):
        edges = np.linspace(0, max(targets[name].max(), decoys[name].max()), 40)
        ax.hist(targets[name], edges, color=ORANGE, alpha=0.8, label=f"recording: {len(targets[name])}")
        ax.hist(decoys[name], edges, color=GREY, alpha=0.8, label=f"upside down: {len(decoys[name])}")
        ax.set_xlabel(name)
        ax.set_ylabel("candidates")
        ax.legend(frameon=False)
    save(figure, "twins")


def results(cells, truth) -> None:
    """Cells over what lit up, and traces beside true ones."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained", width_ratios=[1, 2])
    cells.plot(left, labels=False)
    left.set_title(f"{cells.accepted.sum()} cells accepted")
    rows = np.flatnonzero(cells.accepted)[:4]
    centers = footprint_centers(truth.footprints, cells.frame_shape)
    distance = np.linalg.norm(cells.centers[rows][:, None] - centers[None], axis=2)
    seconds = cells.timestamps
    for place, (row, true) in enumerate(zip(rows, distance.argmin(1), strict=True)):
        scale = cells.denoised[row].max()
        right.plot(seconds, cells.traces[row] / scale - 1.3 * place, color=GREY, linewidth=0.6)
        right.plot(seconds, cells.denoised[row] / scale - 1.3 * place, color=ORANGE, linewidth=1)
        curve = truth.traces[true] / truth.traces[true].max()
        right.plot(seconds, curve - 1.3 * place, color="black", linewidth=0.8, linestyle=":")
    right.set_yticks([])
    right.set_xlabel("seconds")
    right.set_title("demixed (grey), denoised (orange), true (dotted)")
    save(figure, "results")


def trust() -> None:
    """The same tissue as it was recorded, under blobs out of focus, squeezed, searched for another size."""
    settings = SCENE.replace(seconds=30.0, brightness=0.25)
    kinds = (
        ("as it was recorded", settings, 10.0),
        (
            "blobs out of focus brighten, too",
            settings.replace(blobs_per_1000_px2=1.5, blob_brightness=1.5),
            10.0,
        ),
        ("squeezed hard by H.264", settings.replace(codec="h264", codec_quality=40.0), 10.0),
        ("searched with half the diameter", settings, 5.0),
    )
    figure, axes = panels(len(kinds), 3.1, 3.0)
    for ax, (title, scene, diameter) in zip(axes, kinds, strict=True):
        session = SceneSession(scene, seed=5)
        cells = calcium_lightning.extract(session, cell_diameter=diameter)
        lit = cells.max_image - cells.mean_image
        ax.imshow(lit, cmap="gray", vmin=0, vmax=float(np.quantile(lit, 0.997)))
        centers = footprint_centers(session.truth.footprints, cells.frame_shape)
        match = match_cells(cells.centers[cells.accepted], centers)
        false = np.ones(int(cells.accepted.sum()), bool)
        false[match.found] = False
        for row, wrong in zip(np.flatnonzero(cells.accepted), false, strict=True):
            for line in contours(patch(cells.footprints, row, cells.frame_shape[1])):
                ax.plot(line[:, 1], line[:, 0], color=ORANGE if wrong else "#56b4e9", linewidth=1)
        told = cells.false_discovery
        expected = "" if told is None else f", {told.expected_false:.0f} expected to be"
        ax.set_title(f"{title}\n{len(false)} accepted: {false.sum()} false{expected}", fontsize=8.5)
        ax.set_xlim(-0.5, cells.frame_shape[1] - 0.5)
        ax.set_ylim(cells.frame_shape[0] - 0.5, -0.5)
    save(figure, "trust")


def main() -> None:
    """Make all of them."""
    HERE.mkdir(exist_ok=True)
    scene = SceneSession(SCENE, seed=4)
    frames = scene.frames()
    prepared = stages.prepare(frames, cell_diameter=10.0, fps=SCENE.fps)
    movie, images = stages.foreground(prepared)
    model = calcium_lightning.load_model(device="cpu")
    localizations = stages.detect(movie, model, prepared.fps)
    table = localizations.table()
    synthesis(frames, movie, table)
    gathering(frames, movie, table, stages.gather(localizations, prepared.fps))
    twins(movie, model, prepared, images)
    trust()
    results(calcium_lightning.extract(frames, fps=SCENE.fps, cell_diameter=10, detector=model), scene.truth)


if __name__ == "__main__":
    main()
