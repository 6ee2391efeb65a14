"""Localisations of every frame: a detector run over a movie of foreground frames in a stream.

Knows tensors and a detector's output, not where frames come from.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from calcium_lightning.data.windows import WindowSettings, take_windows, window_weights
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.nn.coordinates import CoordinateList, Coordinates
from calcium_lightning.progress import progress


class Detector(Protocol):
    """What finds cells in windows: the network, or the baseline."""

    def localize(
        self, windows: Tensor, extent: Tensor | None = None, threshold: float = 0.3, count: int = 512
    ) -> Coordinates:
        """Cells in the middle frames of windows (B, taps, h, w)."""
        ...


def detect(
    movie: ScratchMovie,
    detector: Detector,
    window: WindowSettings,
    fps: float,
    *,
    threshold: float = 0.3,
    batch: int = 32,
    device: torch.device | str = "cpu",
    half: bool = True,
) -> CoordinateList:
    """Localise cells in every frame of a movie.

    Parameters
    ----------
    movie : ScratchMovie
        Foreground (T, h, w) in units of its noise.
    detector : Detector
        The network or the baseline.
    window : WindowSettings
        What the detector looks at.
    fps : float
        Frame rate, Hz.
    threshold : float
        Least probability of a localisation.
    batch : int
        Frames at a time.
    device : torch.device or str
        Where the detector is.
    half : bool
        Compute in bfloat16 where the processor has it.

    Returns
    -------
    CoordinateList
        On the CPU, ordered by frame; positions in pixels of the movie.
    """
    weights = window_weights(fps, window)
    margin = weights.shape[1] // 2
    kind = torch.device(device).type
    found: list[CoordinateList] = []
    with (
        progress("localising", movie.n_frames) as advance,
        torch.autocast(kind, torch.bfloat16, enabled=half and _has_bfloat16(kind)),
    ):
        for start in range(0, movie.n_frames, batch):
            stop = min(start + batch, movie.n_frames)
            # The first and last frame stand for what was before and after.
            index = torch.arange(start - margin, stop + margin).clamp(0, movie.n_frames - 1)
            low, high = int(index[0]), int(index[-1]) + 1
            frames = movie.read(low, high)[index - low].to(device)
            spots = detector.localize(take_windows(frames, weights.to(device)), None, threshold)
            found.append(spots.to("cpu").to_list(start))
            advance(stop - start)
    return _concatenate(found)


def _has_bfloat16(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_bf16_supported()
    return (
        kind == "cpu"
        and torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def _concatenate(parts: list[CoordinateList]) -> CoordinateList:
    return CoordinateList(
        **{
            name: torch.cat(
                [getattr(part, name).float() if name != "frame" else part.frame for part in parts]
            )
            for name in vars(parts[0])
        }
    )
