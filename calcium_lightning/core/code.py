"""Which code a result depends on: the modules behind it and all that they import, found without running any.

A result of yesterday's code must never pass for one of today's. So the modules that a command and its config
name are read, not imported, and what they import is followed: through this package, and through the user's
own modules. Installed packages are taken as they are.

Knows files and syntax; knows nothing of what the code does.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.hashing import SETTLED_S, sha256_of

PACKAGE = Path(__file__).resolve().parent.parent
#: rooms that start, watch and show what is computed elsewhere: a result doesn't depend on them
WITHOUT_EFFECT = tuple(
    f"{PACKAGE.name}.{room}."
    for room in ("command", "comparison", "loggers", "pages", "processes", "runs", "sweeps")
)
#: data that code of the package reads
DATA = "weights/*.safetensors"
VERSION = 1
INIT = "__init__.py"


@dataclass(frozen=True)
class Import:
    """An import statement.

    Attributes
    ----------
    module : str
        As written, without the leading dots.
    level : int
        Number of leading dots.
    names : tuple of str
        What is taken from it; each may be a module of its own.
    at_import : bool
        It runs when the module is imported, and not in a function.
    """

    module: str
    level: int
    names: tuple[str, ...]
    at_import: bool


def code_of(names: Iterable[str]) -> str:
    """SHA-256, hexadecimal, of the code that some modules, classes or functions depend on.

    Parameters
    ----------
    names : iterable of str
        Dotted: of modules, or of what is in them (a ``_target_``).
    """
    digest = hashlib.sha256()
    for name, path in sorted(modules_of(names).items()):
        digest.update(f"{name}\0{_scanner().read(path)[0]}\n".encode())
    for file in sorted(PACKAGE.glob(DATA)):
        digest.update(f"{file.name}\0{sha256_of(file)}\n".encode())
    _scanner().save()
    return digest.hexdigest()


def modules_of(names: Iterable[str]) -> dict[str, Path]:
    """The modules that some names depend on, with their files.

    Of this package and of the user: an installed module is one of them where it is named itself, and what it
    imports is not followed.
    """
    for known in (_file_of, _top_level, _names_in):  # files may have come and gone since the last call
        known.cache_clear()
    found: dict[str, Path] = {}
    waiting = [(module, True) for name in names for module in _ancestry(_module_of(name))]
    while waiting:
        name, named = waiting.pop()
        if name in found or f"{name}.".startswith(WITHOUT_EFFECT):
            continue
        path = _file_of(name)
        if path is None:
            continue
        foreign = _is_installed(name, path)
        if foreign and not named:
            continue
        found[name] = path
        if foreign:
            continue
        package = name if path.name == INIT else name.rpartition(".")[0]
        for item in _scanner().read(path)[1]:
            # A package that imports in functions does so for who asks it by name, and is seen itself.
            if item.at_import or path.name != INIT:
                waiting += [(module, False) for module in _imported(item, package)]
    return found


def _imported(item: Import, package: str) -> Iterator[str]:
    base = item.module
    if item.level:
        parts = package.split(".")
        parts = parts[: len(parts) - item.level + 1]
        base = ".".join([*parts, *([item.module] if item.module else [])])
    for name in (base, *(f"{base}.{name}" for name in item.names)):
        yield from _ancestry(name)


def _ancestry(name: str) -> list[str]:
    """A module and the packages around it: Python runs them all."""
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _module_of(name: str) -> str:
    """The module that holds what a name stands for."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module = ".".join(parts[:count])
        if _file_of(module) is not None:
            return module
    return name


@cache
def _file_of(name: str) -> Path | None:
    """The file of a module; None for one that has none here (built in, compiled, not there)."""
    top, *rest = name.split(".")
    found = None if top in sys.stdlib_module_names else _top_level(top)
    for part in rest:
        if found is None or (os.path.isfile(found) and os.path.basename(found) != INIT):
            return None
        found = _inside(os.path.dirname(found) if os.path.basename(found) == INIT else found, part)
    return Path(found) if found is not None and os.path.isfile(found) else None


@cache
def _top_level(name: str) -> str | None:
    """The file of a top-level module, or the folder of a package that has none."""
    if name == PACKAGE.name:
        return str(PACKAGE / INIT)
    places = [_inside(os.path.abspath(entry), name) for entry in sys.path]
    files = [place for place in places if place is not None and os.path.isfile(place)]
    return next(iter([*files, *filter(None, [_by_finder(name), *places])]), None)


def _inside(folder: str, name: str) -> str | None:
    """A module or package in a folder: its file, or its folder where it has none."""
    place, beside = os.path.join(folder, name), _names_in(folder) or frozenset()
    inside = _names_in(place) if name in beside else None
    if inside and INIT in inside:
        return os.path.join(place, INIT)
    if f"{name}.py" in beside:
        return f"{place}.py"
    return None if inside is None else place


@cache
def _names_in(folder: str) -> frozenset[str] | None:
    """What is in a folder, looked up once instead of once for each name; None for what is none."""
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return None


@cache
def _by_finder(name: str) -> str | None:
    """Where an editable install says that a package is, which no folder of ``sys.path`` holds."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return spec.origin


def _is_installed(name: str, path: Path) -> bool:
    if name.partition(".")[0] == PACKAGE.name:
        return False
    return bool({"site-packages", "dist-packages"} & set(path.parts)) or any(
        path.is_relative_to(folder) for folder in _library_folders()
    )


@cache
def _library_folders() -> tuple[Path, ...]:
    return tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))


class _Scanner:
    """What is written in source files; remembered by path, size and time of the last change."""

    def __init__(self, note: Path) -> None:
        self.note = note
        self.known: dict[str, list[Any]] = {}
        self.new = False
        # Without its notes it reads the files again.
        with contextlib.suppress(OSError, ValueError):
            noted = json.loads(note.read_text(encoding="utf-8"))
            if isinstance(noted, dict) and noted.get("version") == VERSION:
                self.known = noted["files"]

    def read(self, path: Path) -> tuple[str, list[Import]]:
        """The SHA-256 of a file's bytes, and what it imports."""
        state = path.stat()
        entry = self.known.get(str(path))
        if entry is None or entry[:2] != [state.st_mtime_ns, state.st_size]:
            data = path.read_bytes()
            imports = [[i.module, i.level, list(i.names), i.at_import] for i in imports_of(data, path)]
            entry = [state.st_mtime_ns, state.st_size, hashlib.sha256(data).hexdigest(), imports]
            if time.time() - state.st_mtime > SETTLED_S:  # it won't change without its time stamp's telling
                self.known[str(path)] = entry
                self.new = True
        return entry[2], [Import(a, b, tuple(c), d) for a, b, c, d in entry[3]]

    def save(self) -> None:
        """Note what is known, for the next command."""
        if not self.new:
            return
        self.new = False
        here = {name: entry for name, entry in self.known.items() if Path(name).exists()}
        with contextlib.suppress(OSError, InputError), atomic_path(self.note, overwrite=True) as temporary:
            temporary.write_text(json.dumps({"version": VERSION, "files": here}))


@cache
def _scanner() -> _Scanner:
    return _Scanner(user_cache_path("calcium-lightning") / "imports.json")


def imports_of(source: bytes, path: Path) -> list[Import]:
    """What a module imports, in functions too; not what only a type checker sees.

    Raises
    ------
    InputError
        If it isn't Python.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise InputError(f"{path}{f', line {line}' if line else ''}: not valid Python ({error})") from error
    found: list[Import] = []
    _visit(tree.body, True, found)
    return found


def _visit(nodes: Iterable[ast.AST], at_import: bool, found: list[Import]) -> None:
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [Import(alias.name, 0, (), at_import) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names if alias.name != "*")
            found.append(Import(node.module or "", node.level, names, at_import))
        elif isinstance(node, ast.If) and _is_type_checking(node.test):
            _visit(node.orelse, at_import, found)
        elif isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            _visit(ast.iter_child_nodes(node), at_import and not inside, found)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
