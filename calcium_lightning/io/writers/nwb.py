"""Cells as Neurodata Without Borders (NWB), to go on with in any of its tools.

Knows :class:`~calcium_lightning.core.cells.Cells` and pynwb. NWB's axes are (x, y) and (time, ...), ours
(y, x) and (cell, time): every turn between the two is in this file, and is tested on a field that is not
square.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.version import __version__
from calcium_lightning.io.writers.table import Export, chosen_cells

if TYPE_CHECKING:
    from pynwb import NWBFile
    from pynwb.ophys import ImagingPlane, PlaneSegmentation

MASKS = ("pixel", "image")
UM_PER_CM = 1e4
#: a clock that strays from a constant rate by less than this share of a frame is written as a rate
REGULAR = 0.01


@dataclass(frozen=True)
class NwbSettings:
    """What NWB wants to know and a cells file doesn't.

    Attributes
    ----------
    session_start_time : str, optional
        ISO 8601, with or without a time zone (then the local one); default: what the recorder said, or else
        when the session file was last changed, or the cells file if the session is gone.
    masks : {"pixel", "image"}
        Footprints as lists of (x, y, weight), or as whole images (compressed).
    localizations : bool
        Write the table of every localisation in every frame too.
    indicator, location, excitation_nm, emission_nm, device
        Of the imaging plane.
    subject_id, species, sex, age
        Of the animal; ``sex`` is M, F, U or O, ``age`` is ISO 8601 (P90D).
    experimenter, lab, institution, session_description
        Of the session.
    """

    session_start_time: str | None = None
    masks: str = "pixel"
    localizations: bool = False
    indicator: str = "unknown"
    location: str = "unknown"
    device: str | None = None
    excitation_nm: float | None = None
    emission_nm: float | None = None
    subject_id: str | None = None
    species: str | None = None
    sex: str | None = None
    age: str | None = None
    experimenter: str | None = None
    lab: str | None = None
    institution: str | None = None
    session_description: str | None = None


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write an NWB file, as :func:`export_nwb` does."""
    export_nwb(
        cells,
        target,
        NwbSettings(**export.settings),
        source=export.source,
        overwrite=export.overwrite,
        numbers=export.numbers(cells),
    )


def export_nwb(
    cells: Cells,
    path: Path | str,
    settings: NwbSettings | None = None,
    *,
    source: Path | None = None,
    overwrite: bool = False,
    numbers: np.ndarray | None = None,
) -> None:
    """Write an NWB file, atomically.

    In the processing module ``ophys``: ``ImageSegmentation/PlaneSegmentation`` (one row per cell: mask,
    centre, accepted, quality), ``Fluorescence`` (``traces``, ``denoised``), ``Deconvolved`` (``spikes``),
    ``DfOverF`` where a baseline is known, ``xy_translation`` (motion), ``SummaryImages`` (mean, max).

    Parameters
    ----------
    cells : Cells
        What to write; all of it, rejected cells too.
    path : path-like
        The file to make.
    settings : NwbSettings, optional
        Facts that a cells file doesn't hold.
    source : Path, optional
        The cells file, for the time of a session that is gone and for the record.
    overwrite : bool
        Replace an existing file.
    numbers : ndarray of int (K,), optional
        The cells' numbers, which are the ids of their rows; default 0 to K - 1.

    Raises
    ------
    InputError
        If the target exists, a setting makes no sense, or there are no cells.
    """
    from pynwb import NWBHDF5IO

    settings = settings or NwbSettings()
    if settings.masks not in MASKS:
        raise InputError(f"nwb.masks={settings.masks}: {' or '.join(MASKS)}")
    if not len(cells):
        raise InputError(f"{source or path}: no cells to export")
    file = _file(cells, settings, source)
    plane = _imaging_plane(file, cells, settings)
    module = file.create_processing_module("ophys", "cells found by calcium-lightning, and what they did")
    numbers = np.arange(len(cells)) if numbers is None else numbers
    segmentation = _segmentation(module, plane, cells, settings.masks, numbers)
    _responses(module, segmentation, cells)
    _motion(module, cells)
    _images(module, cells)
    if settings.localizations:
        _localizations(module, cells, numbers)
    with atomic_path(path, overwrite) as temporary, NWBHDF5IO(str(temporary), "w") as stream:
        stream.write(file)


def to_nwb(
    cells: Cells, path: Path | str, *, rejected: bool = False, overwrite: bool = False, **facts: Any
) -> None:
    """Write accepted cells, or all, as NWB; the facts are fields of :class:`NwbSettings`.

    Raises
    ------
    InputError
        If a fact isn't one, with those that resemble it; and as :func:`export_nwb`.
    """
    known = [field.name for field in fields(NwbSettings)]
    for name in facts:
        if name not in known:
            raise InputError(f"to_nwb: {name}= is no fact that NWB takes{nearest(name, known)}")
    chosen, rows = chosen_cells(cells, rejected)
    export_nwb(chosen, path, NwbSettings(**facts), overwrite=overwrite, numbers=rows)


def start_time(cells: Cells, settings: NwbSettings, source: Path | None) -> tuple[datetime, str]:
    """When the session began, with a time zone, and how that is known.

    Raises
    ------
    InputError
        If the given time isn't ISO 8601.
    """
    if settings.session_start_time is not None:
        try:
            moment = datetime.fromisoformat(str(settings.session_start_time))
        except ValueError as error:
            raise InputError(
                f"nwb.session_start_time={settings.session_start_time}: not a time "
                "like 2026-03-01T14:30:00+01:00"
            ) from error
        return (moment if moment.tzinfo else moment.astimezone()), "given"
    if (noted := _recorded(cells)) is not None:
        return noted, "as the recorder noted it"
    for file in (Path(cells.session) if cells.session else None, source):
        if file is not None and file.is_file():
            moment = datetime.fromtimestamp(file.stat().st_mtime, tz=UTC)
            return moment, f"unknown; this is when {file.name} was last changed"
    return datetime(1970, 1, 1, tzinfo=UTC), "unknown"


def _recorded(cells: Cells) -> datetime | None:
    """The start that the recorder noted; None where it did not, or in no form that is known."""
    try:
        moment = datetime.fromisoformat(cells.about.get("session_start_time", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.astimezone()


def _file(cells: Cells, settings: NwbSettings, source: Path | None) -> NWBFile:
    from pynwb import NWBFile
    from pynwb.file import Subject

    moment, known = start_time(cells, settings, source)
    notes = [f"Session start time: {known}."]
    if cells.session:
        notes.append(f"Session file: {cells.session} (sha256 {cells.session_sha256}).")
    file = NWBFile(
        session_description=settings.session_description or "One-photon calcium imaging",
        identifier=str(uuid4()),
        session_start_time=moment,
        session_id=Path(cells.session).stem or None,
        experimenter=settings.experimenter or cells.about.get("experimenter"),
        experiment_description=cells.about.get("experiment"),
        lab=settings.lab,
        institution=settings.institution,
        keywords=["calcium imaging", "one-photon", "cell extraction"],
        notes=" ".join(notes),
        source_script=cells.config or None,
        source_script_file_name="extract.yaml" if cells.config else None,  # NWB wants both or neither
        was_generated_by=[["calcium-lightning", cells.package_version or __version__]],
    )
    facts = {name: getattr(settings, name) for name in ("subject_id", "species", "sex", "age")}
    facts["subject_id"] = facts["subject_id"] or cells.about.get("subject_id")
    if any(facts.values()):
        file.subject = Subject(**{name: value for name, value in facts.items() if value})
    return file


def _imaging_plane(file: NWBFile, cells: Cells, settings: NwbSettings) -> ImagingPlane:
    from pynwb.ophys import OpticalChannel

    grid: dict[str, Any] = {}
    if cells.pixel_size_um is not None:
        size = cells.pixel_size_um * 1e-6
        grid = {"grid_spacing": [size, size], "grid_spacing_unit": "meters"}
    channel = OpticalChannel(
        name="OpticalChannel", description="emission", emission_lambda=_wavelength(settings.emission_nm)
    )
    return file.create_imaging_plane(
        name="ImagingPlane",
        optical_channel=channel,
        description=f"the field of view, {cells.frame_shape[1]} x {cells.frame_shape[0]} pixels (x, y)",
        device=file.create_device("Microscope", description=_device(cells, settings)),
        excitation_lambda=_wavelength(settings.excitation_nm),
        indicator=settings.indicator,
        location=settings.location,
        imaging_rate=float(cells.fps),
        **grid,
    )


def _device(cells: Cells, settings: NwbSettings) -> str:
    return settings.device or cells.about.get("device") or "one-photon microscope"


def _wavelength(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _segmentation(
    module: Any, plane: ImagingPlane, cells: Cells, masks: str, numbers: np.ndarray
) -> PlaneSegmentation:
    from hdmf.backends.hdf5 import H5DataIO
    from hdmf.common import VectorData, VectorIndex
    from pynwb.ophys import ImageSegmentation, PlaneSegmentation

    height, width = cells.frame_shape
    matrix = cells.footprints
    if masks == "pixel":
        y, x = np.divmod(matrix.indices, width)
        pixels = np.empty(matrix.nnz, [("x", "<u4"), ("y", "<u4"), ("weight", "<f4")])
        pixels["x"], pixels["y"], pixels["weight"] = x, y, matrix.data
        mask = VectorData(
            name="pixel_mask", description="x, y and weight of each pixel; the peak weighs 1", data=pixels
        )
        ends = VectorIndex(name="pixel_mask_index", data=matrix.indptr[1:].astype(np.uint64), target=mask)
        columns: list[Any] = [mask, ends]
    else:
        images = matrix.toarray().reshape(-1, height, width).transpose(0, 2, 1)  # NWB's images are (x, y)
        wrapped = H5DataIO(images, compression="gzip", chunks=(1, width, height))
        columns = [VectorData(name="image_mask", description="weight of each pixel, (x, y)", data=wrapped)]
    facts = {
        "accepted": (np.asarray(cells.accepted, bool), "passed the quality tests"),
        "center": (cells.centers[:, ::-1], "(x, y) of the footprint's bright part, pixels"),
        "center_std": (cells.center_std[:, ::-1], "standard error of the centre (x, y), pixels"),
        "baseline": (cells.baseline, "F0, the frames' units"),
    }
    for name, values in cells.quality.items():
        column = re.sub(r"\W", "_", name)
        column = f"quality_{column}" if column in facts or column == "id" else column
        facts[column] = (values, f"quality: {name}{' (0 to 1)' if name == 'score' else ''}")
    columns += [
        VectorData(name=name, description=text, data=np.ascontiguousarray(values))
        for name, (values, text) in facts.items()
    ]
    segmentation = PlaneSegmentation(
        name="PlaneSegmentation",
        description=f"demixed footprints of single cells; they may overlap{_told(cells)}",
        imaging_plane=plane,
        id=numbers,
        columns=columns,
        colnames=[column.name for column in columns if not isinstance(column, VectorIndex)],
    )
    module.add(ImageSegmentation(plane_segmentations=[segmentation]))
    return segmentation


def _told(cells: Cells) -> str:
    """How many of the accepted cells are expected to be false, where that is known."""
    accepted = int(np.count_nonzero(cells.accepted))
    return (
        f"; of the accepted, {cells.false_discovery.in_words(accepted)}"
        if cells.false_discovery and accepted
        else ""
    )


def _responses(module: Any, segmentation: PlaneSegmentation, cells: Cells) -> None:
    from hdmf.backends.hdf5 import H5DataIO
    from pynwb.ophys import DfOverF, Fluorescence, RoiResponseSeries

    every = list(range(len(cells)))
    relative = cells.kind == "dff"

    def series(name: str, values: np.ndarray, text: str, unit: str, rows: list[int]) -> RoiResponseSeries:
        region = segmentation.create_roi_table_region(description="cells of the series", region=rows)
        return RoiResponseSeries(
            name=name,
            data=H5DataIO(np.ascontiguousarray(values.T), compression="gzip", shuffle=True),
            rois=region,
            unit=unit,
            description=text,
            **_clock(cells),
        )

    def container(kind: type, name: str, *members: RoiResponseSeries) -> None:
        holder = kind(name=name)
        module.add(holder)  # before its series: their region must share an ancestor with the table
        for member in members:
            holder.add_roi_response_series(member)

    unit = "n.a." if relative else "a.u."
    container(
        Fluorescence,
        "Fluorescence",
        series("traces", cells.traces, "demixed fluorescence at the footprint's peak", unit, every),
        series("denoised", cells.denoised, "fitted calcium trace", unit, every),
    )
    spikes = series("spikes", cells.spikes, "deconvolved activity", "a.u.", every)
    container(Fluorescence, "Deconvolved", spikes)
    if relative:
        rows, ratio, text = every, cells.traces, "the traces: the frames were dF/F already"
    else:
        rows = [int(k) for k in np.flatnonzero(cells.baseline > 0)]
        ratio = cells.traces[rows] / cells.baseline[rows, None]
        text = "traces over the cell's baseline F0; cells with F0 <= 0 are left out"
    if rows:
        container(DfOverF, "DfOverF", series("dff", ratio, text, "n.a.", rows))


def _motion(module: Any, cells: Cells) -> None:
    from pynwb import TimeSeries

    module.add(
        TimeSeries(
            name="xy_translation",
            # NWB's is what moves a frame back into place; ours is how far the tissue had gone
            data=-cells.shifts[:, ::-1],
            unit="pixels",
            description="(x, y) translation that aligns each frame with the common field, as it was applied",
            **_clock(cells),
        )
    )


def _images(module: Any, cells: Cells) -> None:
    from pynwb.base import Images
    from pynwb.image import GrayscaleImage

    # pixels per centimetre
    resolution = {} if cells.pixel_size_um is None else {"resolution": UM_PER_CM / cells.pixel_size_um}
    pictures = [
        GrayscaleImage(name=name, data=image.T.copy(), description=f"{text}, (x, y)", **resolution)
        for name, image, text in (
            ("mean", cells.mean_image, "mean of the motion-corrected recording"),
            ("max", cells.max_image, "maximum of the motion-corrected recording"),
        )
    ]
    module.add(Images(name="SummaryImages", images=pictures, description="images of the whole recording"))


def _localizations(module: Any, cells: Cells, numbers: np.ndarray) -> None:
    from hdmf.backends.hdf5 import H5DataIO
    from hdmf.common import DynamicTable, VectorData

    texts = {
        "frame": "index of the frame, from 0",
        "x": "pixels",
        "y": "pixels",
        "amplitude": "peak brightness, the frames' units",
        "x_std": "standard error, pixels",
        "y_std": "standard error, pixels",
        "cell": "id of the cell that claimed it, -1 for none",
    }
    found = cells.localizations
    found = replace(found, cell=np.append(numbers, -1)[found.cell].astype(np.int32))
    compressed = {"compression": "gzip", "shuffle": True} if len(found) else {}
    columns = [
        VectorData(name=name, description=text, data=H5DataIO(getattr(found, name), **compressed))
        for name, text in texts.items()
    ]
    module.add(
        DynamicTable(
            name="localizations",
            description="every localisation in every frame",
            id=H5DataIO(np.arange(len(found)), **compressed),
            columns=columns,
        )
    )


def _clock(cells: Cells) -> dict[str, Any]:
    """A start and a rate where the time stamps are regular, else the time stamps."""
    times = np.asarray(cells.timestamps, float)
    period = 1 / cells.fps
    if len(times) > 1:
        period = float((times[-1] - times[0]) / (len(times) - 1))
    even = times[0] + period * np.arange(len(times)) if len(times) else times
    if period > 0 and np.abs(times - even).max(initial=0) < REGULAR * period:
        return {"starting_time": float(times[0]) if len(times) else 0.0, "rate": 1 / period}
    return {"timestamps": times}
