"""Cells as a MATLAB file of version 7.3, with the names and the orders that MATLAB people expect.

``A`` (H x W x K), ``C_raw``, ``C``, ``S`` and ``dff`` (K x T) are CNMF-E's names for footprints, demixed
traces, denoised traces, deconvolved activity and ΔF/F; ``fs`` in Hz, ``time`` (T x 1) in seconds. Rows and
columns are counted from 1, as MATLAB counts them; cells keep their numbers, from 0, in ``cell_id``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.events import find_events
from calcium_lightning.io.hdf5_output import create_file
from calcium_lightning.io.writers.measures import decisions, dff
from calcium_lightning.io.writers.table import Export

#: bytes that MATLAB wants in front of the HDF5, and what it wants to read there: text, version, byte order
USERBLOCK = 512
HEADER = b"MATLAB 7.3 MAT-file, Platform: calcium-lightning, HDF5 schema 1.00 .".ljust(116)
HEADER += bytes(8) + b"\x00\x02IM"


def write(cells: Cells, target: Path, export: Export) -> None:
    """Write a ``.mat`` file, atomically.

    Raises
    ------
    InputError
        If the target exists.
    """
    save(target, variables(cells, export.numbers(cells)), export.overwrite)


def variables(cells: Cells, numbers: np.ndarray) -> dict[str, Any]:
    """The file's variables, in MATLAB's order of axes."""
    height, width = cells.frame_shape
    events = find_events(cells.traces, cells.denoised)
    said = decisions(cells)
    times = np.asarray(cells.timestamps, float)
    return {
        "A": cells.footprints.toarray().reshape(-1, height, width).transpose(1, 2, 0),
        "C_raw": cells.traces,
        "C": cells.denoised,
        "S": cells.spikes,
        "dff": dff(cells),
        "F0": cells.baseline,
        "fs": float(cells.fps),
        "time": times,
        "cell_id": numbers.astype(float),
        "accepted": np.asarray(cells.accepted, bool),
        "centroid": cells.centers.astype(float) + 1,  # (row, column)
        "centroid_std": cells.center_std.astype(float),
        "quality": {name: values.astype(float) for name, values in cells.quality.items()},
        **({"decisions": {name: values for name, (values, _) in said.items()}} if said else {}),
        "events": {
            "cell_id": numbers[events.cell].astype(float),
            "onset_s": times[events.onset_frame],
            "peak_s": times[events.peak_frame],
            "amplitude": events.amplitude.astype(float),
            "snr": events.snr.astype(float),
            "duration_s": events.duration_frames / cells.fps,
        },
        "shifts": cells.shifts.astype(float),  # (rows, columns): how far the tissue had gone
        "mean_image": cells.mean_image,
        "max_image": cells.max_image,
        "pixel_size_um": np.nan if cells.pixel_size_um is None else float(cells.pixel_size_um),
        "kind": cells.kind,
        "session": cells.session,
        "made_by": f"calcium-lightning {cells.package_version}",
    }


def save(target: Path, named: dict[str, Any], overwrite: bool) -> None:
    """Write variables as version 7.3, which MATLAB's ``load`` reads; vectors are columns.

    ``hdf5storage.savemat`` does the same with a file that it opens by its name, and crashes on a full disk.
    """
    from hdf5storage import Options
    from hdf5storage.utilities import LowLevelFile

    options = Options(matlab_compatible=True, oned_as="column", store_python_metadata=False)
    with atomic_path(target, overwrite) as temporary:
        with create_file(temporary, userblock_size=USERBLOCK) as file:
            low_level = LowLevelFile(file, options)
            for name, value in named.items():
                low_level.write_data(file, name, value, None)
        with temporary.open("r+b") as stream:
            stream.write(HEADER)
