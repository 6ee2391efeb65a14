"""Whether cells, or a session, were made already: of the same recording, by the same settings and code.

Knows what our files tell of their origin; knows nothing of how cells are found, or recordings read.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import yaml
from omegaconf import DictConfig, OmegaConf

from calcium_lightning.core.code import PACKAGE, code_of
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.core.parts import installed_parts, module_name, targets_of
from calcium_lightning.core.plain import check_aliases
from calcium_lightning.core.version import __version__
from calcium_lightning.io import hdf5
from calcium_lightning.io.cells_file import read_origin
from calcium_lightning.io.kind import is_session
from calcium_lightning.io.linked import files_beside
from calcium_lightning.io.readers.formats import FOLDER, FORMATS
from calcium_lightning.io.readers.miniscope import METADATA, SETTINGS, STAMPS
from calcium_lightning.io.readers.series import others_of
from calcium_lightning.io.session import FORMAT, VERSION, Session

#: what finds cells; with what a config names, all code that they depend on follows from it
ENTRY = (f"{PACKAGE.name}.pipeline", f"{PACKAGE.name}.extract")
#: what tells of the recordings beside it
BESIDE = (METADATA, SETTINGS, *STAMPS, "ops.npy")
#: what reads recordings; readers are imported by their name
READING = (
    f"{PACKAGE.name}.ingest",
    *(f"{PACKAGE.name}.io.readers.{row.module}" for row in (FOLDER, *FORMATS)),
)
#: keys that say where things are and not what they are
PLACES = ("session", "output", "overwrite", "checkpoint")
INGEST_PLACES = ("input", "output", "overwrite", "truth", "field", "behavior")


@cache
def package_stamp() -> str:
    """The version, and a digest of the code that finds cells: it changes in a checkout of one version."""
    return f"{__version__}+{code_of(ENTRY)[:12]}"


def noted_config(cfg: DictConfig, session: Path, read: Sequence[Path] = ()) -> str:
    """What a cells file keeps of its making: the settings, and recording, weights and code by their content.

    Parameters
    ----------
    cfg : DictConfig
        As ``conf/extract.yaml`` composes it, of one job.
    session : Path
        One of its sessions: with ``preprocess=published`` the cells' own session is made from it.
    read : sequence of Path
        What else is read: the checkpoint, masks, curated cells.

    Returns
    -------
    str
        YAML.
    """
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    plain.pop("logger", None)  # where it is told of
    if read:
        plain["read_sha256"] = [sha256_of(path) for path in read if path.is_file()]
    return OmegaConf.to_yaml(
        {**plain, "recording_sha256": Session(session).sha256(), "code_sha256": code_of(_names(plain))}
    )


def _names(settings: dict[str, Any]) -> list[str]:
    """Modules, classes and functions that a config, a checkpoint or an installed package may name."""
    return [*ENTRY, *_own_parts(settings)]


def _own_parts(settings: dict[str, Any]) -> list[str]:
    """The same without what this package does of itself."""
    given = settings.get("parts") or []
    parts = [module_name(str(name)) for name in (given if isinstance(given, list) else [given])]
    return [*parts, *(entry.module for entry in installed_parts()), *targets_of(settings)]


def is_current(output: Path, session: Path, cfg: DictConfig, read: Sequence[Path] = ()) -> bool:
    """Whether a cells file is what would be made: a run that was broken off goes on with the rest.

    Parameters
    ----------
    output : Path
        The cells file; it need not be there.
    session, cfg, read
        As for :func:`noted_config`.

    Raises
    ------
    InputError
        If the session or the checkpoint isn't there.
    """
    try:
        origin = read_origin(output)
        check_aliases(origin["config"], str(output))
        before = yaml.safe_load(origin["config"])
    except (InputError, yaml.YAMLError):  # something else: it isn't said here what to do about it
        return False
    now = yaml.safe_load(noted_config(cfg, session, read))
    return origin["package_version"] == package_stamp() and _decisive(before) == _decisive(now)


def _decisive(settings: Any) -> Any:
    if not isinstance(settings, dict):
        return settings
    plain = {key: value for key, value in settings.items() if key not in PLACES}
    if isinstance(detector := plain.get("detector"), dict):
        plain["detector"] = {key: value for key, value in detector.items() if key not in PLACES}
    return plain


def recording_stamp(recordings: Sequence[Path], beside: Sequence[Path], cfg: DictConfig) -> str:
    """What a session file keeps of its making, as one digest.

    Recordings are many gigabytes: theirs and the files beside them are told by name, size and when they were
    last changed, as ``rsync`` does.

    Parameters
    ----------
    recordings : sequence of Path
        Files, or folders with all that is in them.
    beside : sequence of Path
        Truth and masks.
    cfg : DictConfig
        As ``conf/ingest.yaml`` composes it.

    Returns
    -------
    str
        SHA-256.
    """
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    settings = {key: value for key, value in plain.items() if key not in INGEST_PLACES}
    code = code_of([*READING, *_own_parts(settings)])
    files = [_fingerprint(path) for path in (*recordings, *beside)]
    text = OmegaConf.to_yaml({"settings": settings, "code": code, "files": files})
    return hashlib.sha256(os.fsencode(text)).hexdigest()


def files_of(path: Path) -> list[Path]:
    """The files of a recording, none hidden, those that tell of it, and those that these name; sorted."""
    if path.is_dir():
        files = [file for file in path.rglob("[!.]*") if not is_session(file)]
    else:
        files = [path, *others_of(path)]
        files += path.parent.glob(f"{glob.escape(path.stem)}*.csv")
    files += [path.parent / name for name in BESIDE]
    files = [file for file in files if file.is_file()]
    for file in [*files]:
        with contextlib.suppress(InputError):  # whoever reads it says what is wrong with it
            files += files_beside(file) if h5py.is_hdf5(file) else []
    return sorted({*files})


def _fingerprint(path: Path) -> list[list[str | int]]:
    """Name, size and time of each file of a recording."""
    found: list[list[str | int]] = []
    for file in files_of(path):
        with contextlib.suppress(FileNotFoundError):
            known = file.stat()
            name = os.path.relpath(file.absolute(), path.absolute().parent)
            found.append([name, known.st_size, known.st_mtime_ns])
    return found


def is_ingested(output: Path, stamp: str) -> bool:
    """Whether a session file is there already that was made with this :func:`recording_stamp`."""
    try:
        with hdf5.open_file(output, FORMAT, VERSION) as file:
            return hdf5.text(file.attrs.get("recording_stamp", "")) == stamp
    except InputError:  # not there, or something else: it isn't said here what to do about it
        return False
