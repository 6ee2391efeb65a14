"""Parts of networks from plain settings, as a checkpoint holds them.

For: building an encoder, a head, a background or a decoder again, of the package or of one's own.
Must not know: files, or what a part does. What is known is :mod:`calcium_lightning.core.parts`' business.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.parts import PACKAGE, current_name, find_class, known_classes, known_modules

#: where the package's own parts are
ROOMS = (__name__.rpartition(".")[0],)


def current_architecture(architecture: Any) -> Any:
    """Settings of a file with the names that its parts have today."""
    if isinstance(architecture, Mapping):
        named = {name: current_architecture(value) for name, value in architecture.items()}
        if isinstance(target := named.get("_target_"), str):
            named["_target_"] = current_name(target, ROOMS)
        return named
    if isinstance(architecture, list | tuple):
        return [current_architecture(value) for value in architecture]
    return architecture


def find_part(part: str, target: str, rooms: Sequence[str] = ROOMS) -> type[nn.Module]:
    """The class of a part, by the name that a checkpoint gives it.

    Parameters
    ----------
    part : str
        What it is (``encoder``), for the message.
    target : str
        ``module.Class``.
    rooms : sequence of str
        Packages of ours whose modules are known without being named.

    Raises
    ------
    InputError
        If it isn't known: data from strangers never chooses what is imported.
    """
    found = find_class(target, nn.Module, rooms)
    if found is not None:
        return found
    module, _, name = current_name(target, rooms).rpartition(".")
    if not module or module.partition(".")[0] == PACKAGE:
        raise InputError(
            f"{part} {target!r} is unknown here{nearest(target, known_classes(nn.Module, rooms))}"
        )
    if module in known_modules() and hasattr(sys.modules.get(module), name):
        raise InputError(
            f"{part} {target!r} is no class of an nn.Module: a checkpoint's network is built of nothing else"
        )
    raise InputError(
        f"{part} {target!r} is unknown here: a checkpoint never chooses what is imported. "
        f"Name the module that has this class (an nn.Module): parts=[{module}]"
    )


def build_part(part: str, settings: Any, rooms: Sequence[str] = ROOMS) -> nn.Module:
    """Build a part, and the known parts inside its settings.

    Parameters
    ----------
    part : str
        What it is, for the message.
    settings : mapping
        ``_target_`` and keyword arguments.
    rooms : sequence of str
        As for :func:`find_part`.

    Raises
    ------
    InputError
        If a class isn't known, or doesn't take a setting.
    """
    plain = dict(settings or {})
    target = str(plain.pop("_target_", ""))
    kind = find_part(part, target, rooms)
    if "_partial_" in plain:
        raise InputError(
            f"{part} {target}: _partial_ can't be built of a checkpoint; take its settings, and make it in "
            "the part"
        )
    plain = {name: value for name, value in plain.items() if name not in ("_convert_", "_recursive_")}
    check_settings(part, kind, plain)
    return kind(**{name: _built(part, value, rooms) for name, value in plain.items()})


def check_settings(part: str, kind: type[nn.Module], settings: Iterable[str]) -> None:
    """Refuse settings that a class doesn't take.

    Raises
    ------
    InputError
        Naming them.
    """
    parameters = inspect.signature(kind).parameters
    unknown = set(settings) - set(parameters)
    if unknown and not any(item.kind is item.VAR_KEYWORD for item in parameters.values()):
        name = f"{kind.__module__}.{kind.__qualname__}"
        raise InputError(f"{part} has settings that {name} doesn't take: {', '.join(sorted(unknown))}")


def _built(part: str, value: Any, rooms: Sequence[str]) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return build_part(part, value, rooms)
        return {name: _built(part, item, rooms) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_built(part, item, rooms) for item in value]
    return value
