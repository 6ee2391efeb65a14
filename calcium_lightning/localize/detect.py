"""Localisations of every frame: a detector run over a movie of foreground frames in a stream.

Knows tensors and a detector's output, not where frames come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from calcium_lightning.core.background import ahead
from calcium_lightning.core.device import has_bfloat16, upload
from calcium_lightning.core.pieces import in_order
from calcium_lightning.core.progress import progress
from calcium_lightning.nn.coordinates import Coordinates, LocalizationBatch
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.streamed import StreamedNetwork, can_stream
from calcium_lightning.nn.windows import WindowSettings, take_windows, window_weights

#: first frame, and the one after the last
Span = tuple[int, int]


class Movie(Protocol):
    """Foreground (T, h, w) in units of its noise, read in pieces."""

    size: tuple[int, int]
    n_frames: int

    def read(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop), float32 (n, h, w)."""
        ...


class Detector(Protocol):
    """What finds cells in windows: the network, or the baseline."""

    def localize(
        self, windows: Tensor, extent: Tensor | None = None, threshold: float = 0.3, count: int = 512
    ) -> Coordinates:
        """Cells in the middle frames of windows (B, taps, h, w)."""
        ...


def detect(
    movie: Movie,
    detector: Detector,
    window: WindowSettings,
    fps: float,
    *,
    threshold: float = 0.3,
    batch: int = 32,
    stride: int = 1,
    device: torch.device | str = "cpu",
    half: bool = True,
) -> Iterator[LocalizationBatch]:
    """Localise cells in the frames of a movie.

    Parameters
    ----------
    movie : Movie
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
        Frames that are read at a time, about.
    stride : int
        Look at every so-many-th frame (its window shows the ones between).
    device : torch.device or str
        Where the detector is.
    half : bool
        Compute in bfloat16 where the processor has it.

    Yields
    ------
    LocalizationBatch
        Of a batch of frames, on the CPU, ordered by frame; positions in pixels of the movie.
    """
    weights = window_weights(fps, window)
    margin = weights.shape[1] // 2
    localize = _localizer(detector, weights, movie.size, threshold, stride, torch.device(device), half)
    step = max(1, batch // stride) * stride
    with progress("localising", movie.n_frames) as advance:
        spans = [(start, min(start + step, movie.n_frames)) for start in range(0, movie.n_frames, step)]

        def read(span: tuple[int, int]) -> Tensor:
            low, high = max(0, span[0] - margin), min(span[1] + margin, movie.n_frames)
            frames = movie.read(low, high)
            if high - low < span[1] - span[0] + 2 * margin:
                # The first and last frame stand for what was before and after.
                index = torch.arange(span[0] - margin, span[1] + margin).clamp(0, movie.n_frames - 1)
                frames = frames[index - low]
            return upload(frames, device)

        def find(frames: Tensor) -> LocalizationBatch:
            return localize(frames).to("cpu").to_list()

        # While a graphics card looks at some frames, the next are read; a CPU's cores have some frames each.
        parts: Iterator[LocalizationBatch]
        if torch.device(device).type == "cuda":
            parts = map(find, ahead(map(read, spans)))
        else:
            parts = in_order(lambda span: find(read(span)), spans)
        for (start, stop), found in zip(spans, parts, strict=True):
            found.frame = start + stride * found.frame
            yield found
            advance(stop - start)


def _localizer(
    detector: Detector,
    weights: Tensor,
    size: tuple[int, int],
    threshold: float,
    stride: int,
    device: torch.device,
    half: bool,
) -> Callable[[Tensor], Coordinates]:
    """How cells are found in frames with their margin, in every ``stride``-th: the fastest way there is."""
    half = half and has_bfloat16(device.type)
    if device.type == "cpu" and isinstance(detector, LocalizationNetwork) and can_stream(detector):
        network = StreamedNetwork(detector, weights, size, torch.bfloat16 if half else torch.float32)
        return lambda frames: network.localize(frames, threshold, stride=stride)

    weights = weights.to(device)

    def localize(frames: Tensor) -> Coordinates:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return detector.localize(take_windows(frames, weights)[::stride], None, threshold)

    return localize
