"""NWB exports validate, and hold every number in its right place on a field that isn't square."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from helpers.example_cells import make_example
from pynwb import NWBHDF5IO

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.behavior import read_behavior
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.session import Session
from calcium_lightning.io.writers.nwb import NwbSettings, export_nwb

pynwb = pytest.importorskip("pynwb")


@pytest.fixture(scope="module")
def cells():
    return make_example()[0]


@pytest.fixture
def opened(tmp_path, request):
    """Export, validate, and open."""

    def export(cells, **settings):
        path = tmp_path / "out.nwb"
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            export_nwb(cells, path, NwbSettings(**settings))
        assert pynwb.validate(path=str(path)) == []
        stream = pynwb.NWBHDF5IO(str(path), "r")
        request.addfinalizer(stream.close)
        return stream.read()

    return export


@pytest.mark.parametrize("masks", ["pixel", "image"])
def test_masks_keep_their_axes(cells, opened, masks):
    table = opened(cells, masks=masks).processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
    height, width = cells.frame_shape
    assert len(table) == len(cells)
    for k in (0, 5, 11):
        if masks == "pixel":
            image = np.zeros((height, width))
            for x, y, weight in table["pixel_mask"][k]:
                image[y, x] = weight
        else:
            assert table["image_mask"][k].shape == (width, height)
            image = table["image_mask"][k].T
        np.testing.assert_allclose(image, cells.footprints[k].toarray().reshape(height, width))
        peak = np.unravel_index(image.argmax(), image.shape)
        assert np.hypot(*(table["center"][k][::-1] - np.array(peak))) < 2


def test_columns_of_cells(cells, opened):
    table = opened(cells).processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
    np.testing.assert_array_equal(table["accepted"][:], cells.accepted)
    np.testing.assert_allclose(table["center"][:], cells.centers[:, ::-1])
    np.testing.assert_allclose(table["snr"][:], cells.quality["snr"])
    np.testing.assert_allclose(table["score"][:], cells.quality["score"])


def test_series_motion_and_images(cells, opened):
    file = opened(cells)
    module = file.processing["ophys"]
    for holder, name in (("Fluorescence", "traces"), ("Fluorescence", "denoised"), ("Deconvolved", "spikes")):
        series = module[holder][name]
        np.testing.assert_allclose(series.data[:], getattr(cells, name).T)
        assert series.rate == pytest.approx(cells.fps)
        assert list(series.rois.data[:]) == list(range(len(cells)))
    ratio = module["DfOverF"]["dff"].data[:]
    np.testing.assert_allclose(ratio, cells.traces.T / cells.baseline, rtol=1e-6)
    np.testing.assert_allclose(module["xy_translation"].data[:], -cells.shifts[:, ::-1])
    np.testing.assert_allclose(module["SummaryImages"]["mean"].data[:].T, cells.mean_image)
    np.testing.assert_allclose(module["SummaryImages"]["max"].data[:].T, cells.max_image)
    np.testing.assert_allclose(module["SummaryImages"]["peak_to_noise"].data[:].T, cells.peak_image)
    plane = file.imaging_planes["ImagingPlane"]
    assert plane.imaging_rate == pytest.approx(20)
    np.testing.assert_allclose(plane.grid_spacing[:], 1.6e-6)
    assert file.source_script == cells.config


def test_irregular_clocks_are_kept(cells, opened):
    times = np.asarray(cells.timestamps).copy()
    times[100:] += 3.5  # a pause in the recording
    module = opened(replace(cells, timestamps=times)).processing["ophys"]
    np.testing.assert_allclose(module["Fluorescence"]["traces"].timestamps[:], times)
    assert module["Fluorescence"]["traces"].rate is None


def test_only_known_baselines_give_ratios(cells, opened):
    baseline = cells.baseline.copy()
    baseline[[2, 7]] = 0, -3
    series = opened(replace(cells, baseline=baseline)).processing["ophys"]["DfOverF"]["dff"]
    kept = [k for k in range(len(cells)) if k not in (2, 7)]
    assert list(series.rois.data[:]) == kept
    np.testing.assert_allclose(series.data[:], cells.traces[kept].T / 80, rtol=1e-6)


def test_without_any_baseline_there_is_no_ratio(cells, opened):
    module = opened(replace(cells, baseline=np.zeros(len(cells)))).processing["ophys"]
    assert "DfOverF" not in module.data_interfaces


def test_frames_that_were_ratios_stay_ratios(cells, opened):
    module = opened(replace(cells, kind="dff", pixel_size_um=None)).processing["ophys"]
    np.testing.assert_allclose(module["DfOverF"]["dff"].data[:], cells.traces.T)


def test_localizations_on_request(cells, opened):
    table = opened(cells, localizations=True).processing["ophys"]["localizations"]
    np.testing.assert_allclose(table["x"][:], cells.localizations.x)
    np.testing.assert_array_equal(table["cell"][:], cells.localizations.cell)


def test_start_time_is_given_or_the_files(cells, opened, tmp_path):
    file = opened(
        cells,
        session_start_time="2026-01-02T03:04:05+01:00",
        subject_id="m1",
        species="Mus musculus",
        sex="F",
        age="P90D",
    )
    assert file.session_start_time.isoformat() == "2026-01-02T03:04:05+01:00"
    assert file.subject.subject_id == "m1"
    session = tmp_path / "session.h5"
    session.touch()
    export_nwb(replace(cells, session=str(session)), tmp_path / "b.nwb")
    with pynwb.NWBHDF5IO(str(tmp_path / "b.nwb"), "r") as stream:
        other = stream.read()
        assert other.session_start_time.timestamp() == pytest.approx(session.stat().st_mtime)
        assert "session.h5 was last changed" in other.notes


def test_the_inspector_finds_nothing_wrong(cells, tmp_path):
    inspector = pytest.importorskip("nwbinspector")
    about = {
        "subject_id": "m1",
        "species": "Mus musculus",
        "sex": "F",
        "age": "P90D",
        "strain": "C57BL/6J",
        "subject_description": "one of four littermates",
        "location": "Field CA1",
        "indicator": "GCaMP6f",
        "excitation_nm": 470.0,
        "emission_nm": 510.0,
        "experimenter": "Doe, Jane",
        "institution": "University of Somewhere",
        "lab": "Doe lab",
        "experiment_description": "Where cells of CA1 fire in a maze.",
    }
    path = tmp_path / "out.nwb"
    export_nwb(cells, path, NwbSettings(session_start_time="2026-01-02T03:04:05+01:00", **about))
    config = inspector.load_config("dandi")  # what the archive asks for, down to the least suggestion
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(path), config=config))
    assert [(item.importance.name, item.message) for item in found] == []


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [({"masks": "round"}, "pixel or image"), ({"session_start_time": "noon"}, "not a time")],
)
def test_settings_that_make_no_sense(cells, tmp_path, settings, complaint):
    with pytest.raises(InputError, match=complaint):
        export_nwb(cells, tmp_path / "out.nwb", NwbSettings(**settings))
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(
        pynwb.NWBHDF5IO, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(OSError, match="No space"):
        export_nwb(cells, tmp_path / "out.nwb")
    assert not list(tmp_path.iterdir())


def test_the_command(cells, tmp_path, run_command):
    write_cells(tmp_path / "cells.h5", cells)
    result = run_command(
        "export", "cells=cells.h5", "output=out.nwb", "nwb.indicator=GCaMP6f", "rejected=false"
    )
    assert result.status == 0, result.stderr
    with pynwb.NWBHDF5IO(str(tmp_path / "out.nwb"), "r") as stream:
        file = stream.read()
        assert file.imaging_planes["ImagingPlane"].indicator == "GCaMP6f"
        table = file.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
        assert len(table) == cells.accepted.sum() < len(cells)
    again = run_command("export", "cells=cells.h5", "output=out.nwb")
    assert again.status == 2
    assert "overwrite=true" in again.stderr
    assert run_command("export", "cells=cells.h5", "output=out.nwb", "overwrite=true").status == 0


def test_behaviour_is_in_the_same_clock(cells, tmp_path, run_command):
    """The DAQ stamps its cameras in milliseconds of the scope's clock; a table of TTL pulses has seconds."""
    write_cells(tmp_path / "cells.h5", cells)
    camera = tmp_path / "Behav Cam"
    camera.mkdir()
    stamps = 17 + np.cumsum(np.tile([33, 34, 33], 40))
    rows = "".join(f"{k},{t},0\n" for k, t in enumerate(stamps))
    (camera / "timeStamps.csv").write_text(f"Frame Number,Time Stamp (ms),Buffer Index\n{rows}")
    pulses = np.array([0.5, 7.25, 7.5, 90.0])
    (tmp_path / "lever.csv").write_text(
        "time (s),state\n" + "".join(f"{t},{k % 2}\n" for k, t in enumerate(pulses))
    )
    done = run_command(
        "export", "cells=cells.h5", "output=a.nwb", 'behavior=["Behav Cam",lever.csv]', "nwb.subject_id=m1"
    )
    assert done.status == 0, done.stderr
    with NWBHDF5IO(tmp_path / "a.nwb", "r") as stream:
        events = stream.read().processing["behavior"]
        np.testing.assert_allclose(events["Behav_Cam"].timestamps[:], stamps / 1000)
        np.testing.assert_allclose(events["lever"].timestamps[:], pulses)
        np.testing.assert_array_equal(events["lever"].data[:], [0, 1, 0, 1])
    for overrides, complaint in (
        (["output=b.nwb", "behavior=gone.csv"], "gone.csv"),
        (["output=b.csv", "behavior=lever.csv"], "goes into NWB"),
        (["output=b.nwb", "behavior=cells.h5"], "cells.h5"),
    ):
        refused = run_command("export", "cells=cells.h5", *overrides)
        assert (refused.status, complaint in refused.stderr) == (2, True), refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


def test_behaviour_goes_with_the_session_and_its_cells(cells, tmp_path, run_command):
    """Kept when the recording is ingested, and cut anew; in the cells, and exported without being asked for."""
    np.save(tmp_path / "rec.npy", np.random.default_rng(0).integers(9, 99, (20, 24, 30), np.uint8))
    pulses = np.array([0.25, 0.5, 0.75])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lever.csv").write_text("time (s),state\n0.25,1\n0.5,0\n0.75,1\n")
    done = run_command(
        "ingest", "input=rec.npy", "output=s.h5", "fps=20", "behavior=[a/lever.csv,b/lever.csv]"
    )
    assert done.status == 0, done.stderr
    assert run_command("ingest", "input=s.h5", "output=part.h5", "start=5").status == 0
    with Session(tmp_path / "part.h5") as session:
        kept = session.behavior
    assert [one.name for one in kept] == ["lever", "lever_2"]
    write_cells(tmp_path / "cells.h5", replace(cells, behavior=kept))
    done = run_command("export", "cells=cells.h5", "output=a.nwb", "behavior=a/lever.csv")
    assert done.status == 0, done.stderr
    with NWBHDF5IO(tmp_path / "a.nwb", "r") as stream:
        events = stream.read().processing["behavior"]
        for name in ("lever", "lever_2", "lever_3"):
            series = events[name]
            assert series.starting_time == pytest.approx(pulses[0])
            assert series.rate == pytest.approx(4)
            assert series.data[:].tolist() == [1, 0, 1]
            assert "state" in series.description
    refused = run_command("ingest", "input=[rec.npy,s.h5]", "output=both", "fps=20", "behavior=a/lever.csv")
    assert (refused.status, "one by one" in refused.stderr) == (2, True)


def test_unix_times_count_from_the_recordings_start(tmp_path):
    start = 1663592608.0
    (tmp_path / "cam.csv").write_text("t\n" + "".join(f"{start + 2 + k / 30:.4f}\n" for k in range(30)))
    read = read_behavior(tmp_path / "cam.csv", "2022-09-19T13:03:28+00:00")
    np.testing.assert_allclose(read.times, 2 + np.arange(30) / 30, atol=1e-3)
    with pytest.raises(InputError, match="when the recording began"):
        read_behavior(tmp_path / "cam.csv")


def test_what_the_recorder_noted_is_exported_and_can_be_overridden(cells, opened, tmp_path):
    noted = {
        "session_start_time": "2022-09-19T15:03:28.635+02:00",
        "subject_id": "a1",
        "experiment": "fear",
        "experimenter": "Searcher, R.",
        "device": "Miniscope_V4_BNO",
    }
    file = opened(replace(cells, about=noted))
    assert file.session_start_time.isoformat() == "2022-09-19T15:03:28.635000+02:00"
    assert file.subject.subject_id == "a1"
    assert file.experiment_description == "fear"
    assert file.experimenter == ("Searcher, R.",)
    assert file.devices["Microscope"].description == "Miniscope_V4_BNO"
    told = {"session_start_time": "2020-01-01T00:00:00+00:00", "subject_id": "b2", "device": "mine"}
    (tmp_path / "out.nwb").unlink()
    file = opened(replace(cells, about=noted), **told)
    assert file.session_start_time.year == 2020
    assert (file.subject.subject_id, file.devices["Microscope"].description) == ("b2", "mine")
