"""Parts of one's own: which modules the user has made known, and what they have registered.

A module is known because the user names it (``parts=[my_parts]``, or the ``_target_`` of a training's
config), or because an installed package has an entry point of the group ``calcium_lightning.parts``. A file
never chooses what is imported: what a checkpoint names is looked up among the modules that are known already.

Knows modules and names; knows nothing of what a part does.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import tomllib
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from calcium_lightning.core.errors import InputError

#: entry points of installed packages: each names a module that is imported when a part is looked for
GROUP = "calcium_lightning.parts"
PACKAGE = __name__.partition(".")[0]

Value = TypeVar("Value")
_modules: dict[str, None] = {}
_tables: dict[str, dict[str, Any]] = {}
_former: dict[str, str] = {}


def add_folders(folders: Iterable[Path | str]) -> None:
    """Let modules be found in some folders, after all other places: they never hide an installed one."""
    for folder in folders:
        path = str(Path(folder).expanduser().resolve())
        if path not in sys.path and Path(path).is_dir():
            sys.path.append(path)
            importlib.invalidate_caches()  # its files may be younger than what was looked at before


def import_parts(names: Iterable[Any]) -> list[str]:
    """Import the modules that the user names, and make them known.

    Parameters
    ----------
    names : iterable of str
        Of modules (``my_lab.parts``), or paths of Python files or packages (``lab/parts.py``).

    Returns
    -------
    list of str
        The modules' names.

    Raises
    ------
    InputError
        For one that isn't there, or that can't be imported.
    """
    made = []
    for given in map(str, names):
        name = module_name(given)
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise InputError(f"parts={given}: {describe(error)}") from error
            raise InputError(
                f"parts={given}: no such module in this folder, in --config-dir or among installed packages; "
                "give a module's name, or the path of its file"
            ) from error
        except Exception as error:  # whatever a stranger's module raises
            raise InputError(f"parts={given}: can't be imported ({describe(error)})") from error
        know(name)
        made.append(name)
    return made


def module_name(given: str) -> str:
    """The name of a module that the user gives by name or by path; its folder becomes one to look in.

    Raises
    ------
    InputError
        If there is no such file.
    """
    path = Path(given).expanduser()
    if path.suffix != ".py" and len(path.parts) == 1 and not given.endswith("/"):
        return given
    if not (path.is_file() and path.suffix == ".py") and not path.is_dir():
        raise InputError(f"parts={given}: no such Python file or package")
    add_folders([path.resolve().parent])
    known = sys.modules.get(path.stem)
    place = getattr(known, "__file__", None)
    if (
        known is not None
        and place is not None
        and path.resolve()
        not in (
            Path(place).resolve(),
            Path(place).resolve().parent,
        )
    ):
        raise InputError(f"parts={given}: there is another module {path.stem} ({place}); rename yours")
    return path.stem


def know(module: str) -> None:
    """Make an imported module known: its classes may stand in checkpoints."""
    _modules[module] = None


def know_target(target: str) -> None:
    """Make known the module of a ``_target_`` that the user's config names.

    Raises
    ------
    InputError
        If it can't be imported.
    """
    module = target.rpartition(".")[0]
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever a stranger's module raises
        raise InputError(f"_target_={target}: {module} can't be imported ({describe(error)})") from error
    know(module)


def known_modules() -> list[str]:
    """All that is known: what was named, and what is installed."""
    _load_installed()
    return list(_modules)


def find_class(target: str, base: type, rooms: Sequence[str] = ()) -> type | None:
    """The class of a name that stands in a file, if it is known; nothing foreign is imported for it.

    Parameters
    ----------
    target : str
        ``module.Class``.
    base : type
        What it must be a subclass of: a file can't have functions called.
    rooms : sequence of str
        Packages of ours whose modules are known without being named.
    """
    module, _, name = current_name(target, rooms).rpartition(".")
    if not _is_in(module, rooms) and module not in known_modules():
        return None
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) and issubclass(found, base) else None


def known_classes(base: type, rooms: Sequence[str] = ()) -> list[str]:
    """Names of the classes that :func:`find_class` would find among the modules that are imported."""
    names = [name for name in sys.modules if _is_in(name, rooms)]
    return [
        f"{module}.{name}"
        for module in dict.fromkeys([*names, *known_modules()])
        if module in sys.modules
        for name, value in vars(sys.modules[module]).items()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module
    ]


def register(kind: str, name: str, value: Value) -> Value:
    """Add to a table that commands look things up in (``reader``, ``writer``, ``metric``, ``model``).

    Raises
    ------
    InputError
        If another thing has the name.
    """
    table = _tables.setdefault(kind, {})
    there = table.get(name)
    if there is not None and _origin(there) != _origin(value):
        raise InputError(f"{kind} {name}: registered twice, by {_origin(there)} and by {_origin(value)}")
    table[name] = value
    return value


def registered(kind: str, installed: bool = True) -> Mapping[str, Any]:
    """A table of what known modules have registered; without ``installed``, those that the user named."""
    if installed:
        _load_installed()
    return _tables.get(kind, {})


def rename(former: str, now: str) -> None:
    """Say that a module or a package has a new name; old files tell the former one."""
    _former[former] = now


def current_name(target: str, rooms: Sequence[str] = ()) -> str:
    """What a name of an old file is called today; a module of ``rooms`` that is there is imported."""
    module = target.rpartition(".")[0]
    if _is_in(module, rooms):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(module)
    if module not in sys.modules:
        _load_installed()
        for former, now in _former.items():
            if target.startswith(f"{former}."):
                return now + target.removeprefix(former)
    return target


def targets_of(node: Any) -> Iterator[str]:
    """Every ``_target_`` in plain settings."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from targets_of(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from targets_of(value)


def describe(error: BaseException) -> str:
    """An error of a stranger's code in one line: what, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)]
    where = f"; {own[-1].filename}, line {own[-1].lineno}" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"; {error.filename}, line {error.lineno}"
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f"{type(error).__name__}: {text[:300]}{where}"


def installed_parts() -> list[EntryPoint]:
    """Entry points of installed packages, by name; none is loaded for this."""
    found = {entry.name: entry for entry in (*_of_checkout(), *entry_points(group=GROUP))}
    return [found[name] for name in sorted(found)]


def _of_checkout() -> list[EntryPoint]:
    """Those of the package itself where it runs from a checkout: what is installed may be older."""
    file = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if not file.is_file():
        return []
    project = tomllib.loads(file.read_text()).get("project", {})
    if project.get("name") != PACKAGE.replace("_", "-"):
        return []
    named = project.get("entry-points", {}).get(GROUP, {})
    return [EntryPoint(name, value, GROUP) for name, value in named.items()]


@cache
def _load_installed() -> None:
    """Import what installed packages offer, once."""
    for entry in installed_parts():
        try:
            importlib.import_module(entry.module)
        except Exception as error:  # whatever a stranger's module raises
            package = entry.dist.name if entry.dist is not None else entry.value
            raise InputError(
                f"{package}: its parts ({entry.value}) can't be imported ({describe(error)})"
            ) from error
        know(entry.module)


def _is_in(module: str, rooms: Sequence[str]) -> bool:
    return module.startswith(tuple(f"{room}." for room in rooms))


def _origin(value: Any) -> str:
    """Where a registered thing was made: a module that is imported anew registers the same again."""
    made = getattr(value, "function", value)
    return f"{getattr(made, '__module__', '?')}.{getattr(made, '__qualname__', '?')}"


def _is_users(file: str) -> bool:
    here = Path(__file__).resolve().parent.parent
    path = Path(file)
    return (
        path.is_file()
        and here not in path.parents
        and not {"site-packages", "dist-packages"} & set(path.parts)
        and not path.is_relative_to(Path(traceback.__file__).parent)
    )
