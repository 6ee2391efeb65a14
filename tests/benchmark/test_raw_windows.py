from collections import Counter

import numpy as np
import pytest
import torch
from helpers.counted import Counted
from raw_windows import RawWindows, raw_loader

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.session_writer import SessionWriter

LENGTHS, SIZE = (150, 67), (9, 300)


@pytest.fixture(scope="module", params=["none", "gzip", "lz4"])
def sessions(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    paths = []
    for number, length in enumerate(LENGTHS):
        frames = np.random.default_rng(number).integers(0, 2**12, (length, *SIZE)).astype(np.uint16)
        with SessionWriter(
            folder / f"{number}.h5", *SIZE, "uint16", 20.0, compression=request.param
        ) as writer:
            writer.append(frames)
        paths.append(folder / f"{number}.h5")
    return paths


def middles(batch):
    blocks = zip(batch.session, batch.start, batch.windows, strict=True)
    return [(session, start + i) for session, start, windows in blocks for i in range(len(windows))]


EVERY = [(number, frame) for number, length in enumerate(LENGTHS) for frame in range(length)]


@pytest.mark.parametrize(("block", "shuffle"), [(1, True), (8, True), (1, False), (8, False), (500, False)])
@pytest.mark.parametrize("step", [1, 3])
def test_windows_are_frames_of_the_file_in_its_type(sessions, block, shuffle, step):
    dataset = RawWindows(sessions, taps=5, step=step, block=block)
    movies = [source.session.frames() for source in dataset.sources]
    for source in dataset.sources:
        source.session.close()
    seen = []
    for batch in raw_loader(dataset, 4, shuffle=shuffle, buffer_mb=1):
        windows = torch.cat([w.to(torch.int32) for w in batch.windows])
        assert {w.dtype for w in batch.windows} == {torch.uint16}
        assert len(windows) == len(batch) == len(middles(batch))
        for (session, frame), window in zip(middles(batch), windows, strict=True):
            taps = np.clip(frame + step * np.arange(-2, 3), 0, LENGTHS[session] - 1)
            np.testing.assert_array_equal(window, movies[session][taps])
        assert torch.equal(batch.stacked(), windows.float())
        seen += middles(batch)
    assert set(seen) <= set(EVERY)
    assert len(set(seen)) == len(seen)
    if shuffle:
        assert len(seen) > len(EVERY) - 4 * block  # the rest begins the next epoch
    else:
        assert seen == EVERY


def test_overlapping_windows_share_memory(sessions):
    dataset = RawWindows(sessions, taps=5, block=8)
    (windows,) = dataset[[(3, ())]].windows
    assert windows.stride(0) == windows.stride(1)
    assert windows[0, 1].data_ptr() == windows[1, 0].data_ptr()


@pytest.mark.parametrize("shuffle", [True, False])
def test_each_frame_is_read_once_in_an_epoch(tmp_path, shuffle):
    path = tmp_path / "a.h5"
    with SessionWriter(path, 64, 64, "uint8", 20.0) as writer:
        writer.append(np.zeros((4096, 64, 64), np.uint8))
    dataset = RawWindows([path], taps=7, block=1)
    dataset.segments.sources = [Counted(source) for source in dataset.segments.sources]
    loader = raw_loader(dataset, 16, shuffle=shuffle, buffer_mb=1)
    assert sum(len(batch) for batch in loader) == 4096
    assert dataset.segments.sources[0].read == Counter(range(4096))


def shown(batches):
    return [(middles(batch), batch.stacked()) for batch in batches]


def test_workers_and_ranks_give_the_batches_of_one_process(sessions):
    def loader(**options):
        loader = raw_loader(RawWindows(sessions, taps=5, block=2), 4, seed=3, buffer_mb=1, **options)
        loader.sampler.set_epoch(1)  # some windows of the first turn, and some of the second
        return loader

    alone = shown(loader())
    for (middle, windows), (expected, frames) in zip(shown(loader(workers=2)), alone, strict=True):
        assert middle == expected
        assert torch.equal(windows, frames)
    parts = [shown(loader(rank=rank, world_size=2)) for rank in (0, 1)]
    for (one, _), (two, _), (expected, _) in zip(*parts, alone, strict=True):
        assert not set(one) & set(two)
        assert sorted(one + two) == sorted(expected)


def test_the_seed_decides_the_order(sessions):
    one, two, other = (list(raw_loader(RawWindows(sessions), 8, seed=seed).sampler) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_frames_of_different_sizes_are_refused(sessions, tmp_path):
    with SessionWriter(tmp_path / "other.h5", SIZE[0] + 1, SIZE[1], "uint16", 20.0) as writer:
        writer.append(np.zeros((20, SIZE[0] + 1, SIZE[1]), np.uint16))
    with pytest.raises(InputError, match="take them one by one"):
        RawWindows([sessions[0], tmp_path / "other.h5"])
    with pytest.raises(InputError, match="taps=4"):
        RawWindows(sessions, taps=4)
