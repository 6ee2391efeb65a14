"""From cells files to rows of the table, and the overlay pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from calcium_lightning.core.cells import Cells
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.metrics.coordinates import Visited, coordinate_figures, visited_pixels
from calcium_lightning.replications.teng2021.extract import BATCH, load_published

Figures = dict[str, float]


def score_published(path: Path, checkpoint: Path, mask: np.ndarray) -> tuple[Figures, Visited]:
    """The published evaluation of ``extract checkpoint=`` of model=published."""
    cells = read_cells(path)
    localizations = cells.localizations
    first = np.asarray(localizations.frame) % BATCH == 0
    place = _in_mask(
        np.stack([np.asarray(localizations.y)[first], np.asarray(localizations.x)[first]], 1), cells, mask
    )
    batches = len(np.unique(np.asarray(localizations.frame)[first]))
    visited = visited_pixels(place.reshape(batches, -1, 2), len(mask))
    network = load_published(checkpoint)
    start = (network.start.numpy() + 0.5) * len(mask) / network.size - 0.5
    return coordinate_figures(visited, start, mask), visited


def score_cells(path: Path, mask: np.ndarray) -> tuple[Figures, Visited]:
    """The same figures for the accepted cells of any other model: each cell is a pixel of its own."""
    cells = read_cells(path)
    centers = np.asarray(cells.centers)[np.asarray(cells.accepted, bool)]
    visited = _each(_in_mask(centers, cells, mask))
    figures = coordinate_figures(visited, visited.pixels, mask)
    return {
        name: value for name, value in figures.items() if not name.startswith(("start", "improve"))
    }, visited


def score_pictures(painted: np.ndarray, mask: np.ndarray) -> tuple[Figures, Visited]:
    """The paper's own coordinates, as its pictures show them (the mask under them had to be guessed)."""
    from skimage.measure import label

    pixels = np.argwhere(painted)
    owner = label(painted, connectivity=2)[tuple(pixels.T)] - 1  # pixels that touch are one coordinate's
    visited = Visited(pixels, np.ones(len(pixels), np.float32), owner)
    figures = coordinate_figures(visited, pixels, mask)
    return {
        name: value for name, value in figures.items() if not name.startswith(("start", "improve"))
    }, visited


def _in_mask(places: np.ndarray, cells: Cells, mask: np.ndarray) -> np.ndarray:
    return (places + 0.5) * np.array(mask.shape) / np.array(cells.frame_shape) - 0.5


def _each(places: np.ndarray) -> Visited:
    pixels = np.clip(np.rint(places).astype(int), 0, 10**6)
    return Visited(pixels, np.ones(len(pixels), np.float32), np.arange(len(pixels)))


def overlay(path: Path, mask: np.ndarray, panels: dict[str, Visited]) -> None:
    """Mask white, coordinates red, as the paper drew them; one panel per method."""
    from matplotlib.image import imsave

    images = []
    for visited in panels.values():
        image = np.repeat(np.where(mask, 255, 0)[..., None], 3, 2).astype(np.uint8)
        y, x = np.clip(visited.pixels, 0, np.array(mask.shape) - 1).T
        image[y, x] = (255, 0, 0)
        images.append(np.pad(image.repeat(4, 0).repeat(4, 1), ((0, 0), (4, 4), (0, 0)), constant_values=128))
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, np.concatenate(images, 1))


def introspect(checkpoint: Path, session: Path, picture: Path, frames: int = 48) -> Figures:
    """Reconstruction from reduced latents, drawn; each coordinate's share, as figures."""
    from calcium_lightning.io.session import Session
    from calcium_lightning.replications.teng2021.data import load_frames
    from calcium_lightning.replications.teng2021.introspection import draw, leave_one_out, reduced_latents

    network = load_published(checkpoint)
    with Session(session) as opened:
        every = load_frames(opened, network.size)
    chosen = every[torch.linspace(0, len(every) - 1, frames).round().long()].float()
    results = reduced_latents(network, chosen)
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(chosen, results).savefig(picture)  # type: ignore[attr-defined]
    shares = leave_one_out(network, chosen).sort(descending=True).values
    figures = {f"{part.order}, {part.dropped}": part.error for part in results}
    return figures | {
        "variance": float((chosen - chosen.mean(0)).square().mean()),
        "leave-one-out, largest": float(shares[0]),
        "leave-one-out, median": float(shares.median()),
        "coordinates that help": float((shares > 0).sum()),
    }
