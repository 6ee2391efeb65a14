"""Which other files an HDF5 file's numbers are in, and that a change of theirs is seen."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.tiny_session import make_session
from omegaconf import OmegaConf

from calcium_lightning.io.linked import files_beside
from calcium_lightning.io.origin import noted_config, recording_stamp

FRAMES = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)


def virtual(path: Path, source: str, inside: str) -> None:
    layout = h5py.VirtualLayout(FRAMES.shape, FRAMES.dtype)
    layout[:] = h5py.VirtualSource(source, inside, FRAMES.shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)


@pytest.fixture
def chain(tmp_path) -> Path:
    """A link to a virtual dataset of a file in another folder, whose numbers are in a raw file."""
    (tmp_path / "sub").mkdir()
    FRAMES.tofile(tmp_path / "sub/raw.bin")
    with h5py.File(tmp_path / "sub/deep.h5", "w") as file:
        raw = [(str(tmp_path / "sub/raw.bin"), 0, FRAMES.nbytes)]
        file.create_dataset("d", FRAMES.shape, FRAMES.dtype, external=raw)
    virtual(tmp_path / "sub/mid.h5", "deep.h5", "d")
    with h5py.File(tmp_path / "top.h5", "w") as file:
        file["frames"] = h5py.ExternalLink("sub/mid.h5", "d")
        file["group/gone"] = h5py.ExternalLink("nowhere.h5", "d")
        file["plain"] = FRAMES
    return tmp_path / "top.h5"


def test_files_are_followed_to_the_last(chain):
    names = [path.name for path in files_beside(chain, "frames")]
    assert names == ["deep.h5", "mid.h5", "raw.bin"]
    assert files_beside(chain) == files_beside(chain, "frames")
    assert files_beside(chain, "plain") == files_beside(chain, "nothing") == []


def test_circles_and_lists_of_videos_end(tmp_path):
    virtual(tmp_path / "one.h5", "two.h5", "d")
    virtual(tmp_path / "two.h5", "one.h5", "d")
    assert [path.name for path in files_beside(tmp_path / "one.h5", "d")] == ["two.h5"]
    (tmp_path / "0.avi").touch()
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file["acquisition/movie/external_file"] = ["0.avi", "1.avi"]
    assert [path.name for path in files_beside(tmp_path / "a.nwb")] == ["0.avi"]


def test_a_recording_has_changed_if_a_file_that_it_reaches_has(chain):
    cfg = OmegaConf.create({"input": str(chain), "parts": None})
    before = recording_stamp([chain], [], cfg)
    assert recording_stamp([chain], [], cfg) == before
    os.utime(chain.parent / "sub/raw.bin", ns=(1, 1))
    assert recording_stamp([chain], [], cfg) != before


def test_so_have_cells_if_a_mask_or_a_checkpoint_has(tmp_path):
    session, mask = make_session(tmp_path / "a.h5", frames=4), tmp_path / "mask.npy"
    cfg = OmegaConf.create({"parts": None, "field": str(mask)})
    mask.write_bytes(b"one")
    before = noted_config(cfg, session, [mask])
    assert noted_config(cfg, session, [mask]) == before
    mask.write_bytes(b"two")
    assert noted_config(cfg, session, [mask]) != before
