"""What a run's folder holds, and whose it is.

``checkpoints/{best,last}.ckpt``, ``metrics.csv``, ``figures/``, ``summary.json`` (of a finished run),
``job.json`` (:mod:`~calcium_lightning.runs.jobs`) and Hydra's ``.hydra/``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calcium_lightning.command.composed import keep
from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import mapping, read_json
from calcium_lightning.runs.jobs import NAME


@dataclass(frozen=True)
class RunFolder:
    """Names inside a run's folder.

    Attributes
    ----------
    path : Path
        The folder.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of ``best.ckpt`` and ``last.ckpt``."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint of least held-out reconstruction error."""
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.checkpoints / "last.ckpt"

    @property
    def metrics(self) -> Path:
        """The table of all logged numbers."""
        return self.path / "metrics.csv"

    @property
    def figures(self) -> Path:
        """Folder of pictures."""
        return self.path / "figures"

    @property
    def summary(self) -> Path:
        """What came out, for programs."""
        return self.path / "summary.json"

    def held(self) -> list[Path]:
        """What is there of a run."""
        parts = (self.checkpoints, self.metrics, self.figures, self.summary)
        return [part for part in parts if part.exists()]

    def claim(self, overwrite: bool = False, resume: Path | None = None) -> None:
        """Make the folder this run's.

        What Hydra has written of its settings counts from here on. A run that resumes another's checkpoint
        takes its metrics, figures and best checkpoint along.

        Raises
        ------
        InputError
            If the folder holds a run already, which is neither overwritten nor resumed; or what is called
            like parts of a run and is none, which isn't overwritten either.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        source = RunFolder(resume.resolve().parent.parent) if resume is not None else None
        if source is not None and source.path == self.path.resolve():
            keep(self.path)
            self.summary.unlink(missing_ok=True)  # it goes on: it isn't finished
            return
        held = self.held()
        foreign = [part for part in held if part.is_dir()] if not (self.path / NAME).is_file() else []
        foreign = [part for part in foreign if any(not is_ours(item) for item in part.iterdir())]
        if foreign:
            raise InputError(
                f"{foreign[0]}: is there already, and of no training; give another hydra.run.dir="
            )
        if held and not overwrite:
            raise InputError(
                f"{self.path}: holds a run already; overwrite=true replaces it, ckpt_path={self.last} "
                "goes on with it"
            )
        for part in held:
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()
        keep(self.path)
        if (
            source is not None
            and resume is not None
            and resume.resolve().parent.name == self.checkpoints.name
        ):
            for part in (source.metrics, source.best, source.figures):
                target = self.path / part.relative_to(source.path)
                if part.is_dir():
                    shutil.copytree(part, target)
                elif part.is_file():
                    target.parent.mkdir(exist_ok=True)
                    shutil.copy2(part, target)

    def take(self, source: RunFolder) -> None:
        """Copy what an identical run has left, so that this folder holds what every run's does.

        Raises
        ------
        InputError
            If the folder holds a run already.
        """
        self.claim(resume=source.last)
        if source.last.is_file():
            shutil.copy2(source.last, self.last)
        values = source.read_summary()
        here = {"checkpoint": str(self.best if self.best.is_file() else self.last), "last": str(self.last)}
        here |= {"metrics": str(self.metrics), "figures": str(self.figures)}
        self.write_summary({**values, **here})

    def read_summary(self) -> dict[str, Any]:
        """What came out; empty where the run isn't finished."""
        try:
            return mapping(read_json(self.summary))
        except (InputError, OSError):
            return {}

    def write_summary(self, values: dict[str, Any]) -> None:
        """Write what came out as JSON."""
        with atomic_path(self.summary, overwrite=True) as temporary:
            temporary.write_text(json.dumps(values, indent=2) + "\n")


def is_ours(path: Path) -> bool:
    """Whether a training writes files of such a name into its ``checkpoints`` or ``figures``."""
    return path.match("epoch_*.png") or path.name in ("best.ckpt", "last.ckpt")
