"""Which files a command reads and makes: one path, a list, a folder or a glob, and where each result goes.

For: the entry points.
Must not know: what is in the files; whoever asks says which of a folder's files are meant.
"""

from __future__ import annotations

import errno
import glob
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import ListConfig

from calcium_lightning.core.atomic import guard
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.folders import check_folder, walk


@dataclass(frozen=True)
class Input:
    """One of the things that a command reads.

    Attributes
    ----------
    path : Path
        The file or folder.
    place : Path
        What to call it, relative: its name, with the folders that lead to it below the one that was given.
    found : bool
        It was found in a folder or by a glob, and not named.
    """

    path: Path
    place: Path
    found: bool = False

    @classmethod
    def named(cls, path: Path) -> Input:
        """One that the user has named."""
        return cls(path, Path(path.name or path.resolve().name))

    @property
    def stem(self) -> Path:
        """The place without the file's ending; folders keep theirs."""
        return self.place if self.path.is_dir() else self.place.with_name(self.place.stem)


def as_paths(value: Any) -> list[Path]:
    """One path or a list of paths, as a list; relative ones are relative to the folder the user stands in.

    Raises
    ------
    InputError
        For an empty path, or a number in its place.
    """
    values = list(value) if isinstance(value, list | tuple | ListConfig) else [value]
    for item in values:
        if item is None or (isinstance(item, str) and not item.strip()):
            raise InputError("an empty path; give one, or a list [A.h5,B.h5]")
        if not isinstance(item, str | Path):
            raise InputError(f"{item}: a path is wanted; in a YAML file, quote it")
    return [Path(item).expanduser() for item in values]


def one_path(key: str, value: Any) -> Path:
    """The one path that a key names.

    Raises
    ------
    InputError
        As :func:`as_paths`, and for a list that isn't of one.
    """
    paths = as_paths(value)
    if len(paths) != 1:
        raise InputError(
            f"{key}: one path is wanted, {len(paths) or 'none'} {'are' if paths else 'is'} given"
        )
    return paths[0]


def names_folder(value: Any) -> bool:
    """Whether what a key holds is one folder: there is one, or a slash at the end says that one is wanted."""
    paths = as_paths(value)
    text = str(value[0] if isinstance(value, list | tuple | ListConfig) else value)
    return len(paths) == 1 and (text.endswith(("/", os.sep)) or paths[0].is_dir())


def one_file(key: str, value: Any) -> Path:
    """The one file that a key names, to be written.

    Raises
    ------
    InputError
        As :func:`one_path`, and for a folder.
    """
    path = one_path(key, value)
    if names_folder(value):
        raise InputError(f"{key}={path}: is a folder; a file is to be written")
    return path


def find_inputs(
    key: str,
    value: Any,
    meant: Callable[[Path], bool] | None = None,
    endings: Sequence[str] = (".h5", ".hdf5"),
    whole: Callable[[Path], bool] | None = None,
    otherwise: Callable[[Path], str] | None = None,
) -> list[Input]:
    """What a key names: paths, folders and globs, or a list of them. None of it becomes an output.

    Parameters
    ----------
    key : str
        The key, for messages.
    value : Any
        What it holds.
    meant : callable, optional
        Which files of a folder are meant; without it a folder is one input.
    endings : sequence of str
        Of the files that are looked for in folders.
    whole : callable, optional
        Which folders are one input all the same.
    otherwise : callable, optional
        What to do with a folder that holds nothing that is meant.

    Raises
    ------
    InputError
        If a glob matches nothing, or a folder holds nothing that is meant.
    """
    inputs: list[Input] = []
    seen: set[Path] = set()
    for path in as_paths(value):
        check_folder(key, path)
        for item in _expanded(key, path, meant, endings, whole, otherwise):
            real = item.path.resolve()
            if item.found and real in seen:
                continue
            seen.add(real)
            inputs.append(item)
    if not inputs:
        raise InputError("an empty list of inputs; give a path, or a list [A.h5,B.h5]")
    guard(item.path for item in inputs)
    return _told_apart(inputs)


def _expanded(
    key: str,
    path: Path,
    meant: Callable[[Path], bool] | None,
    endings: Sequence[str],
    whole: Callable[[Path], bool] | None,
    otherwise: Callable[[Path], str] | None,
) -> Iterator[Input]:
    def is_one(place: Path) -> bool:
        return meant is None or not place.is_dir() or (whole is not None and whole(place))

    if not glob.has_magic(str(path)) or os.path.lexists(path):
        if meant is not None and not is_one(path):
            yield from _inside(key, path, path, meant, endings, otherwise=otherwise)
        else:
            yield Input.named(path)
        return
    from natsort import natsorted

    root = path
    while glob.has_magic(str(root)):
        root = root.parent
    _check_readable(root)
    matches = [Path(match) for match in natsorted(glob.glob(str(path), recursive=True))]
    if not matches:
        raise InputError(f"{key}={path}: nothing matches")
    for match in matches:
        if meant is not None and not is_one(match):
            yield from _inside(key, match, root, meant, endings, needed=False)
        else:
            yield Input(match, match.relative_to(root), found=True)


def _inside(
    key: str,
    folder: Path,
    root: Path,
    meant: Callable[[Path], bool],
    endings: Sequence[str],
    needed: bool = True,
    otherwise: Callable[[Path], str] | None = None,
) -> Iterator[Input]:
    """The files of a folder, at any depth, in natural order."""
    from natsort import natsorted

    left_out: list[str] = []
    count = 0
    for path in natsorted(_files(folder, tuple(endings)), key=str):
        if meant(path):
            count += 1
            yield Input(path, path.relative_to(root), found=True)
        else:
            left_out.append(path.name)
    if left_out:
        names = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
        print(
            f"{folder}: {count} files are {key}; left out: {len(left_out)} others ({names})", file=sys.stderr
        )
    if needed and not count:
        hint = f"; {otherwise(folder)}" if otherwise else ""
        raise InputError(f"{key}={folder}: nothing in this folder is meant ({', '.join(endings)}){hint}")


def _check_readable(folder: Path) -> None:
    """Refuse a folder that may not be looked into: what is in it isn't missing."""
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"{folder}: {os.strerror(errno.EACCES)}")


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """All files with one of the endings, none hidden; folders that are links are followed, none twice."""
    _check_readable(folder)
    seen: set[Path] = set()
    for place, inside, files in walk(folder, followlinks=True):
        real = Path(place).resolve()
        if real in seen:
            inside.clear()
            continue
        seen.add(real)
        inside[:] = [name for name in inside if not name.startswith(".")]
        for name in inside:
            if not os.access(Path(place, name), os.R_OK | os.X_OK):  # the walk passes over it
                print(f"{Path(place, name)}: {os.strerror(errno.EACCES)}; left out", file=sys.stderr)
        for name in files:
            path = Path(place, name)
            if name.startswith(".") or not name.lower().endswith(endings):
                continue
            if path.exists() and not path.is_file():
                raise InputError(f"{path}: no regular file; take it away")  # a pipe would never end
            yield path


def _told_apart(inputs: Sequence[Input]) -> list[Input]:
    """Give those that would be called the same the folders that tell them apart."""
    twice = _repeated([item.stem for item in inputs])
    if twice:
        root = Path(os.path.commonpath([item.path.resolve().parent for item in inputs]))
        inputs = [
            Input(item.path, item.path.absolute().relative_to(root), item.found)
            if item.stem in twice and item.path.absolute().is_relative_to(root)
            else item
            for item in inputs
        ]
    return list(inputs)


def _repeated(places: Sequence[Path]) -> set[Path]:
    return {place for place, count in Counter(places).items() if count > 1}


def run_folder() -> Path:
    """The folder of the running job: its own of a training and in a sweep, else where the user is."""
    from hydra.core.hydra_config import HydraConfig

    folder = Path(HydraConfig.get().runtime.output_dir)
    return Path() if folder == Path.cwd() else folder


def output_paths(inputs: Sequence[Input], output: Any, suffix: str) -> list[Path]:
    """Where each input's result goes.

    Parameters
    ----------
    inputs : sequence of Input
        One or several; see :func:`find_inputs`.
    output : str, Path or None
        A file for one input, a folder for several (or for one, with a slash at its end); ``None`` is the
        folder of the running job.
    suffix : str
        Ending of the results, such as ``".h5"`` or ``".cells.h5"``.

    Raises
    ------
    InputError
        If two results would be one file, or the folder is a file.
    """
    several = len(inputs) > 1
    folder = run_folder() if output is None else one_path("output", output)
    ending = Path(f"x{suffix}").suffix
    is_file = output is not None and not several and not names_folder(output)
    if is_file and (not inputs[0].found or folder.suffix == ending):
        return [folder]
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output={folder}: with several inputs the output is a folder, and this is a file")
    if several and ending and folder.suffix == ending and not folder.is_dir():
        raise InputError(
            f"output={folder}: with several inputs the output is a folder; {folder.with_suffix('')}/"
        )
    paths = [folder / _with_ending(item, suffix) for item in inputs]
    twice = _repeated(paths)
    if twice:
        # Of the same stem, but another ending: it stays, to tell them apart.
        paths = [
            folder / item.place.with_name(f"{item.place.name}{suffix}") if path in twice else path
            for path, item in zip(paths, inputs, strict=True)
        ]
    if _repeated(paths):
        name = min(path.name for path in twice)
        raise InputError(f"output={folder}: two inputs would be written to {name}; run them one by one")
    return paths


def _with_ending(item: Input, suffix: str) -> Path:
    stem = item.stem
    return stem.with_name(f"{stem.name}{suffix}")
