"""Every format of a folder or file ends a full disk as an error of the system, and leaves nothing."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from helpers.example_cells import make_example

from calcium_lightning.command.failures import diagnose
from calcium_lightning.io.writers.table import WRITERS, Export

resource = pytest.importorskip("resource")
CELLS, _ = make_example(8)


@pytest.fixture(params=[3_000, 20_000])
def limit(request) -> Iterator[int]:
    """Files of this process end there, as those of a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (request.param, hard))
    yield request.param
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("format", [row.format for row in WRITERS if not row.movie])
def test_what_there_is_no_room_for_is_told_and_leaves_nothing(tmp_path, limit, format):
    writer = next(row for row in WRITERS if row.format == format)
    export = Export(ids=np.arange(len(CELLS)), source=tmp_path / "cells.h5")
    target = tmp_path / f"out{writer.ending if not writer.folder else ''}"
    failed = None
    try:
        writer.write(CELLS, target, export)
    except OSError as error:
        failed = error
    if failed is None:
        assert limit > 3_000 or format == "imagej"
        files = [target] if target.is_file() else [*target.iterdir()]
        assert max(path.stat().st_size for path in files) <= limit
        return
    assert failed.errno in (errno.EFBIG, errno.ENOSPC)
    assert diagnose("export", failed).explained
    assert not list(tmp_path.iterdir())
