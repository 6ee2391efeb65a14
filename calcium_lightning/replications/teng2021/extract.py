"""From a session to the published system's "cells": pixels that held a coordinate in some batch.

The coordinates go on learning while a session passes by once, the network doesn't; each distinct pixel that
one of them stood on counts as a cell, as in the published evaluation. Knows sessions, cells and the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack
from torch import Tensor

from calcium_lightning.core.cells import Cells, Localizations
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import track
from calcium_lightning.core.scale import MAD_TO_STD
from calcium_lightning.io.origin import package_stamp
from calcium_lightning.io.session import Session
from calcium_lightning.nn.checkpoint import read_weights
from calcium_lightning.replications.teng2021.network import PublishedNetwork
from calcium_lightning.replications.teng2021.parts import KIND

if TYPE_CHECKING:
    from calcium_lightning.metrics.coordinates import Visited

#: frames of a batch, and the rate of the coordinates' optimiser (Adam), as published
BATCH, RATE = 8, 0.1
#: footprints and frames that are computed at a time
CHUNK = 64
#: share of a footprint's peak that is left out
LEAST = 0.02


def load_published(checkpoint: Path | str) -> PublishedNetwork:
    """Build the network of a checkpoint of ``model=published``, in evaluation mode.

    Raises
    ------
    InputError
        If it is missing, damaged, or of another model.
    """
    weights = read_weights(checkpoint, "checkpoint")
    if KIND not in weights.architecture:
        raise InputError(f"checkpoint={checkpoint}: not of model=published")
    try:
        network = PublishedNetwork.from_architecture(weights.architecture)
        network.load_state_dict(weights.state)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"checkpoint={checkpoint}: its weights don't fit its architecture ({str(error).splitlines()[0]})"
        ) from error
    return network.eval()


def follow(network: PublishedNetwork, frames: Tensor, batch: int = BATCH, rate: float = RATE) -> Tensor:
    """Where the coordinates are while a session passes by once.

    Parameters
    ----------
    network : PublishedNetwork
        Its coordinates come back to where they were.
    frames : Tensor, float (T, h, w)
        In order.
    batch : int
        Frames per step.
    rate : float
        Of the coordinates' optimiser, along the global loss; 0 lets them stand.

    Returns
    -------
    Tensor, float32 (batches, N, 2)
        (y, x) in each batch, pixels of the network's frames.
    """
    trained = network.positions.detach().clone()
    device = trained.device
    optimizer = torch.optim.Adam([network.positions], lr=rate)
    places = []
    try:
        for start in track(range(0, len(frames), batch), "following", unit="batches"):
            places.append(network.positions.detach().clone())
            if not rate:
                continue
            part = frames[start : start + batch].to(device).float()
            with torch.no_grad():
                logits = network.encode(part[:, None])
            loss = (network.read(logits).reconstruction.float() - part).square().mean()
            network.positions.grad = torch.autograd.grad(loss, network.positions)[0]
            optimizer.step()
            network.clip()
    finally:
        network.positions.grad = None
        with torch.no_grad():
            network.positions.copy_(trained)
    return torch.stack(places).float().cpu()


class CoordinateDetector:
    """A trained network as ``extract`` uses it: it makes cells of a whole session by a way of its own.

    Parameters
    ----------
    network : PublishedNetwork
        Trained.
    """

    def __init__(self, network: PublishedNetwork) -> None:
        self.network = network

    def to(self, device: torch.device) -> CoordinateDetector:
        """Move the network."""
        self.network.to(device)
        return self

    def find_cells(
        self,
        session: Session,
        *,
        fps: float | None = None,
        pixel_size_um: float | None = None,
        config: str = "",
    ) -> Cells:
        """See :func:`coordinate_cells`."""
        return coordinate_cells(session, self.network, fps=fps, pixel_size_um=pixel_size_um, config=config)

    def summary(self, cells: Cells) -> str:
        """What came out, in a line."""
        return f"{len(cells)} pixels held a coordinate, {cells.n_frames} frames"


def coordinate_cells(
    session: Session,
    network: PublishedNetwork,
    *,
    fps: float | None = None,
    pixel_size_um: float | None = None,
    config: str = "",
) -> Cells:
    """The published coordinates as cells of a session.

    Centres are pixels of the network's field, brought to the session's. Footprints are the painter's dots,
    traces the similarity of each frame with them (0 to 1, less their minimum); nothing is denoised or
    deconvolved. ``quality/score`` is the share of batches in which a coordinate stood there. All are
    accepted.

    Parameters
    ----------
    session : Session
        Motion corrected.
    network : PublishedNetwork
        Trained.
    fps, pixel_size_um : float, optional
        In place of the session's.
    config : str
        Kept in the result (YAML).
    """
    # Lightning and torchmetrics take two seconds to import: every extraction comes by here.
    from calcium_lightning.metrics.coordinates import visited_pixels
    from calcium_lightning.replications.teng2021.data import load_frames

    frames = load_frames(session, network.size)
    tracks = follow(network, frames)
    visited = visited_pixels(tracks.numpy(), network.size)
    factor = np.array(session.shape[1:]) / network.size
    similarity, own = _similarity(network, frames, visited, tracks)
    least = similarity.min(1, keepdims=True)
    traces = similarity - least
    step = np.abs(np.diff(traces, axis=1))
    noise = np.median(step, 1) * MAD_TO_STD / 2**0.5 if step.shape[1] else 1.0
    mean, largest = _images(session)
    count, rate = len(visited.pixels), fps or session.fps
    timestamps = session.timestamps
    return Cells(
        centers=_to_session(visited.pixels, factor),
        center_std=np.tile(factor / 12**0.5, (count, 1)).astype(np.float32),
        footprints=_footprints(network, visited.pixels, session.shape[1:]),
        frame_shape=session.shape[1:],
        traces=traces,
        denoised=traces,
        spikes=np.zeros_like(traces),
        accepted=np.ones(count, bool),
        quality={
            "snr": (traces.max(1) / np.maximum(noise, 1e-9)).astype(np.float32),
            "score": visited.share,
        },
        shifts=np.zeros((session.n_frames, 2), np.float32),
        baseline=least[:, 0],
        mean_image=mean,
        max_image=largest,
        timestamps=timestamps
        if timestamps is not None and fps is None
        else np.arange(session.n_frames) / rate,
        localizations=_localizations(tracks.numpy(), own, visited, factor, network.size),
        session=str(session.path),
        session_sha256=session.sha256(),
        about=session.about,
        fps=rate,
        kind=session.kind,
        pixel_size_um=pixel_size_um or session.pixel_size_um,
        config=config,
        package_version=package_stamp(),
    )


def _to_session(pixels: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """From pixels of the network's field to the session's; (0, 0) is the centre of a pixel in both."""
    return ((pixels + 0.5) * factor - 0.5).astype(np.float32)


@torch.no_grad()
def _similarity(
    network: PublishedNetwork, frames: Tensor, visited: Visited, tracks: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of every frame with a dot at every visited pixel (K, T), and with each coordinate (T, N)."""
    device, size = network.positions.device, (network.size, network.size)
    places = torch.from_numpy(visited.pixels).float().to(device)
    still = torch.cat([network.painter(part, size).flatten(1) for part in places.split(CHUNK)])
    columns, own = [], []
    for number, start in enumerate(range(0, len(frames), BATCH)):
        lit = torch.sigmoid(network.encode(frames[start : start + BATCH, None].to(device).float())).flatten(1)
        moving = network.painter(tracks[number].to(device), size).flatten(1)
        columns.append((still @ lit.T).cpu())
        own.append((lit @ moving.T).cpu())
    return torch.cat(columns, 1).numpy(), torch.cat(own).numpy()


@torch.no_grad()
def _footprints(network: PublishedNetwork, pixels: np.ndarray, field: tuple[int, int]) -> csr_matrix:
    """Dots at the visited pixels, at the session's scale, each with a peak of 1, (K, H * W)."""
    size = (network.size, network.size)
    places = torch.from_numpy(pixels).float().to(network.positions.device)
    rows = []
    for part in places.split(CHUNK):
        dots = torch.nn.functional.interpolate(
            network.painter(part, size)[:, None], size=field, mode="bilinear", align_corners=False
        )[:, 0].flatten(1)
        dots = dots / dots.amax(1, keepdim=True).clamp_min(1e-12)
        rows.append(csr_matrix(torch.where(dots > LEAST, dots, 0).cpu().numpy()))
    return vstack(rows, format="csr").astype(np.float32)


def _localizations(
    tracks: np.ndarray, similarity: np.ndarray, visited: Visited, factor: np.ndarray, size: int
) -> Localizations:
    """Every coordinate in every frame."""
    length, count = similarity.shape
    place = tracks[np.arange(length) // BATCH].reshape(-1, 2)
    pixel = np.clip(np.rint(place).astype(np.int64), 0, size - 1)
    known = visited.pixels[:, 0] * size + visited.pixels[:, 1]
    position = _to_session(place, factor)
    spread = (factor / 12**0.5).astype(np.float32)
    return Localizations(
        frame=np.repeat(np.arange(length, dtype=np.int32), count),
        y=position[:, 0],
        x=position[:, 1],
        amplitude=similarity.ravel().astype(np.float32),
        y_std=np.full(length * count, spread[0]),
        x_std=np.full(length * count, spread[1]),
        cell=np.searchsorted(known, pixel[:, 0] * size + pixel[:, 1]).astype(np.int32),
    )


def _images(session: Session) -> tuple[np.ndarray, np.ndarray]:
    total = np.zeros(session.shape[1:], np.float64)
    largest = np.full(session.shape[1:], -np.inf, np.float32)
    for _, frames in session.chunks(CHUNK):
        total += frames.sum(0, dtype=np.float64)
        np.maximum(largest, frames.max(0), out=largest)
    return (total / session.n_frames).astype(np.float32), largest
