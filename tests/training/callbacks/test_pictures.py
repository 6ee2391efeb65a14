import pytest
import torch
from torch import nn

from calcium_lightning.nn.background import NoBackground
from calcium_lightning.nn.encoder import UShapeEncoder
from calcium_lightning.nn.head import CoordinateHead
from calcium_lightning.nn.splat import SplatDecoder
from calcium_lightning.nn.windows import Labels, WindowBatch
from calcium_lightning.training.callbacks.pictures import draw
from calcium_lightning.training.localization import LocalizationModel
from calcium_lightning.training.losses import CombinedLoss, EvidenceLoss


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return LocalizationModel(
        UShapeEncoder(3, (4, 6), 6),
        CoordinateHead(6),
        SplatDecoder(),
        NoBackground(),
        CombinedLoss(EvidenceLoss(splats=8)),
        torch.optim.Adam,
    )


def batch_of(count: int, labels: bool) -> WindowBatch:
    random = torch.Generator().manual_seed(1)
    target = torch.randn(count, 24, 24, generator=random)
    target[count // 2, 10:14, 10:14] += 20
    return WindowBatch(
        windows=target[:, None].expand(-1, 3, -1, -1).contiguous(),
        target=target,
        extent=torch.tensor([[-1.0, 1, -1, 1]]).expand(count, 4),
        session=torch.zeros(count, dtype=torch.long),
        frame=torch.arange(count),
        labels=Labels(
            torch.full((count, 1, 2), 12.0), torch.ones(count, 1), torch.ones(count, 1, dtype=torch.bool)
        )
        if labels
        else None,
    )


@pytest.mark.parametrize(("count", "labels"), [(1, False), (6, True)])
def test_a_row_per_sample_and_nothing_changed(model, count, labels):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    figure = draw(model, batch_of(count, labels), samples=2)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert len(figure.axes) == 5 * min(2, count)
    titles = [axis.get_title() for axis in figure.axes[:5]]
    assert titles[1] == "foreground"
    assert titles[2].startswith("coordinates")
    assert figure.axes[0].images


def test_the_brightest_frame_is_shown(model):
    figure = draw(model, batch_of(6, False), samples=1)
    assert figure.axes[0].get_title() == "session 0, frame 3"


def test_pyplot_is_left_alone(model):
    import sys

    def shown() -> list[int]:  # others' tests may have left figures there
        pyplot = sys.modules.get("matplotlib.pyplot")
        return pyplot.get_fignums() if pyplot else []

    before = shown()
    draw(model, batch_of(1, False), samples=1)
    assert shown() == before
