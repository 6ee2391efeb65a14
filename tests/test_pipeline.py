"""From a session to cells in one call, against the simulator's truth."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.ndimage import shift as scipy_shift
from scipy.spatial.distance import cdist

import calcium_lightning
from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.core.cells import Cells, footprint_centers
from calcium_lightning.core.device import choose_device
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.finder import LocalizeSettings
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.pipeline import extract, write_foreground
from calcium_lightning.preprocess.prepare import PreprocessSettings, prepare
from calcium_lightning.simulation import Scene, SceneSettings

BANDPASS = WindowDetector(BandpassDetector(), BandpassDetector.window)
HOW = {"detector": BANDPASS, "cell_diameter": 10.0, "device": "cpu"}
SIZE = (72, 92)


@pytest.mark.parametrize(
    "settings", [LocalizeSettings(), PreprocessSettings()], ids=["localize", "preprocess"]
)
def test_the_command_and_a_notebook_go_the_same_way(settings) -> None:
    group = type(settings).__name__.removesuffix("Settings").lower()
    assert instantiate(OmegaConf.load(conf_dir() / group / "default.yaml")) == settings


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    """Bright cells of 10 px that move, over a field that isn't square; shifts as if they had been estimated."""
    scene = Scene(
        SceneSettings(
            height_px=SIZE[0],
            width_px=SIZE[1],
            seconds=25,
            fps=20,
            cell_diameter_px=(9.0, 11.0),
            brightness=0.5,
        ),
        seed=4,
    )
    path = tmp_path_factory.mktemp("pipeline") / "moving.h5"
    with SessionWriter(path, *SIZE, "uint8", 20.0, pixel_size_um=1.7) as writer:
        writer.append(scene.frames())
        writer.set_shifts(scene.truth.shifts)
        writer.set_timestamps(3.5 + np.arange(scene.n_frames) / 20)
        writer.set_truth(scene.truth)
    return Session(path)


@pytest.fixture(scope="module")
def cells(session):
    return extract(session, **HOW, config="a: 1\n")


def test_cells_lie_where_the_true_ones_do_in_session_pixels(session, cells):
    truth = session.truth
    true = footprint_centers(truth.footprints, SIZE)
    found = cells.centers[cells.accepted]
    distance = cdist(true, found)
    near = distance.min(1)
    bright = truth.amplitude > np.median(truth.amplitude)
    assert len(found) >= 5
    assert (near[bright] < 3).mean() >= 0.6
    hit = (distance.min(0) < 4).mean()
    assert hit >= 0.7
    matched = near < 2.5
    assert np.median(near[matched]) < 1.2
    # No systematic offset along either axis: grids, shifts and axes agree.
    offset = np.median((found[distance.argmin(1)] - true)[matched], 0)
    assert (np.abs(offset) < 0.5).all()


def test_traces_follow_the_truth_in_the_frames_units(session, cells):
    truth = session.truth
    distance = cdist(footprint_centers(truth.footprints, SIZE), cells.centers)
    pairs = [
        (k, row.argmin())
        for k, row in enumerate(distance)
        if row.min() < 1.5 and truth.amplitude[k] > np.median(truth.amplitude)
    ]
    fit = [np.corrcoef(truth.traces[k], cells.denoised[j])[0, 1] for k, j in pairs]
    assert np.median(fit) > 0.85
    ratio = [cells.denoised[j].max() / truth.traces[k].max() for k, j in pairs]
    assert 0.5 < np.median(ratio) < 1.6


def test_the_parts_fit_the_session_and_each_other(session, cells):
    assert (cells.fps, cells.kind, cells.pixel_size_um, cells.config) == (20.0, "raw", 1.7, "a: 1\n")
    assert cells.session == str(session.path)
    assert cells.session_sha256 == session.sha256()
    np.testing.assert_array_equal(cells.shifts, session.shifts)
    np.testing.assert_allclose(cells.timestamps, session.timestamps)
    assert (np.diff(cells.quality["score"]) <= 0).all()  # the best first
    assert {"snr", "score"} <= cells.quality.keys()
    np.testing.assert_allclose(cells.footprints.max(1).toarray(), 1, atol=1e-6)
    np.testing.assert_allclose(cells.centers, footprint_centers(cells.footprints, SIZE), atol=1e-4)
    assert (cells.center_std > 0).all()
    assert np.isfinite(cells.traces).all()
    spots = cells.localizations
    assert (np.diff(spots.frame) >= 0).all()
    assert spots.frame.max() < session.n_frames
    claimed = spots.cell >= 0
    distance = np.hypot(*(np.stack([spots.y, spots.x], 1)[claimed] - cells.centers[spots.cell[claimed]]).T)
    assert np.median(distance) < 2.5
    assert distance.max() < 8
    # F0 is what lies under a cell without what it adds.
    at = np.array([cells.mean_image[tuple(center)] for center in np.round(cells.centers).astype(int)])
    assert np.corrcoef(cells.baseline, at)[0, 1] > 0.9
    under = (cells.footprints @ cells.mean_image.ravel()) / cells.footprints.sum(1).A1
    assert np.corrcoef(cells.baseline, under)[0, 1] > 0.99
    assert ((cells.baseline > 0.85 * under) & (cells.baseline < under)).all()


def test_mean_and_max_are_of_the_registered_recording(session):
    prepared = prepare(session, 10.0)
    with ScratchMovie(prepared.scale.size) as movie:
        images = write_foreground(prepared, movie)
        assert movie.n_frames == session.n_frames
    shifts = np.round(session.shifts)
    frames = session.frames().astype(float)
    moved = np.stack(
        [
            scipy_shift(frame, -shift, order=0, cval=np.nan)
            for frame, shift in zip(frames, shifts, strict=True)
        ]
    )
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(images.mean[inner], np.nanmean(moved, 0)[inner], atol=1e-3)
    np.testing.assert_allclose(images.max[inner], np.nanmax(moved, 0)[inner], atol=1e-3)
    assert images.mean.shape == SIZE
    assert np.isfinite(images.mean).all()


def test_another_frame_rate_changes_the_clock(session):
    settings = PreprocessSettings(motion=None)
    quick = extract(session, **HOW, preprocess=settings, fps=40.0, pixel_size_um=3.0)
    assert (quick.fps, quick.pixel_size_um) == (40.0, 3.0)
    np.testing.assert_allclose(quick.timestamps, np.arange(session.n_frames) / 40)


def test_too_short_and_too_coarse_are_refused(session, tmp_path):
    with SessionWriter(tmp_path / "a.h5", 60, 60, "uint8", 20.0) as writer:
        writer.append(np.zeros((9, 60, 60), np.uint8))
    with pytest.raises(
        InputError, match=r"a\.h5: 9 frames are fewer than a window of 0.5 s \(10 frames at 20 Hz\)"
    ):
        extract(tmp_path / "a.h5", **HOW)
    with pytest.raises(
        InputError, match=r"cells of 50 px don't fit a field of \(72, 92\) px; check cell_diameter="
    ):
        extract(session, **HOW | {"cell_diameter": 50.0})


def test_devices_are_chosen_or_refused():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(InputError, match="device=gpu: auto, cpu, cuda, mps"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device=cuda: not on this machine"):
            choose_device("cuda")
    else:
        assert choose_device("cuda:0").index == 0


def the_same(one, two):
    for part in fields(Cells):
        if part.name in ("session", "session_sha256", "config", "footprints", "quality", "localizations"):
            continue
        np.testing.assert_array_equal(getattr(one, part.name), getattr(two, part.name), err_msg=part.name)
    np.testing.assert_array_equal(one.footprints.toarray(), two.footprints.toarray())
    assert one.quality.keys() == two.quality.keys()
    for name, values in one.quality.items():
        np.testing.assert_array_equal(values, two.quality[name], err_msg=name)
    for name, values in vars(one.localizations).items():
        np.testing.assert_array_equal(values, getattr(two.localizations, name), err_msg=name)


def test_an_array_gives_the_cells_that_the_command_gives(run_command, session, tmp_path):
    """The motion isn't told to either: the whole way, with the package's own weights."""
    path = tmp_path / "raw.h5"
    with SessionWriter(path, *SIZE, "uint8", 20.0) as writer:
        writer.append(session.frames(0, 160))
    outcome = run_command("extract", f"session={path}", "output=c.h5", "device=cpu")
    assert outcome.status == 0, outcome.stderr
    told = read_cells(tmp_path / "c.h5")
    cells = calcium_lightning.extract(session.frames(0, 160), fps=20, device="cpu")
    assert cells.accepted.sum() >= 5
    assert (cells.session, len(cells.session_sha256)) == ("array", 64)
    the_same(cells, told)
    tifffile.imwrite(tmp_path / "raw.tif", session.frames(0, 160), photometric="minisblack")
    for other in (torch.from_numpy(session.frames(0, 160)), path, Session(path), tmp_path / "raw.tif"):
        the_same(calcium_lightning.extract(other, fps=20, device="cpu"), cells)


def test_the_frames_units_make_no_difference(session):
    """A camera's counts, the fractions that a script made of them, and sums of many frames."""
    frames = session.frames(0, 160).astype(np.float32)
    cells, *others = (
        calcium_lightning.extract(frames * np.float32(unit), fps=20, device="cpu")
        for unit in (1, 1 / 255, 3e4)
    )
    assert cells.accepted.sum() >= 5
    for other, unit in zip(others, (1 / 255, 3e4), strict=True):
        np.testing.assert_array_equal(other.accepted, cells.accepted)
        np.testing.assert_allclose(other.centers, cells.centers, atol=0.05)
        traces, expected = (part.traces[part.accepted] for part in (other, cells))
        np.testing.assert_allclose(traces / unit, expected, atol=0.02 * expected.std())


def test_what_a_reader_has_to_say_is_kept_with_the_cells(session, tmp_path):
    """Nobody has ingested it, and seen that."""
    frames = session.frames(0, 60)
    tifffile.imwrite(tmp_path / "white.tif", 255 - frames, photometric="miniswhite")
    with pytest.warns(UserWarning, match="stored with 0 as white"):
        cells = calcium_lightning.extract(tmp_path / "white.tif", fps=20, device="cpu")
    assert cells.notes[0] == "stored with 0 as white: turned round, so that bright is bright"
    assert cells.notes[1:] == calcium_lightning.extract(frames, fps=20, device="cpu").notes


def test_a_model_localises_in_pixels_of_the_frames(session):
    model = calcium_lightning.load_model(device="cpu")
    found = model.localize(session, cell_diameter=10.0)
    assert len(found) > 100
    assert (np.diff(found.frame) >= 0).all()
    assert (found.cell == -1).all()
    assert ((found.y_std > 0) & (found.x_std > 0)).all()
    true = footprint_centers(session.truth.footprints, SIZE)
    distance = cdist(true, np.stack([found.y, found.x], 1)).min(0)
    assert (distance < 2).mean() > 0.8
    assert len(pd.DataFrame(vars(found))) == len(found)
    with pytest.raises(InputError, match="an array doesn't know its frame rate"):
        model.localize(session.frames(0, 30))


def test_what_an_array_lacks_is_said():
    frames = np.zeros((40, 60, 60), np.uint8)
    with pytest.raises(InputError, match="an array doesn't know its frame rate; add fps="):
        calcium_lightning.extract(frames)
    with pytest.raises(InputError, match=r"array: 8 frames are fewer than a window of"):
        calcium_lightning.extract(frames[:8], fps=20, cell_diameter=8)
    with pytest.raises(InputError, match="fps=-1: a number above 0"):
        calcium_lightning.extract(frames, fps=-1)
