"""The command as it is typed: files in, tracks, page and tables out, and one line for what can't be."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.drawn_days import SIZE, Drawn, draw
from helpers.html_page import Page
from helpers.written_days import write_day
from scipy.io import savemat

from calcium_lightning.core.decisions import Draw, Merge, Undo, Verdict
from calcium_lightning.core.errors import InputError
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.curation.links import Links
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.footprints import read_footprints
from calcium_lightning.io.tracks_file import read_tracks, write_tracks
from calcium_lightning.io.writers.table import Export, find_writer
from calcium_lightning.track import main


@pytest.fixture(scope="module")
def animal() -> Drawn:
    return draw(days=3, seed=5, density=4.0)


@pytest.fixture(scope="module")
def files(animal, tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("days")
    return [write_day(folder / f"day {n}.cells.h5", field) for n, field in enumerate(animal.fields)]


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["track", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def listed(files: list[Path]) -> str:
    return "cells=[" + ",".join(f'"{file}"' for file in files) + "]"


def test_a_page_that_can_not_be_made_leaves_no_other_file(run, files, tmp_path) -> None:
    days = [Path(shutil.copy(file, tmp_path / file.name)) for file in files]
    with h5py.File(days[1], "r+") as file:
        del file["localizations"]
    status, _, err = run(listed(days), f"output={tmp_path}/t.h5", f"page={tmp_path}/t.html")
    assert status == 2
    assert "localizations" in err
    assert sorted(tmp_path.iterdir()) == sorted(days)


def test_everything_is_written(run, files, tmp_path) -> None:
    outputs = [
        f"{key}={tmp_path}/t.{end}" for key, end in (("output", "h5"), ("page", "html"), ("csv", "csv"))
    ]
    status, out, err = run(listed(files), *outputs, f"cellreg={tmp_path}/t.mat")
    assert status == 0, err
    assert "cells in two sessions or more" in out
    tracks = read_tracks(tmp_path / "t.h5")
    assert [session.path for session in tracks.sessions] == [str(file) for file in files]
    with h5py.File(tmp_path / "t.h5") as file:
        assert file.attrs["format"] == "calcium-lightning-tracks"
        assert file["cell"].dtype == np.int32
        assert file["probability"].dtype == np.float32
        assert file["cell"].shape == file["probability"].shape == (len(tracks), 3)
        assert set(file["transforms"]) == {"0", "1", "2"}
        assert len(file["sessions/sha256"][0]) == 64
    with (tmp_path / "t.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(tracks)
    assert [int(row["day 1"]) for row in rows] == tracks.cell[:, 1].tolist()
    page = Page((tmp_path / "t.html").read_text())
    assert page.count("g", **{"class": "layer"}) == 3
    assert page.count("svg", **{"class": "course"}) > 3
    assert page.count("tr", **{"data-track": "0"}) <= 1
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, name)


def test_results_of_other_programs_have_a_page(run, files, animal, tmp_path) -> None:
    """CaImAn's traces are drawn; footprints alone, as CellReg has them, have none."""
    find_writer("caiman").write(read_cells(files[0]), tmp_path / "one.hdf5", Export())
    for name, field in zip(("two", "three"), animal.fields[1:], strict=True):
        images = field.footprints.toarray().reshape(len(field), *SIZE)
        savemat(tmp_path / f"{name}.mat", {"allFiltersMat": images})
    days = [tmp_path / name for name in ("one.hdf5", "two.mat", "three.mat")]
    status, out, err = run(listed(days), f"output={tmp_path}/t.h5", f"page={tmp_path}/t.html")
    assert status == 0, err
    assert "in two sessions or more" in out
    page = Page((tmp_path / "t.html").read_text())
    assert page.count("g", **{"class": "layer"}) == 3
    assert page.count("svg", **{"class": "course"}) > 3


def test_cellreg_reads_as_matlab_would(run, files, tmp_path) -> None:
    assert run(listed(files), f"output={tmp_path}/t.h5", f"cellreg={tmp_path}/t.mat")[0] == 0
    tracks = read_tracks(tmp_path / "t.h5")
    assert (tmp_path / "t.mat").read_bytes()[:20] == b"MATLAB 7.3 MAT-file,"
    with h5py.File(tmp_path / "t.mat") as file:
        struct = file["cell_registered_struct"]
        index = struct["cell_to_index_map"][...].T
        assert index.shape == tracks.cell.shape
        for session in range(3):
            rows = file[struct["rows"][session, 0]][...].ravel().astype(int) - 1
            seen = index[:, session] > 0
            assert (rows[index[seen, session].astype(int) - 1] == tracks.cell[seen, session]).all()
            images = file[struct["spatial_footprints"][session, 0]][...].transpose(2, 1, 0)
            assert images.shape == (len(rows), *SIZE)


def test_tracks_are_read_as_they_were_written(run, files, tmp_path) -> None:
    assert run(listed(files), f"output={tmp_path}/t.h5")[0] == 0
    tracks = read_tracks(tmp_path / "t.h5")
    write_tracks(tmp_path / "again.h5", tracks)
    again = read_tracks(tmp_path / "again.h5")
    np.testing.assert_array_equal(again.cell, tracks.cell)
    np.testing.assert_array_equal(again.probability, tracks.probability)
    points = np.array([[3.0, 4.0], [100.0, 50.0]])
    for one, other in zip(again.sessions, tracks.sessions, strict=True):
        np.testing.assert_array_equal(one.transform.apply(points), other.transform.apply(points))
    assert again.in_words() == tracks.in_words()


def test_bad_input_is_one_line(run, files, animal, tmp_path) -> None:
    stranger = write_day(tmp_path / "other.h5", draw(days=1, seed=77, density=4.0).fields[0])
    coarse = write_day(tmp_path / "coarse.h5", animal.fields[1], pixel_size_um=3.3)
    (tmp_path / "text.h5").write_text("none")
    for cells, words in (
        ([files[0]], "one session"),
        ([files[0], files[0]], "the same cells as"),
        ([files[0], stranger], "don't match"),
        ([files[0], coarse], "µm per pixel"),
        ([files[0], tmp_path / "text.h5"], "not an HDF5 file"),
        ([files[0], tmp_path / "nothing.h5"], "no such file"),
    ):
        status, _, err = run(listed(cells), f"output={tmp_path}/t.h5")
        assert status == 2, err
        assert words in err.splitlines()[-1]
        assert not (tmp_path / "t.h5").exists()


def test_a_stranger_is_left_out_and_said(run, files, tmp_path) -> None:
    stranger = write_day(tmp_path / "other.h5", draw(days=1, seed=77, density=4.0).fields[0])
    status, _, err = run(listed([*files[:2], stranger]), f"output={tmp_path}/t.h5")
    assert status == 0
    assert "other: matches no other session and is left out" in err
    assert read_tracks(tmp_path / "t.h5").left_out == [2]


def test_footprints_of_others(animal, tmp_path, monkeypatch) -> None:
    field = animal.fields[0]
    dense = field.footprints.toarray().reshape(-1, *SIZE)
    from scipy.io import savemat
    from scipy.sparse import csc_matrix

    savemat(tmp_path / "cellreg.mat", {"footprints": dense})
    fortran = csc_matrix(dense.transpose(0, 2, 1).reshape(len(dense), -1).T)
    with h5py.File(tmp_path / "caiman.hdf5", "w") as file:
        for name in ("data", "indices", "indptr"):
            file[f"estimates/A/{name}"] = getattr(fortran, name)
        file["estimates/A/shape"] = fortran.shape
        file["dims"] = SIZE
        file["estimates/idx_components"] = np.arange(len(dense))[1:]
    suite2p = tmp_path / "suite2p" / "plane0"
    suite2p.mkdir(parents=True)
    stat = np.empty(len(dense), object)
    for row, image in enumerate(dense):
        y, x = np.nonzero(image)
        stat[row] = {"ypix": y, "xpix": x, "lam": image[y, x]}
    np.save(suite2p / "stat.npy", stat)
    np.save(suite2p / "ops.npy", {"Ly": SIZE[0], "Lx": SIZE[1]})
    np.save(suite2p / "iscell.npy", np.ones((len(dense), 2)))
    import xarray as xr

    array = xr.DataArray(dense, dims=("unit_id", "height", "width"), name="A")
    array.assign_coords(unit_id=np.arange(len(dense))).to_dataset().to_zarr(
        tmp_path / "minian" / "A.zarr", zarr_format=2
    )
    for name, skipped in (("cellreg.mat", 0), ("caiman.hdf5", 1), ("suite2p/plane0", 0), ("minian", 0)):
        (found,) = read_footprints(tmp_path / name)
        assert found.frame_shape == SIZE
        assert found.rows.tolist() == list(range(skipped, len(dense)))
        np.testing.assert_allclose(
            found.footprints.toarray(), field.footprints.toarray()[skipped:], atol=1e-6
        )
    assert len(read_footprints(tmp_path / "caiman.hdf5", rejected=True)[0]) == len(dense)
    for folder, name in (("suite2p", "plane0"), ("suite2p", "plane0/stat.npy"), ("suite2p/plane0", ".")):
        monkeypatch.chdir(tmp_path / folder)
        assert read_footprints(name)[0].name == tmp_path.name  # wherever one stands, it has one


def test_export_knows_the_track_of_each_cell(run, files, tmp_path) -> None:
    from calcium_lightning.exports import export

    assert run(listed(files), f"output={tmp_path}/t.h5")[0] == 0
    tracks = read_tracks(tmp_path / "t.h5")
    for row, file in enumerate(files):
        export(file, tmp_path / f"{row}.csv", tracks=tmp_path / "t.h5")
        with (tmp_path / f"{row}.csv").open() as stream:
            found = [int(float(line["track"])) for line in csv.DictReader(stream)]
        assert found == tracks.of(row)[0].tolist()
        assert all(tracks.cell[track, row] == cell for cell, track in enumerate(found) if track >= 0)
    other = write_day(tmp_path / "other.h5", draw(days=1, seed=77).fields[0])
    with pytest.raises(InputError, match="track again"):
        export(other, tmp_path / "other.csv", tracks=tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5", "a") as file:
        file.attrs["reference"] = np.zeros(0)
    with pytest.raises(InputError, match="reference is none of its"):
        read_tracks(tmp_path / "t.h5")


def test_rows_keep_their_tracks_whatever_is_decided_by_hand(run, files, tmp_path) -> None:
    """In the file or still in its journal, moved or not; what was made since was never looked at."""
    from calcium_lightning.exports import export

    days = [Path(shutil.copy(file, tmp_path / file.name)) for file in files]
    outline = ((5.0, 5.0), (5.0, 12.0), (12.0, 12.0), (12.0, 5.0))
    further = tuple((y + 30, x) for y, x in outline)
    with open_ledger(days[1], "Ada", background=False) as ledger:
        ledger.decide_all([Verdict((2,), False), Draw(outline)])
        count = len(ledger.cells)
    assert run(listed(days), f"output={tmp_path}/t.h5")[0] == 0
    tracks = read_tracks(tmp_path / "t.h5")
    before = tracks.of(1)[0].tolist()
    assert len(before) == count
    assert before[-1] >= 0

    def exported(cells: Path) -> list[int]:
        export(cells, tmp_path / "c.csv", tracks=tmp_path / "t.h5", rejected=True, overwrite=True)
        with (tmp_path / "c.csv").open() as stream:
            return [int(float(line["track"])) for line in csv.DictReader(stream)]

    with open_ledger(days[1], "Ada", background=False) as ledger:
        ledger.decide_all([Verdict((3,), False), Merge((0, 1)), Draw(further)])
        assert exported(days[1]) == [*before, -1, -1]
    moved = days[1].rename(tmp_path / "moved.h5")
    assert exported(moved) == [*before, -1, -1]
    assert Links(tmp_path / "t.h5", moved).session == 1
    with open_ledger(
        moved, "Ada", background=False
    ) as ledger:  # the cell that was tracked is another one now
        ledger.decide_all([Undo()] * 4 + [Draw(further)])
    assert exported(moved) == [*before[:-1], -1]
    others = write_day(days[1], draw(days=1, seed=77).fields[0])
    with pytest.raises(InputError, match="track again"):  # in the place of those that were tracked
        Links(tmp_path / "t.h5", others)


def test_days_in_folders_of_their_own_are_told_apart(run, files, tmp_path, monkeypatch) -> None:
    for day, file in enumerate(files[:2], 1):
        (tmp_path / f"m{day}").mkdir()
        shutil.copy(file, tmp_path / f"m{day}" / "cells.h5")
    monkeypatch.chdir(tmp_path)
    assert run("cells=m*/cells.h5", "output=t.h5", "csv=t.csv")[0] == 0
    header = Path("t.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "track,sessions,m1/cells,m1/cells probability,m2/cells,m2/cells probability"
    shutil.copy("m1/cells.h5", "m2/cells.h5")
    assert "m2/cells: the same cells as m1/cells;" in run("cells=m*/cells.h5", "output=u.h5")[2]


def test_nwb_has_a_column_of_tracks(run, files, tmp_path) -> None:
    from pynwb import NWBHDF5IO

    from calcium_lightning.exports import export

    assert run(listed(files), f"output={tmp_path}/t.h5")[0] == 0
    export(files[1], tmp_path / "one.nwb", tracks=tmp_path / "t.h5")
    with NWBHDF5IO(str(tmp_path / "one.nwb"), "r") as stream:
        table = stream.read().processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
        assert table["track"][:].astype(int).tolist() == read_tracks(tmp_path / "t.h5").of(1)[0].tolist()
