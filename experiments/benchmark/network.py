"""The network's cases: detection and a step of training, for sessions of two sizes.

The reference is matrix products of as many operations: what the processor sustains where nothing else is to
be done. The network has the shape of the one that ships and random weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from flops import counted
from timing import Case

from calcium_lightning.localize.detect import has_bfloat16
from calcium_lightning.nn.background import NoBackground
from calcium_lightning.nn.encoder import UShapeEncoder
from calcium_lightning.nn.head import CoordinateHead
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.splat import SplatDecoder
from calcium_lightning.nn.streamed import StreamedNetwork
from calcium_lightning.nn.windows import WindowBatch, WindowSettings, take_windows, window_weights
from calcium_lightning.training.losses import EvidenceLoss

FPS, WINDOW = 20.0, WindowSettings(taps=11)
#: session pixels and network pixels of a field of 12.6-pixel cells
FIELDS = ((256, 122), (600, 286))
#: side of the reference's matrices
SIDE = 1024


def network_cases() -> Iterator[Case]:
    """Detection in bfloat16 and float32, and steps of training."""
    for session, side in FIELDS:
        for dtype in (torch.bfloat16, torch.float32):
            if dtype != torch.bfloat16 or has_bfloat16("cpu"):
                yield _detection(session, side, dtype)
        yield _training(session, side)


def _detection(session: int, side: int, dtype: torch.dtype) -> Case:
    network = _network()
    weights = window_weights(FPS, WINDOW)
    count = 32 if side < 200 else 8
    frames = torch.randn(count + weights.shape[1] - 1, side, side)
    streamed = StreamedNetwork(network, weights, (side, side), dtype)
    windows = take_windows(frames, weights)
    with torch.inference_mode():
        operations = counted(lambda: network.head(network.encoder(windows[:1])))[1] * count
    name = str(dtype).removeprefix("torch.")
    return Case(
        f"detection, {session}x{session} ({side}x{side} network pixels), {name}, frames to coordinates",
        f"{SIDE}x{SIDE} matrix products of as many FLOP ({operations / count / 1e6:.0f} M per frame)",
        lambda: streamed.localize(frames),
        _products(operations, dtype),
        count,
        "frames/s",
    )


def _training(session: int, side: int) -> Case:
    """Whole fields: a crop costs its share of the pixels."""
    network = _network().train()
    loss = EvidenceLoss()
    optimizer = torch.optim.AdamW(network.parameters())
    weights = window_weights(FPS, WINDOW)
    count = 4 if side < 200 else 1
    frames = torch.randn(count + weights.shape[1] - 1, side, side)
    margin = weights.shape[1] // 2
    batch = WindowBatch(
        take_windows(frames, weights),
        frames[margin : margin + count],
        torch.tensor([[-1.0, 1.0, -1.0, 1.0]]).expand(count, -1),
        torch.zeros(count, dtype=torch.long),
        torch.arange(count),
    )

    def step() -> None:
        optimizer.zero_grad()
        prediction = network(batch.windows, batch.extent)
        loss(network, prediction, batch, 1000).total.backward()
        optimizer.step()

    return Case(
        f"step of training, {session}x{session} ({side}x{side} network pixels), float32, with the loss",
        f"{SIDE}x{SIDE} matrix products of as many FLOP",
        step,
        _products(counted(step)[1], torch.float32),
        count,
        "frames/s",
    )


def _network() -> LocalizationNetwork:
    torch.manual_seed(0)
    encoder = UShapeEncoder(WINDOW.taps)
    head = CoordinateHead(encoder.out_channels)
    return LocalizationNetwork(encoder, head, NoBackground(), SplatDecoder()).eval()


def _products(operations: int, dtype: torch.dtype) -> Callable[[], None]:
    one, two = torch.randn(SIDE, SIDE).to(dtype), torch.randn(SIDE, SIDE).to(dtype)
    products = operations / (2 * SIDE**3)
    rows = round(SIDE * (products % 1))

    def multiply() -> None:
        for _ in range(int(products)):
            one @ two
        if rows:
            one[:rows] @ two

    return multiply
