"""The network on consecutive frames, on a CPU: the same numbers in fewer passes over memory.

For: detecting in a recording. In the plain network two thirds of a CPU's time go into copies: windows are cut
in float32, padded, joined with their coordinates and turned to channels-last half precision, and the features
are shuffled to full resolution for ten maps of which detection reads a few pixels. Here windows are cut where
the first convolution wants them, the part of the coordinates in it is computed once, features stay packed,
and of the head only the logit is evaluated everywhere. A few frames at a time pass through all layers, so
that they stay in the cache.
Must not know: sessions, files, what becomes of the coordinates.
"""

from __future__ import annotations

from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calcium_lightning.core.device import has_bfloat16
from calcium_lightning.nn.coordconv import CoordConv2d, coordinate_channels, extend_extent
from calcium_lightning.nn.coordinates import Coordinates, find_peaks
from calcium_lightning.nn.encoder import UShapeEncoder
from calcium_lightning.nn.head import CoordinateHead
from calcium_lightning.nn.maps import LOGIT, CoordinateRanges
from calcium_lightning.nn.network import LocalizationNetwork

#: pixels that pass through the network at a time: what a layer reads and writes stays in a core's cache
BATCH_PIXELS = 1 << 17


class StreamedNetwork:
    """A network prepared for one recording.

    Parameters
    ----------
    network : LocalizationNetwork
        One that :func:`can_stream`; later changes of its weights are not seen.
    weights : Tensor, float32 (taps, S)
        How windows are cut from frames (``data.windows.window_weights``).
    size : (int, int)
        Height and width of the frames: the whole field.
    dtype : torch.dtype
        Of the convolutions: bfloat16 where the processor has it, or float32.
    """

    @torch.inference_mode()
    def __init__(
        self,
        network: LocalizationNetwork,
        weights: Tensor,
        size: tuple[int, int],
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        encoder, head = network.encoder, network.head
        assert isinstance(encoder, UShapeEncoder)
        assert isinstance(head, CoordinateHead)
        self.size, self.dtype = size, dtype
        self.ranges = head.ranges
        height, width = (-(-length // encoder.multiple) * encoder.multiple for length in size)
        self.padded = height, width
        self.batch = max(1, BATCH_PIXELS // (height * width))
        self.span = weights.shape[1]
        self.cut = weights.T.to(dtype).contiguous()  # (S, taps)

        stem = encoder.stem.convolution if isinstance(encoder.stem, CoordConv2d) else encoder.stem
        assert isinstance(stem, nn.Conv2d)
        taps = encoder.in_channels
        self.stem = _Convolution(stem.weight[:, :taps], None, 2, dtype)
        start = _bias(stem)[None, :, None, None]
        if encoder.coordinates:
            extent = extend_extent(torch.tensor([[-1.0, 1.0, -1.0, 1.0]]), size, self.padded)
            channels = coordinate_channels(self.padded, extent, radius=stem.in_channels - taps == 3)
            start = F.conv2d(channels, stem.weight[:, taps:], stem.bias, 2, 1)
        #: what the first convolution adds wherever the frames are: bias and coordinates
        start = start.to(dtype).expand(self.batch, -1, self.padded[0] // 2, self.padded[1] // 2)
        self.start = start.contiguous(memory_format=torch.channels_last)

        self.encode, self.down, self.lateral, self.decode = (
            [_Convolution.of(getattr(layer, "convolution", layer), dtype) for layer in layers]
            for layers in (encoder.encode, encoder.down, encoder.lateral, encoder.decode)
        )
        # The pixel shuffle would want the four sub-pixels of a feature side by side; here the features of a
        # sub-pixel are.
        self.channels = encoder.out_channels
        weight, bias = encoder.final.weight, _bias(encoder.final)
        weight = weight.unflatten(0, (self.channels, 4)).transpose(0, 1).flatten(0, 1)
        self.final = _Convolution(weight, bias.view(self.channels, 4).T.flatten(), 1, dtype)
        self.head = (head.output.weight[:, :, 0, 0].float(), _bias(head.output).float())
        self.logit = (
            torch.block_diag(*[self.head[0][LOGIT : LOGIT + 1]] * 4).to(dtype),
            self.head[1][LOGIT].expand(4).to(dtype).contiguous(),
        )

    @torch.inference_mode()
    def localize(
        self, frames: Tensor, threshold: float = 0.3, count: int = 512, stride: int = 1
    ) -> Coordinates:
        """Detect cells in consecutive frames, or in every so-many-th.

        Parameters
        ----------
        frames : Tensor (n + S - 1, h, w)
            The whole field, in units of its noise, with a margin of S // 2 frames on both sides.
        threshold, count
            As in :meth:`~calcium_lightning.nn.network.LocalizationNetwork.localize`.
        stride : int
            Look at frames 0, stride, 2 * stride, … of the n.

        Returns
        -------
        Coordinates
            Of the frames looked at.
        """
        if tuple(frames.shape[1:]) != self.size or len(frames) < self.span:
            raise ValueError(f"frames must be {self.span} or more of {self.size}, not {tuple(frames.shape)}")
        (height, width), (rows, columns) = self.padded, self.size
        # Pixels first: the frames of a window lie side by side, and windows overlap in memory.
        lines = frames.new_zeros(height, width, len(frames), dtype=self.dtype)
        lines[:rows, :columns] = frames.to(self.dtype).permute(1, 2, 0)
        shape, steps = (height * width, self.span), (len(frames), 1)
        centres = range(0, len(frames) - self.span + 1, stride)
        windows = lines.new_empty(self.batch, height * width, self.cut.shape[1])
        found = []
        for some in (centres[i : i + self.batch] for i in range(0, len(centres), self.batch)):
            for window, first in zip(windows, some, strict=False):
                torch.mm(lines.as_strided(shape, steps, first), self.cut, out=window)
            maps = self._maps(windows[: len(some)].unflatten(1, (height, width)).permute(0, 3, 1, 2))
            found.append(find_peaks(maps, threshold, count))
        return Coordinates(
            **{f.name: torch.cat([getattr(part, f.name) for part in found]) for f in fields(Coordinates)}
        )

    def _maps(self, windows: Tensor) -> PackedMaps:
        """Encoder and head on windows (n, taps, h, w)."""
        x = self.encode[0].refine(self.stem.add_relu(windows, self.start[: len(windows)]))
        skips = []
        for down, encode in zip(self.down, self.encode[1:], strict=True):
            skips.append(x)
            x = encode.refine(down.relu(x))
        for lateral, decode in zip(reversed(self.lateral), reversed(self.decode), strict=True):
            up = F.interpolate(lateral(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = decode.refine(up.add_(skips.pop()))
        packed = self.final.relu(x).permute(0, 2, 3, 1)  # (n, h / 2, w / 2, 4 * C)
        logit = F.linear(packed, *self.logit).float()
        features = packed.unflatten(-1, (4, self.channels))
        return PackedMaps(features, logit, self.head, self.ranges, self.size)


class PackedMaps:
    """What :func:`~calcium_lightning.nn.coordinates.find_peaks` asks of maps, computed where it asks.

    Parameters
    ----------
    features : Tensor (B, H / 2, W / 2, 4, C)
        Features of the four pixels of each square.
    logit : Tensor, float32 (B, H / 2, W / 2, 4)
    head : (Tensor, Tensor)
        Weight (10, C) and bias (10,) of the head.
    ranges : CoordinateRanges
    size : (int, int)
        Height and width to which the maps are cut.
    """

    def __init__(
        self,
        features: Tensor,
        logit: Tensor,
        head: tuple[Tensor, Tensor],
        ranges: CoordinateRanges,
        size: tuple[int, int],
    ) -> None:
        self.features, self.head, self.ranges = features, head, ranges
        whole = logit.unflatten(-1, (2, 2)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        self.logit = whole[:, : size[0], : size[1]]

    def rows(self, frame: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Raw numbers (..., 10) of some pixels, float32."""
        return F.linear(self.features[frame, y // 2, x // 2, (y % 2) * 2 + x % 2].float(), *self.head)


class _Convolution:
    """Weights as inference wants them, and no module around them.

    Where oneDNN has the data type, sums and ReLU are done on a layer's result before it leaves the cache
    (the operators that Torch's own compiler uses); elsewhere, after it.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: int, dtype: torch.dtype) -> None:
        self.weight = weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.stride, self.padding = stride, weight.shape[-1] // 2
        fuses = has_bfloat16("cpu") and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        self.fused = dtype == torch.bfloat16 and fuses
        self._place = [self.padding] * 2, [self.stride] * 2, [1, 1], 1

    @classmethod
    def of(cls, layer: nn.Module, dtype: torch.dtype) -> _Convolution:
        assert isinstance(layer, nn.Conv2d)
        return cls(layer.weight, layer.bias, layer.stride[0], dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def relu(self, x: Tensor) -> Tensor:
        """``relu(conv(x))``."""
        if not self.fused:
            return self(x).relu_()
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self._place, "relu", [], ""
        )
        return result

    def add_relu(self, x: Tensor, other: Tensor) -> Tensor:
        """``relu(other + conv(x))``."""
        if not self.fused:
            return self(x).add_(other).relu_()
        result: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            x, other, self.weight, self.bias, *self._place, "add", 1.0, "relu", [], ""
        )
        return result

    def refine(self, x: Tensor) -> Tensor:
        """``relu(x + conv(x))``: a residual block."""
        return self.add_relu(x, x)


def can_stream(network: LocalizationNetwork) -> bool:
    """Whether :class:`StreamedNetwork` knows a network's parts: the default's, whatever their widths."""
    return (
        type(network.encoder) is UShapeEncoder
        and network.encoder.upsampling == "shuffle"
        and type(network.head) is CoordinateHead
        and network.head.hidden is None
        and next(network.parameters()).device.type == "cpu"
    )


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
