"""Files that are being opened when a signal comes."""

from __future__ import annotations

import gc
import sys

import h5py
import pytest

from calcium_lightning.command.interrupts import Terminated
from calcium_lightning.io.hdf5_output import create_file


def test_a_signal_while_a_file_is_opened_leaves_nothing_open_and_nothing_to_complain_of(
    tmp_path, monkeypatch
):
    opened = h5py._hl.files.make_fid

    def interrupted(*arguments, **named):
        held = opened(*arguments, **named)  # until this frame is forgotten
        raise Terminated(15) if held.valid else AssertionError

    complaints = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    monkeypatch.setattr(h5py._hl.files, "make_fid", interrupted)
    with pytest.raises(Terminated), create_file(tmp_path / "a.h5"):
        pass
    gc.collect()
    assert complaints == []
    monkeypatch.undo()
    with create_file(tmp_path / "a.h5") as file:  # another may take its place
        file["x"] = [1, 2]
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file["x"]) == [1, 2]
