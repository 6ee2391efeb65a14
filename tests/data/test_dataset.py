import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.counted import Counted
from helpers.tiny_session import make_session

from calcium_lightning.data.augment import Augmentation
from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.data.dataset import BlockDataset, Labelled
from calcium_lightning.data.labels import label_table
from calcium_lightning.data.splits import Block
from calcium_lightning.io.session import Session
from calcium_lightning.nn.windows import WindowSettings, window_weights
from calcium_lightning.preprocess.motion.types import PatchShifts
from calcium_lightning.preprocess.prepared import Prepared, Scale

WINDOW = WindowSettings(taps=5, seconds=0.5)


def prepared_of(path) -> Prepared:
    session = Session(path)
    scale = Scale.for_diameter(session.shape[1:], 9.0)
    count = session.n_frames
    prepared = Prepared(
        session=session,
        scale=scale,
        fps=session.fps,
        cell_diameter=9.0,
        shifts=np.zeros((count, 2), np.float32),
        gain=np.ones(count, np.float32),
        offset=np.zeros(count, np.float32),
        background_sigma=4.0,
        baseline=torch.zeros(1, *scale.size),
        knots=torch.zeros(1),
        noise=torch.ones(scale.size),
        seen=torch.ones(scale.size),
    )
    return replace(prepared, baseline=prepared.detail(0, count).median(0).values[None])


@pytest.fixture
def both(two_sessions):
    return [prepared_of(path) for path in two_sessions]


def test_sessions_of_different_sizes_and_rates_share_a_batch(both):
    dataset = BlockDataset(both, [Block(0, 8, 4), Block(1, 16, 4)], WINDOW, crop=20, crops=2)
    batch = dataset[[(0, (1, 2)), (1, (1, 3))]]
    assert batch.windows.shape == (16, 5, 20, 20)
    assert batch.session.tolist() == [0] * 8 + [1] * 8
    assert batch.frame.tolist() == [8, 9, 10, 11] * 2 + [16, 17, 18, 19] * 2
    assert (batch.extent[:, 0] < batch.extent[:, 1]).all()
    assert batch.extent.abs().max() <= 1


@pytest.mark.parametrize("start", [0, 12, 32])
def test_windows_are_those_of_the_whole_movie(both, start):
    part = both[1]
    dataset = BlockDataset([part], [Block(0, start, 8)], WINDOW)
    batch = dataset[[(0, (0,))]]
    whole = part.foreground(0, part.shape[0])
    weights = window_weights(part.fps, WINDOW)
    reach = weights.shape[1] // 2
    index = (torch.arange(start, start + 8)[:, None] + torch.arange(-reach, reach + 1)).clamp(
        0, part.shape[0] - 1
    )
    expected = torch.einsum("ks,nsyx->nkyx", weights, whole[index])
    torch.testing.assert_close(batch.windows, expected, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(batch.target, whole[start : start + 8])
    torch.testing.assert_close(batch.extent, torch.tensor([[-1.0, 1, -1, 1]]).expand(8, 4))


def test_a_sample_depends_on_its_key_alone(both):
    blocks = [Block(0, 8, 4), Block(0, 24, 4)]
    dataset = BlockDataset(both, blocks, WINDOW, crop=20, augmentation=Augmentation())
    one, two = dataset[[(0, (7, 1))]], dataset[[(1, (7, 2)), (0, (7, 1))]]
    assert torch.equal(one.windows, two.windows[4:])
    assert not torch.equal(one.windows, dataset[[(0, (7, 3))]].windows)


def test_crops_reach_the_border_often(both):
    dataset = BlockDataset(both[:1], [Block(0, 20, 1)], WINDOW, crop=16)
    extents = torch.cat([dataset[[(0, (0, key))]].extent for key in range(60)])
    assert ((extents[:, 0] == -1).float().mean() > 0.1) & ((extents[:, 1] == 1).float().mean() > 0.1)


def test_labels_lie_on_the_light(both):
    """Labels that are painted and high-passed as the frames were look like the frames."""
    part = both[0]
    dataset = BlockDataset([part], [Block(0, 10, 30)], WINDOW, labels=Labelled([label_table(part)], -1e9))
    batch = dataset[[(0, (3,))]]
    labels = batch.labels
    y, x = torch.meshgrid(*(torch.arange(n) for n in part.scale.size), indexing="ij")
    sigma = (2.5**2 * part.scale.factor[0] ** 2 + 0.5**2) ** 0.5
    distance = (y - labels.positions[..., 0, None, None]) ** 2 + (
        x - labels.positions[..., 1, None, None]
    ) ** 2
    painted = part.high_pass(
        (torch.exp(-distance / (2 * sigma**2)) * labels.amplitude[..., None, None]).sum(1)
    )
    painted, seen = painted - painted.mean(0), batch.target - batch.target.mean(0)
    slope = float((seen * painted).sum() / painted.square().sum())
    assert slope == pytest.approx(1, abs=0.08)
    assert np.corrcoef(seen.flatten(), painted.flatten())[0, 1] > 0.75


def test_labels_of_blocks_are_padded_to_the_most(both):
    dataset = BlockDataset(
        both,
        [Block(0, 10, 8), Block(1, 10, 8)],
        WINDOW,
        crop=24,
        labels=Labelled([label_table(part) for part in both], 0.5),
    )
    labels = dataset[[(0, (1,)), (1, (1,))]].labels
    assert labels.positions.shape == (16, labels.valid.shape[1], 2)
    assert labels.valid.any(1).sum() > 4
    assert (labels.amplitude[labels.valid] > 0.5).all()
    assert (labels.amplitude[~labels.valid] == 0).all()
    # Lit cells come first, the padding after them.
    assert (labels.valid[:, 1:] <= labels.valid[:, :-1]).all()


def test_labels_follow_the_motion_that_is_left(both):
    part = both[0]
    table = label_table(replace(part, shifts=part.shifts + np.array([1.5, -3.0], np.float32)))
    np.testing.assert_allclose(table.drift, np.tile([-1.0, 2.0], (part.shape[0], 1, 1)), atol=1e-5)


def test_labels_follow_each_cell_where_motion_differed_over_the_field(both):
    shifts = np.zeros((both[0].shape[0], 2, 1, 2), np.float32)
    shifts[:, 1, 0, 0] = 3.0  # the bottom moves, the top doesn't
    part = replace(both[0], patches=PatchShifts(shifts, np.zeros((2, 1, 2), np.float32)))
    table = label_table(part)
    expected = -2.0 * part.scale.to_session(table.positions)[:, 0] / (part.session.height - 1)
    np.testing.assert_allclose(table.drift[5, :, 0], expected, atol=1e-4)
    assert not table.drift[:, :, 1].any()
    lit = table.lit(5, 4, (0, part.scale.size[0], 0, part.scale.size[1]), 0.0)
    assert torch.isfinite(lit.positions).all()


def test_a_pickled_dataset_opens_its_own_file(both):
    dataset = BlockDataset(both, [Block(0, 8, 4)], WINDOW, crop=20)
    before = dataset[[(0, (1,))]]
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.prepared[0].session._file is None
    assert torch.equal(copy[[(0, (1,))]].windows, before.windows)


def test_small_crops_of_large_fields_are_prepared_one_by_one_and_come_out_the_same(tmp_path):
    part = prepared_of(make_session(tmp_path / "wide.h5", frames=30, size=(200, 210)))
    blocks, options = [Block(0, 0, 8), Block(0, 16, 8)], {"crop": 14, "crops": 1}
    dataset = BlockDataset([part], blocks, WINDOW, **options)
    assert dataset.whole == [False]
    assert BlockDataset([part], blocks, WINDOW, crop=14, crops=50).whole == [True]
    held = replace(part, held=part.foreground(0, part.shape[0]))
    for index, key in ((0, (1,)), (1, (2,)), (1, (3,))):
        one, two = (
            data[[(index, key)]] for data in (dataset, BlockDataset([held], blocks, WINDOW, **options))
        )
        torch.testing.assert_close(one.windows, two.windows, atol=2e-3, rtol=1e-4)
        assert torch.equal(one.extent, two.extent)


def data_of(paths, **options) -> SessionData:
    window = WindowSettings(taps=5, seconds=0.2)
    data = SessionData(paths, window, cell_diameter=6.0, batch_size=8, block=4, crop=24, **options)
    data.setup()
    return data


def test_each_frame_is_prepared_once_in_an_epoch(tmp_path):
    data = data_of([make_session(tmp_path / "a.h5", frames=1408)], buffer_mb=1, validation=0)
    loader = data.train_dataloader()
    segments = loader.dataset.segments
    segments.sources = [Counted(source) for source in segments.sources]
    seen = Counter(t for batch in loader for t in batch.frame.tolist())
    assert seen == Counter(range(1408))
    assert segments.sources[0].read == Counter(range(1408))
    assert segments.capacity * segments.layouts[0].frames < 1408


def test_workers_give_the_batches_of_one_process(two_sessions):
    loaders = [data_of(two_sessions, workers=workers).train_dataloader() for workers in (0, 2)]
    for _ in range(2):
        for one, two in zip(*loaders, strict=True):
            assert torch.equal(one.session, two.session)
            assert torch.equal(one.frame, two.frame)
            assert torch.equal(one.windows, two.windows)
            assert torch.equal(one.target, two.target)
