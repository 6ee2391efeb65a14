"""The methods whose cells are compared: this project, its band-pass baseline, and peers.

A method turns a session file into a cells file. Peers run in environments of their own, or have run already:
then their results are read from files.
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
from kinds import HERE, Recording, ours, quoted
from processes import Run
from steps import Failed, make

from calcium_lightning.core.errors import InputError

#: of a session, what makes a given cells file of it; None: not of this session
Command = Callable[[Path], Callable[[Path], Sequence[str]] | None]
CELLS = "calcium-lightning-cells"


@dataclass(frozen=True)
class Method(ABC):
    """Something that finds cells.

    Attributes
    ----------
    title : str
        In tables and pictures.
    """

    title: str

    @property
    def key(self) -> str:
        """Its name in those of files."""
        return re.sub(r"\W+", "_", self.title.lower()).strip("_")

    @abstractmethod
    def cells(self, recording: Recording, session: Path, target: Path) -> tuple[Path, Run | None] | None:
        """The cells file of a recording, made unless it is there, and what that took.

        None where the method doesn't apply; no ``Run`` where nobody measured it.

        Raises
        ------
        Failed
            If it fails.
        """


@dataclass(frozen=True)
class Extraction(Method):
    """A method that is run.

    Attributes
    ----------
    command : Command
        From a session to its cells.
    """

    command: Command

    def cells(self, recording: Recording, session: Path, target: Path) -> tuple[Path, Run | None] | None:
        command = self.command(session)
        return None if command is None else (target, make(target, command))


@dataclass(frozen=True)
class Saved(Method):
    """A method that has run: its results are files, CaImAn's or cells files of ours.

    Attributes
    ----------
    template : str
        Path of the results, with ``{recording}``, ``{kind}`` and ``{seed}`` in it.
    """

    template: str

    def cells(self, recording: Recording, session: Path, target: Path) -> tuple[Path, Run | None] | None:
        results = self.path(recording)
        if not results.is_file():
            return None
        if not h5py.is_hdf5(results):
            raise Failed(f"{results}: not an HDF5 file")
        with h5py.File(results) as file:
            if file.attrs.get("format") == CELLS:
                return results, None
        if target.is_file() and target.stat().st_mtime < results.stat().st_mtime:
            target.unlink()
        script = HERE / "peers" / "caiman_cells.py"
        make(target, lambda temporary: [sys.executable, *map(str, (script, results, session, temporary))])
        return target, None

    def path(self, recording: Recording) -> Path:
        """Where the results of a recording are."""
        known = {"recording": recording.name, "kind": recording.kind.name, "seed": recording.seed}
        return Path(self.template.format_map(known)).expanduser()


def this_project(title: str, *overrides: str) -> Extraction:
    """Our ``extract``, with the weights of the package."""
    return Extraction(title, lambda session: lambda cells: _extract(session, cells, *overrides))


def given_diameter() -> Extraction:
    """Our ``extract``, told the median diameter of the true cells, as a user tells it who measured some."""

    def command(session: Path) -> Callable[[Path], Sequence[str]] | None:
        from calcium_lightning.data.labels import true_diameter
        from calcium_lightning.io.session import Session

        with Session(session) as opened:
            if opened.truth is None or opened.truth.footprints is None:
                return None
            diameter = true_diameter(opened)
        return lambda cells: _extract(session, cells, f"cell_diameter={diameter:.2f}")

    return Extraction("this project, diameter given", command)


def suite2p(python: Path) -> Extraction:
    """Suite2p, in an environment of its own."""
    script = HERE / "peers" / "suite2p_cells.py"
    return Extraction(
        "Suite2p", lambda session: lambda cells: [str(python), str(script), str(session), str(cells)]
    )


def peer(given: str) -> Saved:
    """A peer as the command line names it, ``NAME=TEMPLATE``.

    Raises
    ------
    InputError
        If it isn't of this form, or the template tells recordings not apart.
    """
    title, equals, template = given.partition("=")
    method = Saved(title.strip(), template)
    if not (equals and method.key and ("{recording}" in template or "{seed}" in template)):
        raise InputError(f"--peer {given}: expected NAME=PATH with {{recording}} in the path")
    try:
        template.format(recording="", kind="", seed="")
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"--peer {given}: only {{recording}}, {{kind}}, {{seed}} are known") from error
    return method


def _extract(session: Path, cells: Path, *overrides: str) -> list[str]:
    paths = quoted("session", session), quoted("output", cells)
    return ours("extract", *paths, *overrides, run=cells.parent)
