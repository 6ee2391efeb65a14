"""Libraries write to the end of a full disk, and the system's own error is told."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import torch

from calcium_lightning.core.output_file import OutputFile, output_file


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
