"""Cells as netCDF-4, one labelled dataset: ``xarray.open_dataset(path)`` reads it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.glossary import described
from calcium_lightning.core.output_file import output_file
from calcium_lightning.core.plain import readable
from calcium_lightning.io.writers.measures import decisions, dff, unit_of
from calcium_lightning.io.writers.table import Export

if TYPE_CHECKING:
    import xarray as xr


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write the dataset, compressed, atomically.

    Raises
    ------
    InputError
        If the target exists.
    """
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    data = dataset(cells, export.numbers(cells))
    packed = {
        name: {"zlib": True, "complevel": 4, "shuffle": True}
        for name in ("footprints", "traces", "denoised", "spikes", "dff")
        if data[name].size
    }
    with (
        atomic_path(target, export.overwrite) as temporary,
        output_file(temporary) as output,
        closing(H5NetCDFStore(h5netcdf.File(output, "w"))) as store,
    ):
        data.dump_to_store(store, encoding=packed)


def dataset(cells: Cells, numbers: np.ndarray) -> xr.Dataset:
    """Everything, with dimensions ``cell``, ``time``, ``y`` and ``x``, and units."""
    import xarray as xr

    height, width = cells.frame_shape
    unit = unit_of(cells)

    def named(dims: tuple[str, ...], values: Any, units: str = "", text: str = "") -> Any:
        return dims, values, {"units": units, "long_name": text}

    course, each, picture = ("cell", "time"), ("cell",), ("y", "x")
    variables = {
        "footprints": named(
            ("cell", *picture),
            cells.footprints.toarray().reshape(-1, height, width),
            "1",
            "weight of each pixel; the peak is 1",
        ),
        "traces": named(course, cells.traces, unit, "demixed fluorescence at the footprint's peak"),
        "denoised": named(course, cells.denoised, unit, "fitted calcium trace"),
        "spikes": named(course, cells.spikes, unit, "deconvolved activity"),
        "dff": named(course, dff(cells), "1", "traces over the baseline F0"),
        "center_y": named(each, cells.centers[:, 0], "pixels", "centroid of the footprint"),
        "center_x": named(each, cells.centers[:, 1], "pixels", "centroid of the footprint"),
        "baseline": named(each, cells.baseline, unit, "F0"),
        "accepted": named(each, np.asarray(cells.accepted, np.int8), "1", "passed the tests, or by hand"),
        **{
            f"quality_{name}": named(each, values, "1", described(name))
            for name, values in cells.quality.items()
        },
        **{name: named(each, values, "1", text) for name, (values, text) in decisions(cells).items()},
        "shift_y": named(("time",), cells.shifts[:, 0], "pixels", "how far the tissue had gone"),
        "shift_x": named(("time",), cells.shifts[:, 1], "pixels", "how far the tissue had gone"),
        "mean_image": named(picture, cells.mean_image, unit, "mean of the motion-corrected recording"),
        "max_image": named(picture, cells.max_image, unit, "maximum of the motion-corrected recording"),
    }
    coordinates = {
        "cell": ("cell", numbers, {"long_name": "row in the cells file"}),
        "time": ("time", np.asarray(cells.timestamps, float), {"units": "second"}),  # "seconds" is a date
        "y": ("y", np.arange(height), {"units": "pixels"}),
        "x": ("x", np.arange(width), {"units": "pixels"}),
    }
    facts = {
        "session": readable(cells.session),
        "fps": float(cells.fps),
        "kind": cells.kind,
        "source": f"calcium-lightning {cells.package_version}",
        **({} if cells.pixel_size_um is None else {"pixel_size_um": float(cells.pixel_size_um)}),
    }
    return xr.Dataset(variables, coordinates, facts)
