"""Networks from files and to files: checkpoints of a training, and weights alone.

Files are data: a checkpoint is read with ``weights_only`` and may name known parts only, and safetensors hold
nothing but numbers and text. Knows the network, and nothing of trainings.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.windows import WindowSettings

FORMAT, VERSION = "calcium-lightning-model", 1
#: prefix of the network's weights among a LightningModule's
NETWORK = "network."
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
    if not path.is_file():
        raise InputError(f"{key}={path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch and zipfile make of other files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{key}={path}: not a checkpoint, or damaged ({reason[:120]})") from error
    if (
        not isinstance(checkpoint, dict)
        or checkpoint.get("format") != FORMAT
        or not {"state_dict", "architecture", "window"} <= set(checkpoint)
    ):
        raise InputError(f"{key}={path}: a checkpoint, but not of calcium_lightning.train")
    _check_version(checkpoint.get("format_version", 0), f"{key}={path}")
    return checkpoint


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
    try:
        network = LocalizationNetwork.from_architecture(weights.architecture)
        network.load_state_dict(weights.state)
        settings = WindowSettings(**weights.window)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{key}={path}: its weights don't fit its architecture ({str(error).splitlines()[0]})"
        ) from error
    except InputError as error:
        raise InputError(f"{key}={path}: {error}") from error
    return network.eval(), settings


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
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{key}={path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            described = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        if described.get("format") != FORMAT:
            raise InputError(f"{key}={path}: safetensors, but not weights of calcium-lightning")
        _check_version(described.get("format_version", 0), f"{key}={path}")
        return Weights(state, json.loads(described["architecture"]), json.loads(described["window"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(f"{key}={path}: not a weights file, or damaged ({error})") from error


def _check_version(version: Any, where: str) -> None:
    # Safetensors hold it as text.
    if str(version) not in map(str, range(1, VERSION + 1)):
        raise InputError(
            f"{where}: version {version}, this package reads up to {VERSION}; update calcium-lightning"
        )
