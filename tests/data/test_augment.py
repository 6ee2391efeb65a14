import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.core.errors import InputError
from calcium_lightning.data.augment import Augmentation, Transform
from calcium_lightning.nn.coordconv import coordinate_channels, crop_extent
from calcium_lightning.nn.windows import Labels, WindowBatch

TRANSFORMS = st.builds(
    Transform, flip=st.booleans(), turns=st.integers(0, 3), gain=st.sampled_from([1.0, 1.3])
)


def paint(positions, amplitude, valid, size):
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    distance = (y - positions[..., 0, None, None]) ** 2 + (x - positions[..., 1, None, None]) ** 2
    return (torch.exp(-distance / 8) * (amplitude * valid)[..., None, None]).sum(1)


def batch_of(seed, size):
    random = torch.Generator().manual_seed(seed)
    positions = torch.rand(2, 4, 2, generator=random) * torch.tensor([size[0] - 1.0, size[1] - 1.0])
    valid = torch.rand(2, 4, generator=random) < 0.7
    positions = torch.where(valid[..., None], positions, 0.0)
    amplitude = torch.rand(2, 4, generator=random) * valid
    target = paint(positions, amplitude, valid, size)
    return WindowBatch(
        windows=target[:, None] * torch.tensor([0.5, 1.0, 2.0])[:, None, None],
        target=target,
        extent=crop_extent([2, 5], [1, 3], size, (30, 41)),
        session=torch.zeros(2, dtype=torch.long),
        frame=torch.arange(2),
        labels=Labels(positions, amplitude, valid),
    )


@given(st.integers(0, 99), TRANSFORMS)
def test_painting_then_transforming_is_transforming_then_painting(seed, transform):
    size = (12, 12)
    moved = transform(batch_of(seed, size))
    painted = paint(moved.labels.positions, moved.labels.amplitude, moved.labels.valid, size)
    torch.testing.assert_close(painted, moved.target)
    torch.testing.assert_close(moved.windows[:, 1], moved.target)


@given(st.integers(0, 9), st.integers(0, 9), TRANSFORMS)
def test_a_crop_of_the_transformed_field_is_the_transformed_crop(top, left, transform):
    """Extents say where the crop is in the transformed field, so CoordConv sees what it would see there."""
    field, side = (24, 31), 12
    plain = Transform(transform.flip, transform.turns)
    channels = coordinate_channels(field)[0]
    marked = torch.zeros(field)
    marked[top : top + side, left : left + side] = 1
    moved_mark = plain.image(marked)
    moved_field = coordinate_channels(tuple(moved_mark.shape))[0]
    rows, columns = moved_mark.nonzero(as_tuple=True)
    expected = moved_field[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    extent = plain.extent(crop_extent(top, left, (side, side), field))
    torch.testing.assert_close(coordinate_channels((side, side), extent)[0], expected)
    assert channels.shape[1:] == field


def test_draws_stay_within_what_is_allowed():
    random = np.random.default_rng(0)
    none = Augmentation(flips=False, turns=False, gain=1)
    assert {none.draw(random) for _ in range(20)} == {Transform()}
    drawn = [Augmentation(gain=1.5).draw(random) for _ in range(300)]
    assert {(d.flip, d.turns) for d in drawn} == {(f, t) for f in (False, True) for t in range(4)}
    assert min(d.gain for d in drawn) >= 1 / 1.5
    assert max(d.gain for d in drawn) <= 1.5


def test_a_gain_below_one_is_refused():
    with pytest.raises(InputError, match="gain"):
        Augmentation(gain=0.5)
