"""The other files that an HDF5 file's numbers are in: if they change, what is made of it does.

Knows HDF5's links, virtual datasets and external storage, and NWB's lists of videos; opens files for as long
as it looks at them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import h5py

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.reading import reading
from calcium_lightning.io.stored import open_stored

#: where NWB names the videos of a series
VIDEOS = "external_file"


def files_beside(path: Path, name: str = "/") -> list[Path]:
    """The files that a dataset, or all of a file, reaches: by links, of virtual datasets, in raw files.

    Files that these reach themselves are among them; those that aren't there are not.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The dataset; default: all there are.

    Raises
    ------
    InputError
        If the file can't be read.
    """
    found: set[Path] = set()
    seen = {(path.resolve(), name)}
    _follow(path, name, found, seen)
    return sorted(found - {path.resolve()})


def _follow(path: Path, name: str, found: set[Path], seen: set[tuple[Path, str]]) -> None:
    with reading(path), open_stored(path) as file:
        named = list(_named(file, name))
    for item, inside in named:
        for place in _places(path, item):
            found.add(place)
            if inside and (place, inside) not in seen:
                seen.add((place, inside))
                with contextlib.suppress(InputError):  # whoever reads it says what is wrong with it
                    _follow(place, inside, found, seen)


def _named(file: h5py.File, name: str) -> Iterator[tuple[str, str]]:
    """The files that are named, and what is read in each; nothing where they are no HDF5."""
    links = {name: file.get(name, getlink=True)} if name != "/" else {}
    if name == "/" or isinstance(file.get(name), h5py.Group):
        file[name].visititems_links(lambda inside, link: links.update({f"{name}/{inside}": link}))
    for inside, link in links.items():
        if isinstance(link, h5py.ExternalLink):
            yield link.filename, link.path
            continue
        node = file.get(inside)
        if not isinstance(node, h5py.Dataset):
            continue
        if node.is_virtual:
            yield from ((part.file_name, part.dset_name) for part in node.virtual_sources())
        yield from ((os.fsdecode(part), "") for part, *_ in node.external or ())
        if inside.endswith(f"/{VIDEOS}") and h5py.check_string_dtype(node.dtype):
            yield from ((str(video), "") for video in node.asstr()[...].ravel())


def _places(path: Path, name: str) -> Iterator[Path]:
    """Where a file of this name is; all of them where it stands for many (``%b``)."""
    if name == ".":
        yield path.resolve()
        return
    for folder in (Path(), path.parent):
        place = folder / name
        several = sorted(place.parent.glob(place.name.replace("%b", "*"))) if "%b" in name else [place]
        there = [item.resolve() for item in several if item.is_file()]
        if there:
            yield from there
            return
