import h5py
import numpy as np
import pytest
from helpers.recordings import movie
from PIL import Image
from scipy import sparse
from scipy.io import savemat

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.session import Truth
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.io.truth import read_truth

FIELD = (24, 38)
SHAPE = (11, *FIELD)


def discs():
    """Two cells, not of peak 1."""
    y, x = np.mgrid[:24, :38]
    return np.stack([3.0 * ((y - 6) ** 2 + (x - 8) ** 2 < 9), 0.5 * ((y - 15) ** 2 + (x - 30) ** 2 < 16)])


def mask():
    return (discs().sum(0) > 0).astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 255, True, 0.5])
def test_a_mask_of_two_values(tmp_path, scale):
    np.save(tmp_path / "m.npy", mask() * scale)
    truth = read_truth(tmp_path / "m.npy", SHAPE)
    assert np.array_equal(truth.mask, mask())
    assert truth.footprints is None


def test_a_picture(tmp_path):
    Image.fromarray(mask() * 255).save(tmp_path / "m.png")
    assert np.array_equal(read_truth(tmp_path / "m.png", SHAPE).mask, mask())


@pytest.mark.parametrize("size", [(100, 150), (12, 19), (24, 40)])
def test_a_mask_keeps_its_own_resolution(tmp_path, size):
    small = np.zeros(size, np.uint8)
    small[:5, :5] = 1
    np.save(tmp_path / "m.npy", small)
    assert np.array_equal(read_truth(tmp_path / "m.npy", SHAPE).mask, small)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_footprints(tmp_path, order):
    np.save(tmp_path / "f.npy", discs().transpose(order))
    footprints = read_truth(tmp_path / "f.npy", SHAPE).footprints
    assert np.allclose(footprints.toarray().reshape(2, 24, 38), discs() > 0)  # peaks of 1


def test_labels_give_mask_and_footprints(tmp_path):
    labels = (discs() > 0).astype(int)[0] + 2 * (discs() > 0).astype(int)[1]
    Image.fromarray(labels.astype(np.uint8)).save(tmp_path / "l.png")
    truth = read_truth(tmp_path / "l.png", SHAPE)
    assert np.array_equal(truth.mask, mask())
    assert np.array_equal(truth.footprints.toarray().reshape(2, 24, 38), discs() > 0)


def test_matlab(tmp_path):
    savemat(tmp_path / "m.mat", {"mask": mask(), "n": 3})
    assert np.array_equal(read_truth(tmp_path / "m.mat", SHAPE).mask, mask())
    savemat(tmp_path / "f.mat", {"F": discs().transpose(1, 2, 0), "mask": mask()})
    assert read_truth(tmp_path / "f.mat", SHAPE, "F").footprints.shape == (2, 24 * 38)
    with pytest.raises(InputError, match=r"truth_key=; there are: F \(24, 38, 2\), mask \(24, 38\)"):
        read_truth(tmp_path / "f.mat", SHAPE)
    with h5py.File(tmp_path / "v73.mat", "w", userblock_size=512) as file:
        file["mask"] = mask().T
    assert np.array_equal(read_truth(tmp_path / "v73.mat", SHAPE).mask, mask())


def test_caiman_footprints(tmp_path):
    columns = np.stack([disc.ravel(order="F") for disc in discs()], axis=1)
    savemat(tmp_path / "a.mat", {"A": sparse.csc_matrix(columns)})
    footprints = read_truth(tmp_path / "a.mat", SHAPE).footprints
    assert np.array_equal(footprints.toarray().reshape(2, 24, 38), discs() > 0)


def test_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["annotation/mask"] = mask()
    assert np.array_equal(read_truth(tmp_path / "a.h5", SHAPE).mask, mask())
    with pytest.raises(InputError, match=r"no array maks; nearest: .*mask"):
        read_truth(tmp_path / "a.h5", SHAPE, "maks")


def session(path, frames=11, with_truth=True):
    with SessionWriter(path, *FIELD, "uint8", 20.0) as writer:
        writer.append(movie(frames))
        if with_truth:
            writer.set_truth(
                Truth(footprints=sparse.csr_matrix(discs().reshape(2, -1) > 0), traces=np.ones((2, frames)))
            )
    return path


def test_the_truth_of_another_session(tmp_path):
    truth = read_truth(session(tmp_path / "s.h5"), SHAPE)
    assert truth.traces.shape == (2, 11)
    assert truth.footprints.shape == (2, 24 * 38)
    with pytest.raises(InputError, match="without truth"):
        read_truth(session(tmp_path / "n.h5", with_truth=False), SHAPE)
    with pytest.raises(InputError, match=r"truth of 11 frames, the recording has 12"):
        read_truth(tmp_path / "s.h5", (12, *FIELD))
    with pytest.raises(InputError, match=r"truth of a field of \(24, 38\), the recording's is \(24, 39\)"):
        read_truth(tmp_path / "s.h5", (11, 24, 39))


def test_cells_as_truth(tmp_path):
    from helpers.example_cells import make_example

    from calcium_lightning.io.cells_file import write_cells

    cells, _ = make_example(3)
    write_cells(tmp_path / "c.h5", cells)
    truth = read_truth(tmp_path / "c.h5", (5, *cells.frame_shape))
    assert np.allclose(truth.footprints.toarray(), cells.footprints.toarray())
    with pytest.raises(InputError, match="cells of a field of"):
        read_truth(tmp_path / "c.h5", (5, 7, 9))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.eye(20, 80), "other proportions"),
        (np.eye(38, 24), "other proportions"),
        (np.zeros((24, 38)), "0.0 everywhere"),
        (np.ones((24, 38), bool), "True everywhere"),
        (np.arange(24 * 38).reshape(24, 38) * 2, "912 different values"),
        (np.zeros((5, 17, 23)), "fits no field"),
        (np.zeros(7), "fits no field"),
        (np.zeros((3, 24, 38)), "3 of 3 footprints are empty"),
        (-discs(), "negative"),
        (np.full((24, 38), np.nan), "NaN"),
        (np.full((24, 38), "cell"), "expected numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_fits_nothing_is_refused(tmp_path, array, message):
    np.save(tmp_path / "m.npy", array)
    with pytest.raises(InputError, match=message):
        read_truth(tmp_path / "m.npy", SHAPE)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "mask.npy").write_bytes(b"")
    (tmp_path / "mask.txt").write_text("1 0")
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"no such file; nearest: mask\.npy"):
        read_truth(tmp_path / "mask.np", SHAPE)
    with pytest.raises(InputError, match="can't be read"):
        read_truth(tmp_path / "mask.npy", SHAPE)
    with pytest.raises(InputError, match="can't be read"):
        read_truth(tmp_path / "o.npy", SHAPE)
    with pytest.raises(InputError, match="expected a mask or footprints as"):
        read_truth(tmp_path / "mask.txt", SHAPE)


def test_the_annotators_masks(magdeburg):
    truth = read_truth(magdeburg / "masks" / "8-16-17.npy", (664, 200, 197))
    assert truth.mask.shape == (100, 100)
    assert truth.mask.mean() == pytest.approx(0.494, abs=0.001)
