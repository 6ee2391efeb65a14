"""Libraries write to the end of a full disk, and the system's own error is told."""

from __future__ import annotations

import errno
from typing import Any

import h5py
import pytest
import torch

from calcium_lightning.core.output_file import PIECE, OutputFile, output_file
from calcium_lightning.io.hdf5_output import create_file


class Full(OutputFile):
    """Has no room from the second write on."""

    def write(self, data: Any, /) -> int:
        if self.tell():
            self.abandoned = True
            self.failed = self.failed or OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_torch_s_words_of_positions_are_not_heard(tmp_path, monkeypatch):
    with output_file(tmp_path / "a.ckpt") as output:
        torch.save({"a": torch.ones(100)}, output)
    assert torch.load(tmp_path / "a.ckpt")["a"].sum() == 100
    monkeypatch.setattr("calcium_lightning.core.output_file.OutputFile", Full)
    with pytest.raises(OSError) as caught, output_file(tmp_path / "b.ckpt") as output:  # noqa: PT011
        torch.save({"a": torch.ones(100)}, output)
    assert caught.value.errno == errno.ENOSPC


def test_what_would_have_been_written_is_read_again_as_hdf5_crashes_on_anything_else(tmp_path):
    with Full(tmp_path / "a", "w+b") as output:
        output.write(b"there")
        output.write(b"gone")
        output.write(b"x" * (PIECE + 1))  # numbers, which nobody reads again
        output.seek(3)
        found = bytearray(b"?" * 10)
        assert output.readinto(found) == 10
        assert found == b"regone\0\0\0\0"
        output.seek(5)
        output.write(b"over")
        output.seek(5)
        assert output.readinto(memoryview(found)[:4]) == 4
        assert found.startswith(b"over")
        assert output.tell() == 9
    assert (tmp_path / "a").read_bytes() == b"there"


def write_texts(path):
    with create_file(path) as file:
        for name in "abc":
            file.create_dataset(name, data=[f"{name}{row}" for row in range(300)], dtype=h5py.string_dtype())
            assert len(file[name].asstr()[...]) == 300


def test_texts_after_the_end_of_a_full_disk_are_an_error_of_the_system(tmp_path, monkeypatch):
    write_texts(tmp_path / "a.h5")
    monkeypatch.setattr("calcium_lightning.core.output_file.OutputFile", Full)
    with pytest.raises(OSError, match="No space left"):
        write_texts(tmp_path / "b.h5")
