"""CoordConv: coordinates of crops are those of the field."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calcium_lightning.nn.coordconv import CoordConv2d, coordinate_channels, crop_extent, extend_extent

lengths = st.integers(2, 30)


def test_whole_field_spans_minus_one_to_one() -> None:
    channels = coordinate_channels((3, 5), radius=True)
    assert channels.shape == (1, 3, 3, 5)
    torch.testing.assert_close(channels[0, 0, :, 2], torch.tensor([-1.0, 0.0, 1.0]))
    torch.testing.assert_close(channels[0, 1, 1], torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]))
    torch.testing.assert_close(channels[0, 2, 0, 0], torch.tensor(2.0).sqrt())


@given(field=st.tuples(lengths, lengths), data=st.data())
def test_crop_has_the_coordinates_of_its_pixels(field: tuple[int, int], data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, field[0])), data.draw(st.integers(1, field[1]))
    top, left = data.draw(st.integers(0, field[0] - height)), data.draw(st.integers(0, field[1] - width))
    extent = crop_extent(torch.tensor([top, 0]), torch.tensor([left, 0]), (height, width), field)
    crops = coordinate_channels((height, width), extent)
    whole = coordinate_channels(field)
    torch.testing.assert_close(
        crops[0], whole[0, :, top : top + height, left : left + width], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(crops[1], whole[0, :, :height, :width], atol=1e-5, rtol=0)


def test_extension_continues_the_same_steps() -> None:
    extent = crop_extent(1, 2, (4, 5), (20, 20))
    longer = coordinate_channels((8, 8), extend_extent(extent, (4, 5), (8, 8)))
    torch.testing.assert_close(longer, coordinate_channels((20, 20))[:, :, 1:9, 2:10])


def test_layer_depends_on_extent_and_learns_a_position() -> None:
    layer = CoordConv2d(1, 1, kernel_size=1)
    with torch.no_grad():
        layer.convolution.weight.copy_(torch.tensor([0.0, 10.0, 1.0]).view(1, 3, 1, 1))
        layer.convolution.bias.zero_()  # type: ignore[union-attr]
    extent = torch.tensor([[-1.0, 1.0, -1.0, 1.0], [0.0, 0.5, 0.5, 0.0]])
    output = layer(torch.randn(2, 1, 2, 2), extent)
    torch.testing.assert_close(output[1, 0], torch.tensor([[0.5, 0.0], [5.5, 5.0]]))
    torch.testing.assert_close(output[0, 0], torch.tensor([[-11.0, -9.0], [9.0, 11.0]]))


def test_wrong_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="extent"):
        coordinate_channels((3, 3), torch.zeros(4))
