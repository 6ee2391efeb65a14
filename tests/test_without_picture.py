"""Recordings with frames and pixels that hold no picture, through the commands as they are typed."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tifffile

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.array_session import ArraySession
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.localize.ready import Ready
from calcium_lightning.localize.regress import regress
from calcium_lightning.pipeline import extract, load_model
from calcium_lightning.preprocess.prepare import PreprocessSettings

from .preprocess import artefacts


def test_from_a_recording_with_faults_to_cells_without(run_command, tmp_path):
    made = artefacts.make(51, motion=1.0)
    line = artefacts.dead_lines(made, "dead")
    bad = artefacts.torn(made, "noise")
    tifffile.imwrite(tmp_path / "a.tif", made.stored())
    mask = np.ones(made.size, np.uint8)
    mask[:, :6] = 0
    tifffile.imwrite(tmp_path / "mask.tif", mask)

    done = run_command("ingest", "input=a.tif", "output=a.h5", "fps=20", "field=mask.tif")
    assert done.status == 0, done.stderr
    assert "4 of 200 frames hold no picture of their own (4 torn): left out" in done.stdout
    session = Session(tmp_path / "a.h5")
    np.testing.assert_array_equal(session.field, mask.astype(bool) & ~line)
    np.testing.assert_array_equal(session.bad_frames, bad)
    assert session.field_given

    done = run_command("extract", "session=a.h5", "output=c.h5", "cell_diameter=8")
    assert done.status == 0, done.stderr
    assert "4 of 200 frames hold no picture" in done.stdout
    cells = read_cells(tmp_path / "c.h5")
    assert cells.traces.shape == (len(cells), 200)
    np.testing.assert_array_equal(np.isnan(cells.traces).all(0), bad)
    np.testing.assert_array_equal(np.isnan(cells.spikes).any(0), bad)
    np.testing.assert_array_equal(cells.bad_frames, bad)
    np.testing.assert_array_equal(cells.field, session.field)
    assert np.isfinite(cells.shifts).all()
    assert not np.isin(cells.localizations.frame, np.flatnonzero(bad)).any()
    assert any("hold no picture" in note for note in cells.notes)
    found = cells.centers[cells.accepted]
    nearest = np.linalg.norm(found[:, None] - made.centers[None], axis=2).min(1)
    assert len(found) >= 4
    assert (nearest < 4).mean() > 0.8

    done = run_command("report", "cells=c.h5", "output=page.html")
    assert done.status == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    assert page.index("Before you trust it") < page.index("Field of view")

    done = run_command("extract", "session=a.h5", "output=d.h5", "cell_diameter=8", "bridge_bad_frames=true")
    assert done.status == 0, done.stderr
    assert np.isfinite(read_cells(tmp_path / "d.h5").traces).all()


@pytest.mark.parametrize("stored", ["mean taken off", "eight bits"])
def test_frames_whose_mean_was_taken_off_are_not_moved_at_random(run_command, tmp_path, stored: str) -> None:
    """Such counts, or ΔF/F that was stretched to 8 bits as a whole; no picture in them stands still."""
    made = artefacts.make(52, motion=0.0)
    frames = (16 * (made.frames - made.frames.mean(0))).astype(np.float32)
    if stored == "eight bits":
        change = frames / (16 * made.frames.mean(0))
        frames = np.rint((change - change.min()) / np.ptp(change) * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", frames)
    assert run_command("ingest", "input=a.tif", "output=a.h5", "fps=20").status == 0
    done = run_command("extract", "session=a.h5", "output=c.h5", "cell_diameter=8")
    assert done.status == 0, done.stderr
    assert "no motion removed" in done.stdout
    assert "brightness" not in done.stdout or stored == "eight bits"  # a mean of 0 is none
    cells = read_cells(tmp_path / "c.h5")
    assert not cells.shifts.any()
    found = cells.centers[cells.accepted]
    nearest = np.linalg.norm(found[:, None] - made.centers[None], axis=2).min(1)
    assert len(found) >= 4
    assert (nearest < 4).all()


def test_dff_that_nobody_named_is_recognised(run_command, tmp_path):
    made = artefacts.make(52, motion=0.0)
    change = made.frames / made.frames.mean(0) - 1
    low, high = change.min((1, 2), keepdims=True), change.max((1, 2), keepdims=True)
    tifffile.imwrite(tmp_path / "a.tif", np.rint((change - low) / (high - low) * 255).astype(np.uint8))
    done = run_command("ingest", "input=a.tif", "output=a.h5", "fps=5")
    assert done.status == 0, done.stderr
    assert "taken for ΔF/F whose motion is corrected" in done.stdout
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["frames"].attrs["kind"] == "dff"
        assert file["frames"].attrs["motion_corrected"]
    done = run_command("ingest", "input=a.tif", "output=b.h5", "fps=5", "kind=raw")
    assert done.status == 0, done.stderr
    assert "looks like ΔF/F" in done.stdout
    assert Session(tmp_path / "b.h5").kind == "raw"


def test_arrays_are_looked_at_too():
    made = artefacts.make(53, motion=0.0)
    bad = artefacts.torn(made, "noise")
    mask = np.ones(made.size, bool)
    mask[:, :6] = False
    how = {"fps": 20.0, "cell_diameter": 8.0, "field": mask, "device": "cpu"}
    cells = extract(made.stored(), **how, bridge_bad_frames=True)
    np.testing.assert_array_equal(cells.bad_frames, bad)
    assert not cells.field[:, :6].any()
    assert cells.traces.shape == (len(cells), len(bad))
    assert np.isfinite(cells.traces).all()
    found = load_model(device="cpu").localize(made.stored(), fps=20.0, cell_diameter=8.0)
    assert not np.isin(found.frame, np.flatnonzero(bad)).any()
    assert found.frame.max() >= len(bad) - bad.sum()  # counted in the whole recording
    with pytest.raises(InputError, match="field= needs preprocess"):
        extract(made.stored(), **how, preprocess=PreprocessSettings(repair_defects=False))


def test_a_slow_camera_in_a_fast_file_gives_what_the_camera_saw():
    """Each frame three times: the same cells, at the camera's frames, in the file's time."""
    made = artefacts.make(53, motion=0.0)
    how = {"cell_diameter": 8.0, "device": "cpu"}
    seen = extract(made.stored(), fps=10.0, **how)
    cells = extract(np.repeat(made.stored(), 3, axis=0), fps=30.0, **how)
    assert (cells.fps, cells.traces.shape[1]) == (30.0, 3 * seen.traces.shape[1])
    assert cells.bad_frames is None
    np.testing.assert_allclose(cells.centers, seen.centers, atol=0.05)
    for place in range(3):
        found = cells.denoised[:, place::3]
        np.testing.assert_allclose(found, seen.denoised, atol=0.05 * seen.denoised.max())
        np.testing.assert_array_equal(cells.shifts[place::3], cells.shifts[::3])
    assert not cells.spikes.reshape(len(cells), -1, 3)[..., 1:].any()
    assert cells.spikes.any()
    np.testing.assert_allclose(cells.timestamps[::3], seen.timestamps)
    assert "the camera was slower than the file: 33% of its frames are new" in "; ".join(cells.notes)


def test_a_slow_cameras_cell_is_regressed_anew_in_the_files_time():
    made = artefacts.make(53, motion=0.0)
    session = ArraySession(np.repeat(made.stored(), 2, axis=0), 20.0)
    cells = extract(session, cell_diameter=8.0, device="cpu")
    row = int(np.flatnonzero(cells.accepted)[0])
    again = regress(cells, [row], cells.footprints[[row]], Ready.of(session, cells))
    assert np.corrcoef(again.denoised[0], cells.denoised[row])[0, 1] > 0.98
    assert 0.9 < again.denoised[0].std() / cells.denoised[row].std() < 1.1
    np.testing.assert_array_equal(again.traces[0, 1::2], again.traces[0, ::2])
    assert not again.spikes[0, 1::2].any()
    assert again.spikes[0].any()
