"""The kinds of recordings that accuracy is measured on, and the command that makes each.

One table; nothing else knows what kinds there are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from calcium_lightning.core.errors import InputError, nearest

HERE = Path(__file__).resolve().parent
MINISIM, OURS, PUBLISHED = "minisim", "ours", "published"


@dataclass(frozen=True)
class Kind:
    """Recordings that differ in their seed only.

    Attributes
    ----------
    name : str
        Of the files and the table's rows.
    about : str
        What it is, in a few words.
    source : {"minisim", "ours", "published"}
        Who makes it: minisim, our simulator, or the published dataset.
    arguments : tuple of str
        For ``peers/minisim_session.py`` or ``calcium_lightning.simulate``.
    """

    name: str
    about: str
    source: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """One recording of a kind.

    Attributes
    ----------
    kind : Kind
        Its kind.
    seed : str
        Of the simulation; a published session's name.
    folder : Path or None
        A published session's frames.
    mask : Path or None
        A published session's mask.
    """

    kind: Kind
    seed: str
    folder: Path | None = None
    mask: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.kind.name}_{self.seed}"

    def command(self, target: Path, minisim: Path | None) -> list[str]:
        """What makes it.

        Raises
        ------
        InputError
            If it takes minisim and there is none.
        """
        if self.kind.source == MINISIM:
            if minisim is None:
                raise InputError(
                    f"{self.name} is simulated by minisim: give --minisim ENVIRONMENT/bin/python"
                )
            script = HERE / "peers" / "minisim_session.py"
            region, *rest = self.kind.arguments
            return [str(minisim), str(script), region, self.seed, str(target), *rest]
        name = "simulate" if self.kind.source == OURS else "ingest"
        given = [f"seed={self.seed}", *self.kind.arguments]
        if self.kind.source == PUBLISHED:
            given = [quoted("input", self.folder), quoted("truth", self.mask), *self.kind.arguments]
        return ours(name, quoted("output", target), *given, run=target.parent)


def ours(name: str, *overrides: str, run: Path) -> list[str]:
    """A command of this project; its run's folder is in the folder ``run``."""
    folder = quoted("hydra.run.dir", run / ".hydra_run")
    return [sys.executable, "-m", f"calcium_lightning.{name}", *overrides, folder]


def quoted(key: str, path: Path | None) -> str:
    """An override with a path in it, as Hydra reads it."""
    return f'{key}="{path}"'


#: a Miniscope V4 over two tissues, and what else is told of them
REGIONS = {"ca1": ("ca1", "CA1"), "l23": ("cortex_l23", "cortex, layers 2/3")}
#: nothing is set anew for these: the default is 60 s at 20 Hz of 256x256 px with brain motion
VARIATIONS = {
    "10fps": ("10 Hz", ("--fps", "10")),
    "30fps": ("30 Hz", ("--fps", "30")),
    "128px": ("128x128 px", ("--pixels", "128")),
    "400px": ("400x400 px", ("--pixels", "400")),
    "still": ("no motion", ("--still",)),
    "20s": ("20 s", ("--seconds", "20")),
    "300s": ("5 min", ("--seconds", "300")),
}
#: where methods come apart: many cells, slow, dim, behind neuropil
HARD = {
    "ca1_dense": ("CA1, 2.5 times as many cells", ("ca1", "--density", "2.5")),
    "ca1_slow": ("CA1, slow transients that come often", ("ca1", "--busy", "3", "--decay", "1.5")),
    "ca1_dark": ("CA1, a fifth of the light", ("ca1", "--light", "0.2")),
    "ca1_haze": ("CA1, three times the neuropil", ("ca1", "--neuropil", "3")),
    "l23_mixed": (
        "cortex, denser, busier, darker, more neuropil",
        ("cortex_l23", "--density", "2", "--light", "0.5", "--neuropil", "1.5", "--busy", "2"),
    ),
}
PRESETS = {
    "sim_ca1": ("miniscope_ca1", "CA1, 60 s at 20 Hz, 256x256 px"),
    "sim_cortex": ("miniscope_cortex", "cortex, 60 s at 20 Hz, 256x256 px"),
    "sim_dff": ("dff_5fps", "ΔF/F, 130 s at 5 Hz, 200x200 px, stretched frame by frame"),
    "sim_demo": ("demo", "CA1, 40 s at 20 Hz, 160x160 px: the quickest"),
    "sim_dense": ("dense", "CA1, 2.5 times as many cells"),
    "sim_slow": ("slow", "CA1, slow transients that come often"),
    "sim_dark": ("dark", "CA1, a fifth of the light"),
    "sim_haze": ("haze", "CA1, heavy neuropil"),
    "sim_mixed": ("mixed", "cortex, denser, busier, darker, more neuropil"),
    "sim_large": ("large", "CA1, large and elongated cells among others"),
    "sim_lens": ("lens", "CA1, a lens's edge in the frame"),
    "sim_vessels": ("vessels", "CA1, vessels whose walls flicker"),
    "sim_blobs": ("blobs", "CA1, cells far out of focus behind"),
    "sim_denoised": ("denoised", "CA1, noise correlated in time and space"),
    "sim_lossy": ("lossy", "CA1, through H.264"),
    "sim_bad_frames": ("bad_frames", "CA1, black, white, torn and duplicated frames"),
}


def _table() -> Iterator[Kind]:
    for name, (region, tissue) in REGIONS.items():
        yield Kind(name, f"minisim: {tissue}, 60 s at 20 Hz, 256x256 px, brain motion", MINISIM, (region,))
        for variation, (told, arguments) in VARIATIONS.items():
            yield Kind(f"{name}_{variation}", f"minisim: {tissue}, but {told}", MINISIM, (region, *arguments))
    for name, (told, arguments) in HARD.items():
        yield Kind(name, f"minisim: {told}", MINISIM, arguments)
    for name, (preset, told) in PRESETS.items():
        yield Kind(name, f"our simulator: {told}", OURS, (f"simulation={preset}",))
    known = ("kind=dff", "motion_corrected=true", "fps=5")
    yield Kind("published", "the published sessions, annotators' masks in place of a truth", PUBLISHED, known)


KINDS = {kind.name: kind for kind in _table()}


def choose(patterns: Sequence[str] | None, minisim: bool, published: bool) -> list[Kind]:
    """The kinds of some patterns (``ca1*``), or all that can be made.

    Raises
    ------
    InputError
        If a pattern fits none.
    """
    if patterns is None:
        there = {OURS, *([MINISIM] if minisim else []), *([PUBLISHED] if published else [])}
        return [kind for kind in KINDS.values() if kind.source in there]
    chosen = matching("--kinds", patterns, KINDS, "no such kind", "; --help lists them")
    return [kind for name, kind in KINDS.items() if name in chosen]


def matching(
    option: str, patterns: Sequence[str], names: Iterable[str], wrong: str, help: str = ""
) -> set[str]:
    """The names that fit at least one pattern of an option.

    Raises
    ------
    InputError
        If a pattern fits none.
    """
    known = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise InputError(f"{option} {pattern}: {wrong}{nearest(pattern, known)}{help}")
    return {name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)}


def recordings(kind: Kind, seeds: Sequence[int], published: Path | None) -> list[Recording]:
    """Each seed's, or each session of the published dataset.

    Raises
    ------
    InputError
        If it takes the published dataset and there is none.
    """
    if kind.source != PUBLISHED:
        return [Recording(kind, str(seed)) for seed in seeds]
    if published is None:
        raise InputError(f"{kind.name}: where are the published sessions? Give --published FOLDER")
    sys.path.append(str(HERE.parent / "published"))
    from dataset import find_sessions

    return [Recording(kind, part.name, part.frames, part.mask) for part in find_sessions(published)]
