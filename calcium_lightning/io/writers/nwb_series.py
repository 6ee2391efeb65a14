"""What is as long as the recording, and its pictures, as NWB: traces, motion, behaviour, localisations.

NWB's axes are (x, y) and (time, ...), ours (y, x) and (cell, time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calcium_lightning.core.behavior import Behavior
from calcium_lightning.core.cells import Cells

if TYPE_CHECKING:
    from pynwb import NWBFile
    from pynwb.ophys import PlaneSegmentation, RoiResponseSeries

UM_PER_CM = 1e4
#: a clock that strays from a constant rate by less than this share of a frame is written as a rate
REGULAR = 0.01


def add_responses(module: Any, segmentation: PlaneSegmentation, cells: Cells) -> None:
    """Traces, denoised traces, activity, and ΔF/F where a baseline is known, each a series of all cells."""
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
    spikes = series("spikes", cells.spikes, "deconvolved activity", unit, every)
    container(Fluorescence, "Deconvolved", spikes)
    if relative:
        rows, ratio, text = every, cells.traces, "the traces: the frames were dF/F already"
    else:
        rows = [int(k) for k in np.flatnonzero(cells.baseline > 0)]
        ratio = cells.traces[rows] / cells.baseline[rows, None]
        text = "traces over the cell's baseline F0; cells with F0 <= 0 are left out"
    if rows:
        container(DfOverF, "DfOverF", series("dff", ratio, text, "n.a.", rows))


def add_behavior(file: NWBFile, found: Sequence[Behavior]) -> None:
    """Time stamps of cameras and events, each with the other columns of its table."""
    from pynwb import TimeSeries

    module = file.create_processing_module("behavior", "when the animal was filmed, and what was noted of it")
    for one in found:
        values = one.values if one.values.shape[1] else np.arange(len(one.times))[:, None]
        told = ", ".join(one.columns) if any(one.columns) else "rows of its table"
        module.add(
            TimeSeries(
                name=one.name,
                data=values[:, 0] if values.shape[1] == 1 else values,
                unit="n.a.",
                description=f"columns: {told}; the times are in the recording's clock",
                **clock_of(one.times),
            )
        )


def add_motion(module: Any, cells: Cells) -> None:
    """How each frame was moved back into place."""
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


def add_images(module: Any, cells: Cells) -> None:
    """Mean and maximum of the recording, and its peak to noise where that is known."""
    from pynwb.base import Images
    from pynwb.image import GrayscaleImage

    # pixels per centimetre
    resolution = {} if cells.pixel_size_um is None else {"resolution": UM_PER_CM / cells.pixel_size_um}
    pictures = [
        GrayscaleImage(name=name, data=image.T.copy(), description=f"{text}, (x, y)", **resolution)
        for name, image, text in (
            ("mean", cells.mean_image, "mean of the motion-corrected recording"),
            ("max", cells.max_image, "maximum of the motion-corrected recording"),
            ("peak_to_noise", cells.peak_image, "largest rise above the background, in units of the noise"),
        )
        if image is not None
    ]
    module.add(Images(name="SummaryImages", images=pictures, description="images of the whole recording"))


def add_localizations(module: Any, cells: Cells, numbers: np.ndarray) -> None:
    """A table of every localisation; ``numbers`` are the cells' (K,)."""
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
    return clock_of(np.asarray(cells.timestamps, float), cells.fps)


def clock_of(times: np.ndarray, fps: float = 1.0) -> dict[str, Any]:
    """The same of any times (N,), seconds; ``fps`` is for less than two."""
    period = 1 / fps
    if len(times) > 1:
        period = float((times[-1] - times[0]) / (len(times) - 1))
    even = times[0] + period * np.arange(len(times)) if len(times) else times
    if period > 0 and np.abs(times - even).max(initial=0) < REGULAR * period:
        return {"starting_time": float(times[0]) if len(times) else 0.0, "rate": 1 / period}
    return {"timestamps": times}
