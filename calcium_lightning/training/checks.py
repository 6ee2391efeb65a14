"""Whether parts fit together, before any data are read: each is tried once on two windows of noise.

Knows what a network's parts and a loss take and give; nothing of what they mean. Nothing that is trained is
touched: the parts that are tried are built anew, from the settings that a checkpoint keeps, so that it can be
loaded later.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

import torch
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.parts import describe
from calcium_lightning.nn.checkpoint import check_contents
from calcium_lightning.nn.coordinates import CoordinateMaps, Coordinates, top_coordinates
from calcium_lightning.nn.network import PARTS, LocalizationNetwork, Prediction
from calcium_lightning.nn.windows import Labels, WindowBatch, WindowSettings
from calcium_lightning.training.losses import LossTerms

#: height and width of the windows: fields come in every size, and this is no multiple of anything
SIZE = (27, 35)
COUNT = 2
#: how each part is called
CALLS = {
    "encoder": "forward(windows, extent=None)",
    "head": "forward(features)",
    "background": "forward(features)",
    "decoder": "forward(coordinates, size)",
    "loss": "forward(network, prediction, batch, step, gather=None)",
}
#: shapes of a batch's tensors; B windows
BATCH = {
    "windows": "(B, taps, h, w)",
    "target": "(B, h, w)",
    "extent": "(B, 4)",
    "session": "(B,)",
    "frame": "(B,)",
}


def check_model(
    network: LocalizationNetwork,
    loss: nn.Module,
    window: WindowSettings,
    labels: bool = False,
    monitors: Mapping[str, str] | None = None,
    others: Iterable[str] = (),
) -> None:
    """Try a network's parts and a loss on noise.

    Parameters
    ----------
    network : LocalizationNetwork
        The one that will be trained; a second one is built of its architecture.
    loss : nn.Module
        One that will not be trained.
    window : WindowSettings
        What the network looks at.
    labels : bool
        Batches hold labels.
    monitors : mapping of str to str, optional
        Keys of the config, and the figures that they go by.
    others : iterable of str
        Figures that don't come from the loss.

    Raises
    ------
    InputError
        Naming the part, what it gave and what is wanted.
    """
    with torch.random.fork_rng(devices=[]):  # the training's own random numbers stay as they are
        torch.manual_seed(0)
        fresh = _rebuilt(network)
        _check_loadable(fresh, loss, window)
        batch = _batch(window.taps, labels)
        prediction = check_network(fresh, batch)
        terms = check_loss(loss, fresh, prediction, batch)
    figures = {f"{stage}/{name}" for stage in ("train", "val") for name in ("loss", *terms.parts)}
    for key, monitor in (monitors or {}).items():
        if monitor not in {*figures, *others}:
            raise InputError(
                f"{key}={monitor}: {_name(loss)} gives no such figure; there are {', '.join(sorted(figures))}"
            )


def _rebuilt(network: LocalizationNetwork) -> LocalizationNetwork:
    """The same network from what a checkpoint will keep of it."""
    try:
        fresh = LocalizationNetwork.from_architecture(network.architecture)
    except InputError as error:
        raise InputError(str(error).replace("the checkpoint's ", "")) from error
    except Exception as error:  # whatever a stranger's code raises
        raise InputError(f"its settings don't build the network again ({describe(error)})") from error
    for name, value in network.state_dict().items():
        if nn.parameter.is_lazy(value):
            raise InputError(
                f"{name.partition('.')[0]}: {name} has no shape before the first batch, so a checkpoint "
                "couldn't be loaded; give a module its sizes (nn.Conv2d, not nn.LazyConv2d)"
            )
    ours, theirs = ({name: value.shape for name, value in n.state_dict().items()} for n in (network, fresh))
    wrong = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if wrong:
        raise InputError(
            f"{wrong[0].partition('.')[0]}: its settings don't build the same again, so a checkpoint "
            f"couldn't be loaded ({len(wrong)} tensors differ, the first is {wrong[0]})"
        )
    return fresh


def _check_loadable(network: LocalizationNetwork, loss: nn.Module, window: WindowSettings) -> None:
    """Refuse now what would be refused of every checkpoint of the training."""
    state = {**network.state_dict(), **{f"loss.{name}": value for name, value in loss.state_dict().items()}}
    check_contents(
        state,
        network.architecture,
        asdict(window),
        "no checkpoint of this could be loaded",
        "a constant is kept out of checkpoints by register_buffer(..., persistent=False)",
    )


def check_network(network: LocalizationNetwork, batch: WindowBatch) -> Prediction:
    """Try each part of a network on a batch; the prediction.

    Raises
    ------
    InputError
        Naming the part.
    """
    count, _, height, width = batch.windows.shape
    for part in PARTS:
        _check_call(part, getattr(network, part))
    with _tried("encoder", network.encoder, f"windows {tuple(batch.windows.shape)}"):
        features = network.encoder(batch.windows, batch.extent)
    if (
        not isinstance(features, Tensor)
        or features.ndim != 4
        or _shape(features, 1) != (count, height, width)
    ):
        raise InputError(
            f"encoder: {_name(network.encoder)} gives {_given(features)} for windows "
            f"{tuple(batch.windows.shape)}; features ({count}, C, {height}, {width}) are wanted, for windows "
            "of any height and width"
        )
    of = f"features {tuple(features.shape)}"
    with _tried("head", network.head, of):
        maps = network.head(features)
    if not isinstance(maps, CoordinateMaps) or _shape(maps.raw, 1) != (count, height, width):
        raise InputError(
            f"head: {_name(network.head)} gives {_given(maps)} for {of}; "
            "CoordinateMaps of that size are wanted"
        )
    with _tried("background", network.background, of):
        background = network.background(features)
    _check_picture("background", network.background, background, (count, height, width), of)
    coordinates = top_coordinates(maps, 16)
    with _tried("decoder", network.decoder, f"16 coordinates and the size ({height}, {width})"):
        picture = network.decoder(coordinates, (height, width))
    _check_picture("decoder", network.decoder, picture, (count, height, width), "coordinates")
    return Prediction(maps, background)


def check_loss(
    loss: nn.Module, network: LocalizationNetwork, prediction: Prediction, batch: WindowBatch
) -> LossTerms:
    """Try a loss on a prediction; what it gives.

    Raises
    ------
    InputError
        If it fails, gives something else than :class:`LossTerms`, or has no gradient.
    """
    name = f"loss: {_name(loss)}"
    _check_call("loss", loss)
    with _tried("loss", loss, f"a batch of {len(batch)} windows"):
        terms = loss(network, prediction, batch, 0, None)
    if not isinstance(terms, LossTerms):
        raise InputError(f"{name} gives {_given(terms)}; LossTerms(total, parts) are wanted")
    if not isinstance(terms.total, Tensor) or terms.total.numel() != 1:
        raise InputError(f"{name}: total is {_given(terms.total)}; a tensor of one number is wanted")
    if not bool(torch.isfinite(terms.total)):
        raise InputError(f"{name}: total is {float(terms.total)} on noise; a finite number is wanted")
    if not terms.total.requires_grad:
        raise InputError(f"{name}: total has no gradient; it must be computed of the prediction, undetached")
    if not isinstance(terms.parts, Mapping):
        raise InputError(f"{name}: parts is {_given(terms.parts)}; a dict of figures is wanted")
    for key, value in terms.parts.items():
        if not isinstance(value, Tensor | float | int) or (isinstance(value, Tensor) and value.numel() != 1):
            raise InputError(f"{name}: parts[{key!r}] is {_given(value)}; one number is wanted")
    size = tuple(batch.target.shape)
    if terms.reconstruction is not None:
        _check_picture("loss", loss, terms.reconstruction, size, "a batch, as reconstruction")
    if terms.coordinates is not None and not isinstance(terms.coordinates, Coordinates):
        raise InputError(
            f"{name}: coordinates is {_given(terms.coordinates)}; Coordinates or None are wanted"
        )
    with _tried("loss", loss, "the gradient of its total"):
        terms.total.reshape(()).backward()
    if all(parameter.grad is None for parameter in network.parameters()):
        raise InputError(f"{name}: its gradient reaches no parameter of the network")
    return terms


def as_batch(given: Any, taps: int) -> WindowBatch:
    """What a data module gives, as a batch; refused where something is missing or doesn't fit.

    Parameters
    ----------
    given : WindowBatch or mapping
        ``windows`` and ``target`` at least. Without ``extent`` it is whole fields, without ``session`` and
        ``frame`` the first session's first frames.
    taps : int
        Channels of the windows.

    Raises
    ------
    InputError
        Naming the field.
    """
    known = [field.name for field in fields(WindowBatch)]
    if isinstance(given, WindowBatch):
        values = {name: getattr(given, name) for name in known}
    elif isinstance(given, Mapping):
        values = dict(given)
    else:
        raise InputError(f"data: a batch is {_given(given)}; {_wanted()}")
    unknown = set(values) - set(known)
    if unknown or not {"windows", "target"} <= set(values):
        problem = f"has no {' and '.join(sorted({'windows', 'target'} - set(values)))}"
        if unknown:
            problem = f"has an unknown field {sorted(unknown)[0]}"
        raise InputError(f"data: a batch {problem}; {_wanted()}")
    windows = values["windows"]
    if not isinstance(windows, Tensor) or windows.ndim != 4 or not windows.is_floating_point():
        raise InputError(f"data: windows is {_given(windows)}; float (B, taps, h, w) is wanted")
    if windows.shape[1] != taps:
        raise InputError(f"data: windows have {windows.shape[1]} taps, window.taps={taps}")
    count, _, height, width = windows.shape
    if values.get("extent") is None:
        values["extent"] = windows.new_tensor([-1.0, 1.0, -1.0, 1.0]).expand(count, 4)
    if values.get("session") is None:
        values["session"] = torch.zeros(count, dtype=torch.long)
    if values.get("frame") is None:
        values["frame"] = torch.arange(count)
    shapes = {"target": (count, height, width), "extent": (count, 4), "session": (count,), "frame": (count,)}
    for name, shape in shapes.items():
        value = values[name]
        if not isinstance(value, Tensor) or tuple(value.shape) != shape:
            raise InputError(f"data: {name} is {_given(value)}; {BATCH[name]} = {shape} is wanted")
        if value.is_floating_point() != (name in ("target", "extent")):
            kind = "float" if name in ("target", "extent") else "int64"
            raise InputError(f"data: {name} is {value.dtype}; {kind} is wanted")
    if values.get("labels") is not None and not isinstance(values["labels"], Labels):
        raise InputError(f"data: labels is {_given(values['labels'])}; Labels or None are wanted")
    return WindowBatch(**values)


def _wanted() -> str:
    return (
        "it holds windows (B, taps, h, w) and target (B, h, w), and may hold extent, session, frame and "
        "labels"
    )


def _batch(taps: int, labels: bool) -> WindowBatch:
    """Noise, with a label in each frame where they are asked for."""
    height, width = SIZE
    windows = torch.randn(COUNT, taps, height, width)
    place = torch.tensor([height / 3, width / 2]).expand(COUNT, 1, 2)
    lit = torch.ones(COUNT, 1)
    return WindowBatch(
        windows=windows,
        target=windows[:, taps // 2].clone(),
        extent=torch.tensor([-1.0, 1.0, -1.0, 1.0]).expand(COUNT, 4),
        session=torch.zeros(COUNT, dtype=torch.long),
        frame=torch.arange(COUNT),
        labels=Labels(place, 3 * lit, lit > 0) if labels else None,
    )


def _check_call(part: str, module: nn.Module) -> None:
    """Refuse a part that can't be called as it will be."""
    wanted = CALLS[part]
    names = wanted[wanted.index("(") + 1 : -1].split(", ")
    parameters = inspect.signature(module.forward).parameters
    try:
        inspect.signature(module.forward).bind(*names)
    except TypeError as error:
        raise InputError(
            f"{part}: {_name(module)}.forward takes ({', '.join(parameters)}); {wanted} is wanted"
        ) from error


@contextmanager
def _tried(part: str, module: nn.Module, what: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # whatever a stranger's code raises
        raise InputError(f"{part}: {_name(module)} fails on {what} ({describe(error)})") from error


def _check_picture(part: str, module: nn.Module, value: Any, shape: tuple[int, ...], of: str) -> None:
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        raise InputError(f"{part}: {_name(module)} gives {_given(value)} for {of}; {shape} is wanted")


def _shape(value: Tensor, without: int) -> tuple[int, ...]:
    return tuple(value.shape[:without]) + tuple(value.shape[without + 1 :])


def _name(module: Any) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _given(value: Any) -> str:
    """What a value is, in short."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, CoordinateMaps):
        return f"CoordinateMaps {value.size}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
