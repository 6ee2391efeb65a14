"""Compressed frames that are inflated here: the same as HDF5's, and HDF5's to complain of where they aren't."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.inflate import Inflater
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter


def write(path, dtype, count=11, chunk=4, **filters):
    frames = np.random.default_rng(0).integers(0, 255, (count, 6, 5)).astype(dtype)
    with h5py.File(path, "w") as file:
        file.create_dataset("frames", data=frames, chunks=(chunk, 6, 5), **filters)
    return frames


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("filters", [{"shuffle": True}, {}])
@pytest.mark.parametrize(("start", "stop"), [(0, 11), (4, 8), (5, 7), (3, 10), (8, 11)])
def test_any_part_is_what_hdf5_reads(tmp_path, dtype, filters, start, stop):
    frames = write(tmp_path / "a.h5", dtype, compression="gzip", **filters)
    with h5py.File(tmp_path / "a.h5") as file:
        assert Inflater.can(file["frames"])
        inflater = Inflater(file["frames"])
        for _ in range(2):  # the second time from what is kept
            out = np.zeros((stop - start, 6, 5), dtype)
            assert inflater.read_into(start, out)
            np.testing.assert_array_equal(out, frames[start:stop])


@pytest.mark.parametrize(
    "filters", [{}, {"compression": "lzf"}, {"compression": "gzip", "fletcher32": True}, {"scaleoffset": 0}]
)
def test_other_filters_are_left_to_hdf5(tmp_path, filters):
    write(tmp_path / "a.h5", "uint16", **filters)
    with h5py.File(tmp_path / "a.h5") as file:
        assert not Inflater.can(file["frames"])


def test_a_chunk_that_was_never_compressed_is_left_to_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        frames = file.create_dataset("frames", (4, 6, 5), "uint8", chunks=(4, 6, 5), compression="gzip")
        frames.id.write_direct_chunk((0, 0, 0), bytes(range(120)), filter_mask=1)
        assert not Inflater(frames).read_into(0, np.zeros((4, 6, 5), np.uint8))


def test_a_damaged_chunk_is_told_as_ever(tmp_path):
    path = tmp_path / "a.h5"
    with SessionWriter(path, 30, 40, "uint8", 20.0, compression="gzip") as writer:
        writer.append(np.random.default_rng(0).integers(0, 255, (40, 30, 40)).astype(np.uint8))
    with h5py.File(path) as file:
        place = file["frames"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 40 : place + 60] = bytes(20)
    path.write_bytes(content)
    with Session(path) as session, pytest.raises(InputError, match=r"a\.h5: /frames 0 to 9 .*damaged"):
        session.frames(0, 10)
