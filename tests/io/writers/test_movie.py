"""The motion-corrected movie: the tissue stands still in it, and every frame is there."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest
import tifffile
import zarr
from helpers.example_cells import make_example
from scipy.ndimage import gaussian_filter, shift

from calcium_lightning.exports import export
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter

FRAMES, SIZE = 150, (60, 84)


@pytest.fixture
def made(tmp_path):
    """A texture that wanders, its cells file, and the texture."""
    rng = np.random.default_rng(0)
    still = 100 + 40 * gaussian_filter(rng.normal(0, 1, SIZE), 3) / 0.1
    moved = np.cumsum(rng.normal(0, 0.4, (FRAMES, 2)), 0).clip(-4, 4).astype(np.float32)
    frames = np.stack([shift(still, m, order=3, mode="nearest") for m in moved])
    with SessionWriter(tmp_path / "s.h5", *SIZE, "uint8", 20.0) as writer:
        writer.append(np.clip(np.rint(frames), 0, 255).astype(np.uint8))
    cells = make_example(length=FRAMES)[0]
    with Session(tmp_path / "s.h5") as session:
        cells = replace(cells, shifts=moved, session=str(session.path), session_sha256=session.sha256())
    write_cells(tmp_path / "cells.h5", cells)
    return still, cells


def wander(movie, still):
    """Mean deviation from the still texture, away from the border."""
    inside = (slice(None), slice(8, -8), slice(8, -8))
    return np.abs(movie.astype(float)[inside] - still[inside[1:]]).mean()


@pytest.mark.parametrize("ending", ["tif", "zarr"])
def test_levels_are_kept_and_motion_is_undone(made, tmp_path, run_command, ending):
    still, _ = made
    done = run_command("export", "cells=cells.h5", f"output=m.{ending}")
    assert done.status == 0, done.stderr
    path = tmp_path / f"m.{ending}"
    movie = tifffile.imread(path) if ending == "tif" else np.asarray(zarr.open(str(path))[:])
    assert (movie.shape, movie.dtype) == ((FRAMES, *SIZE), np.uint8)
    assert wander(movie, still) < 0.6  # rounding and interpolation
    again = run_command("export", "cells=cells.h5", f"output=m.{ending}")
    assert (again.status, "overwrite=true" in again.stderr) == (2, True)
    assert run_command("export", "cells=cells.h5", f"output=m.{ending}", "overwrite=true").status == 0
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cells.h5", f"m.{ending}", "s.h5"]


@pytest.mark.parametrize(("size", "most"), [(None, 1 << 32), (1.6, 1 << 32), (0.7, 0)])
def test_frame_rate_and_scale_go_along(made, tmp_path, monkeypatch, size, most):
    """ImageJ shows them, and a recording that is read again has them; a file above 4 GB is a BigTIFF."""
    monkeypatch.setattr("calcium_lightning.io.writers.movie.MOST_BYTES", most)
    cells = replace(made[1], pixel_size_um=size)
    for ending in ("tif", "zarr"):
        export(cells, tmp_path / f"m.{ending}")
        with open_recording(tmp_path / f"m.{ending}") as recording:
            assert recording.fps == pytest.approx(20)
            assert recording.pixel_size_um == (None if size is None else pytest.approx(size))
            assert recording.shape == (FRAMES, *SIZE)
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        assert file.is_bigtiff == (most == 0)
        assert file.imagej_metadata["frames"] == FRAMES
        assert file.imagej_metadata["finterval"] == pytest.approx(0.05)


def test_an_mp4_with_outlines(made, tmp_path, run_command):
    _, cells = made
    assert run_command("export", "cells=cells.h5", "output=plain.mp4").status == 0
    done = run_command("export", "cells=cells.h5", "output=drawn.mp4", "outlines=true")
    assert done.status == 0, done.stderr
    colour = {}
    for name in ("plain", "drawn"):
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            assert float(container.streams.video[0].average_rate) == 20
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == FRAMES
        assert frames[0].shape == (2 * SIZE[0], 2 * SIZE[1], 3)
        colour[name] = (frames[70].max(-1).astype(int) - frames[70].min(-1)) > 60
    assert not colour["plain"].any()
    assert colour["drawn"].any()
    # each accepted cell's outline, and no other's, is near its centre
    rows, columns = np.nonzero(colour["drawn"])
    for center, accepted in zip(cells.centers, cells.accepted, strict=True):
        near = np.hypot(rows - 2 * center[0] - 0.5, columns - 2 * center[1] - 0.5) < 9
        assert (np.count_nonzero(near) > 10) == accepted


def test_what_makes_no_movie_is_one_line(made, tmp_path, run_command):
    _, cells = made
    (tmp_path / "precious.zarr").mkdir()
    write_cells(tmp_path / "lost.h5", replace(cells, session="gone.h5"))
    write_cells(tmp_path / "strange.h5", replace(cells, session_sha256="0" * 64))
    other = make_example(length=FRAMES - 1)[0]
    write_cells(tmp_path / "other.h5", replace(other, session=cells.session))
    for overrides, complaint in (
        (["cells=lost.h5", "output=m.mp4"], "session="),
        (["cells=other.h5", "output=m.mp4"], "the cells are of"),
        (["cells=strange.h5", "output=m.tif", "session=s.h5"], "isn't the recording of these cells"),
        (["cells=cells.h5", "output=m.tif", "outlines=true"], "outlines=true"),
        (["cells=cells.h5", "output=m.nwb", "outlines=true"], "for movies"),
        (["cells=cells.h5", "output=precious.zarr", "overwrite=true"], "no zarr array"),
    ):
        outcome = run_command("export", *overrides)
        assert (outcome.status, complaint in outcome.stderr) == (2, True), outcome.stderr
        assert len(outcome.stderr.strip().splitlines()) == 1
    assert run_command("export", "cells=lost.h5", "output=m.tif", "session=s.h5").status == 0
    assert sorted(path.name for path in tmp_path.glob("m.*")) == ["m.tif"]
