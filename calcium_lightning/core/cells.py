"""Cells: what ``extract`` finds, and all that an export or a report needs.

Knows arrays; knows nothing of how cells were found, nor of the file that holds them
(:mod:`~calcium_lightning.io.cells_file`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.behavior import Behavior
from calcium_lightning.core.conveniences import convenience
from calcium_lightning.core.false_discovery import FalseDiscovery
from calcium_lightning.core.scale import CENTROID_LEVEL
from calcium_lightning.core.standing import Standing

#: what of a cell is as long as the recording
TRACES = ("traces", "denoised", "spikes")


@dataclass(frozen=True)
class Localizations:
    """Every localisation in every frame, (N,) each.

    Attributes
    ----------
    frame : ndarray, int32
        Index of the frame.
    y, x, y_std, x_std : ndarray, float32
        Position and its standard error, pixels of the session's frames.
    amplitude : ndarray, float32
        Peak brightness, units of the frames.
    cell : ndarray, int32
        Row of the cell that claimed it, -1 for none.
    """

    frame: np.ndarray
    y: np.ndarray
    x: np.ndarray
    amplitude: np.ndarray
    y_std: np.ndarray
    x_std: np.ndarray
    cell: np.ndarray

    @classmethod
    def empty(cls) -> Localizations:
        """No localisations."""
        real = np.zeros(0, np.float32)
        whole = np.zeros(0, np.int32)
        return cls(whole, real, real, real, real, real, whole)

    @classmethod
    def concatenate(cls, parts: Iterable[Localizations]) -> Localizations:
        """Several, in order."""
        held = [cls.empty(), *parts]
        return cls(
            **{part.name: np.concatenate([getattr(one, part.name) for one in held]) for part in fields(cls)}
        )

    def __len__(self) -> int:
        return len(self.frame)

    def blocks(self) -> Iterator[Localizations]:
        """Yield them in pieces; these are in memory, and one."""
        yield self


LOCALIZATION_TYPES = {
    part.name: np.int32 if part.name in ("frame", "cell") else np.float32 for part in fields(Localizations)
}


class Rows(Protocol):
    """Traces (K, T), float32, that need not be in memory: any span of rows can be had."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(K, T)."""
        ...

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """Some rows."""
        ...


class LocalizationBlocks(Protocol):
    """Localisations that need not be in memory."""

    def blocks(self) -> Iterator[Localizations]:
        """Yield them in pieces, in order of their frames."""
        ...


@dataclass(frozen=True, kw_only=True, repr=False)
class CellTable:
    """K cells of a session of T frames of (H, W) pixels, without their traces.

    Attributes
    ----------
    centers, center_std : ndarray, float32 (K, 2)
        (y, x) of the centroid of the footprint's part above 30 % of its peak, and its standard error, pixels.
    footprints : csr_matrix, float32 (K, H*W)
        Each scaled to a peak of 1.
    frame_shape : (int, int)
        (H, W).
    accepted : ndarray, bool (K,)
        Passed the quality tests, or decided by hand.
    quality : dict of str to ndarray, float32 (K,)
        ``snr``, ``score`` (0 to 1) and whatever else the tests use.
    shifts : ndarray, float32 (T, 2)
        The motion that was removed (dy, dx), pixels, sign as in the session.
    baseline : ndarray, float32 (K,)
        F0 of each cell in the units of the frames.
    mean_image, max_image : ndarray, float32 (H, W)
        Of the motion-corrected recording.
    peak_image : ndarray, float32 (H, W), or None
        How far the surroundings of each pixel rise above their background at most, in units of a pixel's
        noise: what is always there is not in it. None where it isn't known.
    timestamps : ndarray, float64 (T,)
        Seconds.
    session, session_sha256 : str
        Path and hash of the session.
    fps : float
        Hz.
    kind : {"raw", "dff"}
        Units of the frames.
    pixel_size_um : float or None
        Micrometres per pixel.
    config : str
        The whole config of the run, YAML.
    package_version : str
        Version of this package that wrote the file.
    about : dict of str to str
        Who, what and when, where the recorder said so, as a session has it.
    nonrigid : float or None
        Motion that differs over the field, root mean square of its length, pixels: removed where there are
        ``patch_shifts``, left otherwise. None where it isn't known.
    pattern_cleared : bool or None
        Whether what stands still before the tissue was cleared from the frames. None where it isn't known.
    patch_shifts, patch_std : ndarray, float32 (T, Py, Px, 2) and (Py, Px, 2), or None
        The motion that was removed at places from border to border, and its standard error, pixels; between
        them it is bilinear. ``shifts`` is then its mean over the field.
    false_discovery : FalseDiscovery or None
        How many of the accepted are expected to be false. None where it isn't known.
    field : ndarray, bool (H, W), or None
        Which pixels show tissue; all of them where it is None.
    bad_frames : ndarray, bool (T,), or None
        Which frames hold no picture and were used for nothing; none where it is None.
    notes : tuple of str
        What a person should know of the recording before trusting the cells.
    curation : Standing or None
        What a person decided; ``accepted`` follows it. None where nobody has.
    behavior : tuple of Behavior
        Times of a camera or of events, in the clock of ``timestamps``.
    """

    centers: np.ndarray
    center_std: np.ndarray
    footprints: csr_matrix
    frame_shape: tuple[int, int]
    accepted: np.ndarray
    quality: dict[str, np.ndarray]
    shifts: np.ndarray
    baseline: np.ndarray
    mean_image: np.ndarray
    max_image: np.ndarray
    timestamps: np.ndarray
    session: str = ""
    session_sha256: str = ""
    fps: float = 1.0
    kind: str = "raw"
    peak_image: np.ndarray | None = None
    pixel_size_um: float | None = None
    config: str = ""
    package_version: str = ""
    about: dict[str, str] = field(default_factory=dict)
    nonrigid: float | None = None
    pattern_cleared: bool | None = None
    patch_shifts: np.ndarray | None = None
    patch_std: np.ndarray | None = None
    false_discovery: FalseDiscovery | None = None
    field: np.ndarray | None = None
    bad_frames: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    curation: Standing | None = None
    behavior: tuple[Behavior, ...] = ()

    def __len__(self) -> int:
        return len(self.centers)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({int(np.sum(self.accepted))} accepted of {len(self)}, "
            f"{(self.n_frames, *self.frame_shape)} at {self.fps:g} Hz)"
        )

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.shifts)

    @property
    def measured_frames(self) -> int:
        """How many frames hold a picture: over their time rates are taken."""
        return self.n_frames - (0 if self.bad_frames is None else int(np.sum(self.bad_frames)))

    @property
    def verdict(self) -> str:
        """How many of the accepted are expected to be false, or why none is accepted; "" where not known."""
        known, accepted = self.false_discovery, int(np.sum(self.accepted))
        if known is None or not len(self):
            return ""
        if accepted:
            return known.in_words(accepted)
        return known.why_none(int((self.quality["fdr"] <= known.fdr).sum()) if "fdr" in self.quality else 0)

    @property
    def lit_image(self) -> np.ndarray:
        """Where cells lit up, (H, W): the peak to noise, or maximum less mean where it isn't known."""
        return self.max_image - self.mean_image if self.peak_image is None else self.peak_image


@dataclass(frozen=True, kw_only=True, repr=False)
class Cells(CellTable):
    """The cells of a session; see :class:`CellTable` for what isn't listed here.

    Attributes
    ----------
    traces : ndarray, float32 (K, T)
        Demixed fluorescence in the units of the frames (peak pixel), baseline 0.
    denoised, spikes : ndarray, float32 (K, T)
        The fitted calcium trace and the deconvolved activity.
    localizations : Localizations
        Every localisation in every frame.
    """

    traces: np.ndarray
    denoised: np.ndarray
    spikes: np.ndarray
    localizations: Localizations = field(default_factory=Localizations.empty)

    def to_nwb(
        self, path: Path | str, *, rejected: bool = False, overwrite: bool = False, **facts: Any
    ) -> None:
        """Write the accepted ones as Neurodata Without Borders.

        Parameters
        ----------
        path : path-like
            The file to make.
        rejected : bool
            Write the others too.
        overwrite : bool
            Replace an existing file.
        **facts
            What a cells file doesn't know: fields of :class:`~calcium_lightning.io.writers.nwb.NwbSettings`,
            such as ``subject_id``, ``species``, ``session_start_time``.

        Raises
        ------
        InputError
            If the target exists, a fact isn't one, or there are no cells.
        """
        convenience("to_nwb")(self, path, rejected=rejected, overwrite=overwrite, **facts)

    def to_csv(self, path: Path | str, *, rejected: bool = False, overwrite: bool = False) -> None:
        """Write the accepted ones as a table (a path that ends in ``.csv``), or as a folder of tables.

        Parameters
        ----------
        path : path-like
            What to make; see :func:`~calcium_lightning.io.writers.csv.write`.
        rejected : bool
            Write the others too.
        overwrite : bool
            Replace what is there.

        Raises
        ------
        InputError
            If the target exists.
        """
        convenience("to_csv")(self, path, rejected=rejected, overwrite=overwrite)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw their outlines over what lit up, the maximum less the mean image.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; default a new figure.
        **options
            Of :func:`~calcium_lightning.pages.notebook.plot_cells`: ``rejected``, ``labels``, ``level``.

        Returns
        -------
        matplotlib Axes
        """
        return convenience("plot")(self, ax, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows of them."""
        return str(convenience("html")(self))


@dataclass(frozen=True, kw_only=True, repr=False)
class StreamedCells(CellTable):
    """Cells whose traces and localisations are somewhere else, to be written piece by piece.

    Attributes
    ----------
    traces, denoised, spikes : Rows
        (K, T).
    localizations : LocalizationBlocks
        Every localisation in every frame.
    """

    traces: Rows
    denoised: Rows
    spikes: Rows
    localizations: LocalizationBlocks

    def in_memory(self) -> Cells:
        """Read everything."""
        parts = {part.name: getattr(self, part.name) for part in fields(CellTable)}
        traces = {name: self.__dict__[name][slice(None)] for name in TRACES}
        found = Localizations.concatenate(self.localizations.blocks())
        return Cells(**parts, **traces, localizations=found)


def footprint_centers(
    footprints: csr_matrix, frame_shape: tuple[int, int], level: float = CENTROID_LEVEL
) -> np.ndarray:
    """Centroid (y, x) of the part of each footprint above ``level`` of its peak.

    Returns
    -------
    ndarray, float32 (K, 2)
        Pixels; NaN for an empty footprint.
    """
    matrix = csr_matrix(footprints)
    count = matrix.shape[0]
    rows = np.repeat(np.arange(count), np.diff(matrix.indptr))
    peaks = np.zeros(count)
    np.maximum.at(peaks, rows, matrix.data)
    weights = np.where(matrix.data > level * peaks[rows], matrix.data, 0).astype(np.float64)
    y, x = np.divmod(matrix.indices, frame_shape[1])
    mass = np.bincount(rows, weights, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        centers = (
            np.stack([np.bincount(rows, weights * y, count), np.bincount(rows, weights * x, count)], 1)
            / mass[:, None]
        )
    return centers.astype(np.float32)
