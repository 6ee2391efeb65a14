"""Whether a value of a config is of the type that a component's signature asks for.

Knows the types that YAML can write: numbers, words, true and false, null, lists and mappings of them, and
components, which are mappings with a ``_target_``. Of others it says nothing.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Union

from omegaconf import DictConfig, ListConfig

WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a word",
    type(None): "null",
}


def hints(component: Any) -> dict[str, Any]:
    """Types of a component's parameters, as far as they can be told."""
    try:
        made = inspect.getattr_static(component, "__init__") if isinstance(component, type) else component
        return typing.get_type_hints(made)
    except (NameError, TypeError):  # names that only a type checker sees, or no annotations at all
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value may be given where ``hint`` is asked for; True where that can't be told."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if _is_mapping(value) and not value:  # a group that was left out (scheduler=none)
            return type(None) in arguments or any(fits(value, part) for part in arguments)
        return any(fits(value, part) for part in arguments)
    if origin in (dict, Mapping) and _is_mapping(value) and "_target_" in value:
        return True  # what that makes, whoever takes it looks at
    if origin in (dict, Mapping):
        return _is_mapping(value) and all(fits(value[key], arguments[1]) for key in value)
    if origin is Callable or _is_component(hint):
        return not isinstance(value, str | int | float | None) and (
            "_target_" in value if _is_mapping(value) else not _is_list(value)
        )
    if origin is tuple:
        return _is_list(value) and _tuple_fits(value, arguments)
    if origin in (list, Sequence):
        return _is_list(value) and all(fits(item, arguments[0]) for item in value)
    if hint is bool or hint is type(None) or hint is str:
        return isinstance(value, hint)
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    return True


def fits_library(value: Any, hint: Any) -> bool:
    """The same of a library's component: its hints don't tell where null will do; 1e3 is a whole number."""
    whole = isinstance(value, float) and value.is_integer()
    return value is None or fits(value, hint) or (whole and fits(int(value), hint))


def described(hint: Any) -> str:
    """What is asked for, in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        written = [part for part in arguments if getattr(part, "__module__", "") != "torch"]  # no tensors
        return " or ".join(dict.fromkeys(described(part) for part in written))
    if origin in (tuple, list, Sequence):
        length = "" if origin is not tuple or Ellipsis in arguments else f"{len(arguments)} "
        return f"a list of {length}{described(arguments[0]).removeprefix('a ')}s"
    if origin in (dict, Mapping, Callable) or _is_component(hint):
        return "a group of keys"
    return WORDS.get(hint, str(getattr(hint, "__name__", hint)))


def _is_component(hint: Any) -> bool:
    """Whether a class is one that a config makes with ``_target_``: neither Python's own nor a path."""
    return (
        isinstance(hint, type)
        and hint.__module__ not in ("builtins", "typing")
        and not issubclass(hint, PurePath)
    )


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict | DictConfig)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | ListConfig)


def _tuple_fits(value: Sequence[Any], parts: tuple[Any, ...]) -> bool:
    if len(parts) == 2 and parts[1] is Ellipsis:
        return all(fits(item, parts[0]) for item in value)
    return len(value) == len(parts) and all(fits(item, part) for item, part in zip(value, parts, strict=True))
