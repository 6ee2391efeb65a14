"""Networks from files and to files: checkpoints of a training, and weights alone.

Files are data: a checkpoint is read with ``weights_only`` and may name known parts only, and safetensors hold
nothing but numbers and text. Knows the network, and nothing of trainings.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.parts import PACKAGE, targets_of
from calcium_lightning.core.reading import reading
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.parts import current_architecture
from calcium_lightning.nn.windows import WindowSettings

FORMAT, VERSION = "calcium-lightning-model", 1
#: prefix of the network's weights among a LightningModule's
NETWORK = "network."
#: what to do about a file that can't be read
ADVICE = "not a checkpoint, or damaged: copy it again"
#: settings may be so large whatever the weights are, and nested so deeply
LEAST_WIDTH, DEEPEST = 1024, 12
#: the weights that ship with the package
DEFAULT = Path(__file__).resolve().parent.parent / "weights" / "default.safetensors"


def read_checkpoint(path: Path | str, key: str = "checkpoint") -> dict[str, Any]:
    """Read a training's checkpoint.

    Parameters
    ----------
    path : path-like
        The file.
    key : str
        What the user calls it, for the message.

    Raises
    ------
    InputError
        If it is missing, damaged, or not a checkpoint of ours.
    """
    path = Path(path)
    where = f"{key}={path}"
    if not path.is_file():
        raise InputError(f"{where}: no such file")
    with warnings.catch_warnings(), reading(where, advice=ADVICE):
        warnings.simplefilter("ignore")
        try:
            _check_sums(path)
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, LookupError, BadZipFile, UnpicklingError) as error:
            raise InputError(f"{where}: not a checkpoint, or damaged ({_said(error)})") from error
    if (
        not isinstance(checkpoint, dict)
        or checkpoint.get("format") != FORMAT
        or not {"state_dict", "architecture", "window"} <= set(checkpoint)
    ):
        raise InputError(f"{where}: a checkpoint, but not of calcium_lightning.train")
    _check_version(checkpoint.get("format_version", 0), where)
    check_contents(checkpoint["state_dict"], checkpoint["architecture"], checkpoint["window"], where)
    checkpoint["architecture"] = current_architecture(checkpoint["architecture"])
    return checkpoint


def _said(error: Exception) -> str:
    """What Torch says of a file, without its advice to load whatever is in it."""
    if found := re.search(r"GLOBAL (\S+) was not an allowed global", str(error)):
        return f"it holds Python objects, {found[1]}; none is loaded"
    if isinstance(error, UnpicklingError | LookupError):
        return "no archive of tensors"
    return " ".join((str(error).splitlines() or [type(error).__name__])[0].split())[:120]


def _check_sums(path: Path) -> None:
    """Compare the checksums of an archive, which Torch doesn't: a flipped bit is no weight."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            bad = archive.testzip()
        if bad is not None:
            raise BadZipFile(f"{bad} is not what was written")


def check_contents(
    state: Any,
    architecture: Any,
    window: Any,
    where: str,
    because: str = "its training diverged, or it is damaged",
) -> None:
    """Refuse weights that are none, and settings that declare more than is stored.

    An own part, which only the user makes known, may hold infinite constants (a mask), and what its numbers
    mean is its own business.

    Parameters
    ----------
    state, architecture, window : mapping
        A network's, or what a file has in their places.
    where : str
        What they are of, for the message.
    because : str
        Why a weight is none.

    Raises
    ------
    InputError
        After ``where``.
    """
    if (
        not isinstance(state, Mapping)
        or not isinstance(architecture, Mapping)
        or not isinstance(window, Mapping)
    ):
        raise InputError(f"{where}: damaged: its weights, architecture and window are no mappings")
    try:
        WindowSettings(**window)
    except (TypeError, InputError) as error:
        raise InputError(f"{where}: damaged: its window is none ({error})") from error
    if not all(isinstance(part, Mapping) for part in architecture.values()):
        raise InputError(f"{where}: damaged: a part of its architecture has no settings")
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{where}: damaged: {name} is no tensor")
        settings = architecture.get(name.removeprefix(NETWORK).partition(".")[0])
        own = settings is None or not all(map(_is_ours, targets_of(settings)))
        if value.is_floating_point() and not (~value.isnan() if own else value.isfinite()).all():
            raise InputError(f"{where}: {name} holds NaN or infinite weights: {because}")
    widest = max([LEAST_WIDTH, *(size for value in state.values() for size in value.shape)])
    for name, number in _numbers(architecture):
        if not -widest <= number <= widest:
            raise InputError(f"{where}: its architecture says {name}={number}, its weights are {widest} wide")


def _numbers(node: Any, prefix: str = "", depth: int = 0, ours: bool = True) -> Iterator[tuple[str, float]]:
    """All numbers in settings of the package's and Torch's parts, and lengths of lists, by their names."""
    if depth > DEEPEST:
        raise InputError(f"{prefix[:80]}: an architecture that is nested too deeply")
    if isinstance(node, Mapping):
        ours = _is_ours(node["_target_"]) if isinstance(node.get("_target_"), str) else ours
        for key, value in node.items():
            yield from _numbers(value, f"{prefix}.{key}".lstrip("."), depth + 1, ours)
    elif isinstance(node, list | tuple):
        if ours:
            yield f"{prefix} (its length)", 10 * len(node)
        for value in node:
            yield from _numbers(value, prefix, depth + 1, ours)
    elif isinstance(node, int | float) and ours:
        yield prefix, node


def _is_ours(target: str) -> bool:
    """Whether a part is one that anybody's file may name, or Torch's, rather than the user's own."""
    return target.partition(".")[0] in (PACKAGE, "torch")


@dataclass(frozen=True)
class Weights:
    """A network's weights and what they are for.

    Attributes
    ----------
    state : dict of str to Tensor
        The network's state.
    architecture : dict
        Plain settings of each part.
    window : dict
        What it looks at; see :class:`~calcium_lightning.nn.windows.WindowSettings`.
    """

    state: dict[str, torch.Tensor]
    architecture: dict[str, Any]
    window: dict[str, Any]


def read_weights(path: Path | str, key: str = "weights") -> Weights:
    """Read the weights of a checkpoint (.ckpt) or of a weights file (.safetensors).

    Raises
    ------
    InputError
        If the file is missing, damaged, or not ours.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path, key)
    checkpoint = read_checkpoint(path, key)
    state = {
        name.removeprefix(NETWORK): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(NETWORK)
    }
    return Weights(state, checkpoint["architecture"], checkpoint["window"])


def load_network(
    path: Path | str | None = None, key: str = "checkpoint"
) -> tuple[LocalizationNetwork, WindowSettings]:
    """Build the network of a file, ready to localise.

    Parameters
    ----------
    path : path-like, optional
        A checkpoint (.ckpt) or weights (.safetensors); default the weights in the package.
    key : str
        What the user calls it, for the message.

    Returns
    -------
    network : LocalizationNetwork
        In evaluation mode, on the CPU.
    window : WindowSettings
        What it looks at.

    Raises
    ------
    InputError
        If the file is missing, damaged, not ours, or of an architecture that isn't known here.
    """
    path = DEFAULT if path is None else Path(path)
    weights = read_weights(path, key)
    # Whatever a part raises, it raises because of the settings that the file gives it.
    try:
        check_fit(weights)
        network = LocalizationNetwork.from_architecture(weights.architecture)
        network.load_state_dict(weights.state)
        settings = WindowSettings(**weights.window)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{key}={path}: its weights don't fit its architecture ({said})") from error
    except InputError as error:
        raise InputError(f"{key}={path}: {error}") from error
    return network.eval(), settings


def check_fit(weights: Weights) -> None:
    """Compare an architecture of the package's own parts with the weights, before any memory is taken for it.

    Raises
    ------
    InputError
        Naming the first tensor that differs.
    """
    targets = list(targets_of(weights.architecture))
    if not targets or any(target.partition(".")[0] != PACKAGE for target in targets):
        return
    with torch.device("meta"), _Undrawn():
        declared = LocalizationNetwork.from_architecture(weights.architecture).state_dict()
    for name in sorted({*declared, *weights.state}):
        wanted, stored = declared.get(name), weights.state.get(name)
        if wanted is None or stored is None or wanted.shape != stored.shape:
            there = "missing" if stored is None else tuple(stored.shape)
            here = "nothing" if wanted is None else tuple(wanted.shape)
            raise InputError(f"its weights don't fit its architecture ({name}: {there}, {here} is declared)")


class _Undrawn(TorchFunctionMode):
    """Draw no random numbers: those of no memory would have Torch load its compiler, for two seconds."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Leave a tensor as it is where it would be filled."""
        given = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def save_network(
    path: Path | str,
    network: LocalizationNetwork,
    window: WindowSettings,
    notes: dict[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a network's weights, architecture and window as safetensors.

    Parameters
    ----------
    path : path-like
        The file (.safetensors).
    network : LocalizationNetwork
        With its ``architecture``.
    window : WindowSettings
        What it looks at.
    notes : dict of str to str, optional
        Kept in the file beside them (recipe, data, figures).
    overwrite : bool
        Replace an existing file.
    """
    from safetensors.torch import save_file

    described = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "architecture": json.dumps(network.architecture),
        "window": json.dumps(asdict(window)),
        **(notes or {}),
    }
    with atomic_path(path, overwrite) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()},
            temporary,
            described,
        )
        temporary.chmod(0o644)  # safetensors makes files that only their owner may read


def _read_safetensors(path: Path, key: str) -> Weights:
    from safetensors import safe_open

    where = f"{key}={path}"
    if not path.is_file():
        raise InputError(f"{where}: no such file")
    with reading(where, advice="not a weights file, or damaged: copy it again"):
        path.open("rb").close()  # safetensors calls a file that it may not read missing
        with safe_open(path, "pt") as file:
            described = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        if described.get("format") != FORMAT:
            raise InputError(f"{where}: safetensors, but not weights of calcium-lightning")
        _check_version(described.get("format_version", 0), where)
        if missing := [name for name in ("architecture", "window") if name not in described]:
            raise InputError(f"{where}: not a weights file, or damaged ({missing[0]} is missing)")
        architecture, window = json.loads(described["architecture"]), json.loads(described["window"])
    check_contents(state, architecture, window, where)
    return Weights(state, current_architecture(architecture), window)


def _check_version(version: Any, where: str) -> None:
    # Safetensors hold it as text.
    if str(version) not in map(str, range(1, VERSION + 1)):
        raise InputError(
            f"{where}: version {version}, this package reads up to {VERSION}; update calcium-lightning"
        )
