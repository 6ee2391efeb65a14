"""What annotators and simulators know of a recording: a mask of all cells, or a footprint for each.

Reads ``.npy``, ``.png``, ``.mat`` and HDF5 (our own sessions and cells files among them), and carries a truth
along when its recording is cropped, binned and cut. No method reads any of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse import csr_matrix

from calcium_lightning.core.errors import InputError, nearest
from calcium_lightning.core.reading import NO_ARRAY
from calcium_lightning.core.truth import Truth
from calcium_lightning.io.npy import read_array
from calcium_lightning.io.session import Session

#: a mask is scaled to the field: from a square, or with proportions that differ by so much at most
ASPECT_TOLERANCE = 0.2


def read_truth(path: Path | str, shape: tuple[int, int, int], key: str | None = None) -> Truth:
    """Read the truth of a recording.

    Parameters
    ----------
    path : path-like
        A mask (H', W') of two values at its own resolution, covering the whole field; a label image (H, W) of
        values 0 to K; footprints (K, H, W) or (H, W, K); CaImAn's sparse ``A`` (pixels in Fortran order, K);
        or a session or cells file.
    shape : tuple of int
        (T, H, W) of the whole recording, before it is cropped, binned or cut.
    key : str, optional
        The dataset or variable, where the file has several.

    Returns
    -------
    Truth

    Raises
    ------
    InputError
        If the file can't be read, or fits nothing in the recording.
    """
    path = Path(path)
    if not path.is_file():
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"truth={path}: no such file{nearest(path.name, siblings)}")
    known = None if key else _own(path, shape)
    return known or _as_truth(path, _load(path, key), shape[1:])


def _own(path: Path, shape: tuple[int, int, int]) -> Truth | None:
    """The truth in a session or cells file of ours."""
    from calcium_lightning.io.hdf5 import open_any

    with path.open("rb") as stream:
        if stream.read(8) != b"\x89HDF\r\n\x1a\n":
            return None
    with open_any(path) as file:
        identity = file.attrs.get("format")
    if identity == "calcium-lightning-cells":
        from calcium_lightning.io.cells_file import read_cells

        cells = read_cells(path)
        if tuple(cells.frame_shape) != shape[1:]:
            raise InputError(
                f"truth={path}: cells of a field of {tuple(cells.frame_shape)}, the recording's is "
                f"{shape[1:]}"
            )
        return Truth(footprints=cells.footprints)
    if identity != "calcium-lightning-session":
        return None
    with Session(path) as session:
        truth = session.truth
        if truth is None:
            raise InputError(f"truth={path}: a session without truth")
        if session.shape[1:] != shape[1:]:
            raise InputError(
                f"truth={path}: the truth of a field of {session.shape[1:]}, the recording's is {shape[1:]}"
            )
        in_time = any(part is not None for part in (truth.shifts, truth.traces, truth.spikes))
        if in_time and session.n_frames != shape[0]:
            raise InputError(
                f"truth={path}: the truth of {session.n_frames} frames, the recording has {shape[0]}"
            )
        return truth


def _load(path: Path, key: str | None) -> np.ndarray | sparse.spmatrix:
    ending = path.suffix.lower()
    if ending == ".npy":
        return read_array(path, f"truth={path}")
    try:
        if ending == ".png":
            from calcium_lightning.io.readers.images import read_picture

            return read_picture(path)
    except NO_ARRAY as error:
        raise InputError(f"truth={path}: can't be read ({' '.join(str(error).split())})") from error
    import h5py

    if h5py.is_hdf5(path):
        return _load_hdf5(path, key, matlab=ending == ".mat")
    if ending == ".mat":
        return _load_matlab(path, key)
    raise InputError(f"truth={path}: expected a mask or footprints as .npy, .png, .mat or HDF5")


def _load_hdf5(path: Path, key: str | None, matlab: bool) -> np.ndarray:
    from calcium_lightning.io.hdf5 import open_any
    from calcium_lightning.io.readers.hdf5 import datasets
    from calcium_lightning.io.stored import whole

    with open_any(path) as file:
        nodes = {name: node for name, node in datasets(file) if node.ndim in (2, 3) and min(node.shape) > 1}
        name = _choose(
            path, key.strip("/") if key else None, {name: node.shape for name, node in nodes.items()}
        )
        array = np.asarray(whole(nodes[name]))
    return array.T if matlab else array


def _load_matlab(path: Path, key: str | None) -> np.ndarray | sparse.spmatrix:
    from calcium_lightning.io.readers.matlab import load_variable, variables

    sizes = {name: shape for name, shape in variables(path).items() if min(shape, default=0) > 1}
    return load_variable(path, _choose(path, key, sizes))


def _choose(path: Path, key: str | None, sizes: dict[str, tuple[int, ...]]) -> str:
    there = ", ".join(f"{name} {tuple(shape)}" for name, shape in list(sizes.items())[:8]) or "none"
    if key is not None:
        if key not in sizes:
            from calcium_lightning.io.readers.hdf5 import nearest_name

            raise InputError(
                f"truth={path}: no array {key}{nearest_name(key, list(sizes))}; there are: {there}"
            )
        return key
    if len(sizes) != 1:
        raise InputError(f"truth={path}: which array is the truth? Give truth_key=; there are: {there}")
    return next(iter(sizes))


def _as_truth(path: Path, array: np.ndarray | sparse.spmatrix, field: tuple[int, int]) -> Truth:
    if sparse.issparse(array):
        return Truth(footprints=_caiman_footprints(path, array, field))
    if array.ndim == 3 and array.shape[-1] in (2, 3, 4) and path.suffix.lower() == ".png":
        raise InputError(f"truth={path}: a colour picture; expected a mask of two grey values")
    if array.dtype.kind not in "fiub":
        raise InputError(f"truth={path}: values of type {array.dtype}, expected numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"truth={path}: holds NaN or infinite values")
    if array.ndim == 2 and array.size:
        return _mask(path, array, field)
    if array.ndim == 3:
        if array.shape[1:] == field:
            return Truth(
                footprints=unit_peaks(
                    path, csr_matrix(array.reshape(len(array), field[0] * field[1]).astype(np.float32))
                )
            )
        if array.shape[:2] == field:
            return Truth(
                footprints=unit_peaks(
                    path, csr_matrix(array.reshape(-1, array.shape[2]).T.astype(np.float32))
                )
            )
    raise InputError(
        f"truth={path}: of shape {array.shape} fits no field of {field}; expected a mask (H, W) or "
        "footprints (K, H, W)"
    )


def _mask(path: Path, array: np.ndarray, field: tuple[int, int]) -> Truth:
    """A mask of two values, or labels 0 to K."""
    ratio = (array.shape[0] / array.shape[1]) / (field[0] / field[1])
    square = array.shape[0] == array.shape[1]
    if not square and not 1 / (1 + ASPECT_TOLERANCE) <= ratio <= 1 + ASPECT_TOLERANCE:
        raise InputError(
            f"truth={path}: a mask of {array.shape} doesn't fit a field of {field}: other proportions"
        )
    values = np.unique(array)
    if len(values) == 1:
        raise InputError(
            f"truth={path}: the mask is {values[0]} everywhere; expected cells and what is no cell"
        )
    if len(values) == 2:
        return Truth(mask=(array == values[1]).astype(np.uint8))
    if not np.array_equal(values, np.arange(len(values))):
        raise InputError(
            f"truth={path}: {len(values)} different values from {values[0]:g} to {values[-1]:g}; expected "
            "two (a mask) or labels 0 to K"
        )
    mask = (array > 0).astype(np.uint8)
    if array.shape != field:
        return Truth(mask=mask)
    labels = array.astype(np.int64).ravel()
    pixels = np.flatnonzero(labels)
    footprints = csr_matrix(
        (np.ones(len(pixels), np.float32), (labels[pixels] - 1, pixels)), shape=(len(values) - 1, labels.size)
    )
    return Truth(mask=mask, footprints=footprints)


def _caiman_footprints(path: Path, matrix: sparse.spmatrix, field: tuple[int, int]) -> csr_matrix:
    """CaImAn's and CNMF-E's ``A``: (pixels in Fortran order, K)."""
    if matrix.shape[0] != field[0] * field[1]:
        raise InputError(
            f"truth={path}: sparse footprints of {matrix.shape[0]} pixels don't fit a field of {field}"
        )
    fortran = np.arange(matrix.shape[0]).reshape(field, order="F").ravel()
    return unit_peaks(path, csr_matrix(csr_matrix(matrix)[fortran].T.astype(np.float32)))


def unit_peaks(path: Path, footprints: csr_matrix) -> csr_matrix:
    """Scale footprints to peaks of 1, refusing negative and empty ones."""
    if not footprints.shape[0]:
        raise InputError(f"truth={path}: holds no footprint")
    footprints.eliminate_zeros()
    if footprints.nnz and footprints.data.min() < 0:
        raise InputError(f"truth={path}: footprints hold negative values")
    peaks = footprints.max(axis=1).toarray().ravel()
    if (peaks == 0).any():
        raise InputError(f"truth={path}: {int((peaks == 0).sum())} of {len(peaks)} footprints are empty")
    return csr_matrix(sparse.diags(1 / peaks) @ footprints, dtype=np.float32)
