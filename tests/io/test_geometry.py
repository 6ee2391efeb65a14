import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from skimage.measure import block_reduce

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.geometry import Cut
from calcium_lightning.io.session import Truth

SOURCE = (17, 22, 31)


@st.composite
def cuts(draw):
    def span(end):
        low = draw(st.integers(0, end - 1))
        return low, draw(st.integers(low + 1, end))

    (y0, y1), (x0, x1), (start, stop) = span(22), span(31), span(17)
    spatial = draw(st.integers(1, min(4, y1 - y0, x1 - x0)))
    temporal = draw(st.integers(1, 4))
    if (stop - start) // temporal < 2:
        start, stop, temporal = 0, 17, temporal
    return Cut.of(SOURCE, (y0, y1, x0, x1), spatial, temporal, start, stop)


@given(cuts(), st.sampled_from(["uint8", "uint16", "float32"]))
def test_frames_are_the_means_of_their_blocks(cut, dtype):
    frames = np.random.default_rng(0).integers(0, 256, SOURCE).astype(dtype)
    kept = frames[cut.start : cut.stop, cut.y0 : cut.y1, cut.x0 : cut.x1]
    expected = block_reduce(kept, (cut.temporal, cut.spatial, cut.spatial), np.mean)
    assert np.allclose(cut.times(cut.pixels(frames)), expected, rtol=1e-5)
    assert expected.shape == cut.shape


@given(cuts())
def test_footprints_move_with_the_frames(cut):
    """Cutting the footprints is cutting frames that show them."""
    rng = np.random.default_rng(1)
    footprints = (rng.random((5, 22, 31)) * (rng.random((5, 22, 31)) < 0.1)).astype(np.float32)
    footprints /= footprints.max((1, 2), keepdims=True)
    traces, amplitude = rng.random((5, 17)), np.arange(1.0, 6.0)
    truth = Truth(
        footprints=csr_matrix(footprints.reshape(5, -1)),
        traces=traces,
        spikes=traces,
        amplitude=amplitude,
        shifts=rng.random((17, 2)),
        identity=np.arange(10, 15),
    )
    new = cut.truth(truth)
    images = cut.pixels(footprints)
    seen = images.reshape(5, -1).max(1) > 0
    shown = new.footprints.toarray() * (new.amplitude / amplitude[seen])[:, None]
    assert np.allclose(shown, images.reshape(5, -1)[seen], atol=1e-6)
    if seen.any():
        assert np.allclose(new.footprints.max(axis=1).toarray(), 1)
    assert (new.identity == truth.identity[seen]).all()
    assert new.traces.shape == new.spikes.shape == (seen.sum(), cut.shape[0])
    assert np.allclose(new.spikes, new.traces * cut.temporal)
    assert np.allclose(new.shifts * cut.spatial, cut.times(truth.shifts))


def test_a_mask_of_the_whole_field_stays():
    mask = np.eye(10, dtype=np.uint8)
    assert Cut.of(SOURCE, spatial=3).truth(Truth(mask=mask)).mask is mask


def test_a_cropped_mask_shows_the_cropped_field():
    fine = np.zeros((22, 31), np.uint8)
    fine[4:9, 10:20] = 1
    cut = Cut.of(SOURCE, (2, 12, 8, 24))
    assert np.array_equal(cut.truth(Truth(mask=fine)).mask, fine[2:12, 8:24])
    coarse = np.kron(np.eye(2, dtype=np.uint8), np.ones((5, 5), np.uint8))
    assert np.array_equal(
        Cut.of((9, 20, 20), (0, 10, 0, 10)).truth(Truth(mask=coarse)).mask, np.ones((10, 10))
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 5, "stop": 5}, "start=5 stop=5"),
        ({"stop": 18}, "outside the recording's 17 frames"),
        ({"start": -1}, "outside the recording's 17 frames"),
        ({"crop": (0, 23, 0, 31)}, "outside a field of 22 x 31"),
        ({"crop": (5, 5, 0, 31)}, "outside a field of 22 x 31"),
        ({"spatial": 23}, "larger than the field"),
        ({"spatial": 0}, "whole numbers from 1"),
        ({"temporal": 9}, "1 frame left of 17"),
        ({"start": 3, "stop": 4}, "1 frame left of 1"),
    ],
    ids=str,
)
def test_impossible_cuts(options, message):
    with pytest.raises(InputError, match=message):
        Cut.of(SOURCE, **options)
