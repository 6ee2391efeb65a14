"""A mask of the field, as a person draws it."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tifffile

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.mask import read_mask


def test_a_mask_is_read_from_arrays_and_pictures(tmp_path):
    mask = np.arange(30).reshape(5, 6) > 11
    np.save(tmp_path / "a.npy", mask)
    tifffile.imwrite(tmp_path / "a.tif", mask.astype(np.uint8) * 255)
    for name in ("a.npy", "a.tif"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), mask)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("none.npy", None, "no such file"),
        ("a.txt", b"text", "expected a mask as .npy"),
        ("a.npy", b"text", "can't be read"),
        ("b.npy", np.zeros((4, 5)), "no pixel is set"),
        ("c.npy", np.ones((2, 4, 5)), "expected one value a pixel"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, name, content, line):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(InputError, match=line):
        read_mask(path)


def test_a_pipe_is_no_mask(tmp_path):
    os.mkfifo(tmp_path / "f.npy")
    with pytest.raises(InputError, match="no regular file"):
        read_mask(tmp_path / "f.npy")


def test_an_array_that_is_none_or_promises_too_much_is_no_mask(tmp_path):
    np.savez(tmp_path / "several.npz", a=np.ones((3, 3)))
    (tmp_path / "several.npz").rename(tmp_path / "a.npy")
    with pytest.raises(InputError, match=r"field=.*a\.npy: can't be read"):
        read_mask(tmp_path / "a.npy")
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000)}\n"
    (tmp_path / "a.npy").write_bytes(
        b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(80)
    )
    with pytest.raises(InputError, match="promises 8000000000000 bytes, 80 are there"):
        read_mask(tmp_path / "a.npy")
