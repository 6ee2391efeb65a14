from __future__ import annotations

import numpy as np
import pytest
from helpers.moving import Recording, moving_tissue
from PIL import Image

from calcium_lightning.core.frames import at_a_time
from calcium_lightning.preprocess.stretch import estimate_stretch, is_stretched


@pytest.fixture(scope="module")
def truth():
    """Return a ΔF/F movie: blinking cells on nothing, pixel noise, a slow background."""
    random = np.random.default_rng(5)
    count, size = 150, (96, 90)
    y, x = np.mgrid[: size[0], : size[1]]
    movie = np.zeros((count, *size))
    for center in random.uniform(0, size, (20, 2)):
        trace = np.zeros(count)
        for t in range(count):
            trace[t] = 0.8 * trace[t - 1] * (t > 0) + random.exponential(0.5) * (random.random() < 0.06)
        movie += trace[:, None, None] * np.exp(-((y - center[0]) ** 2 + (x - center[1]) ** 2) / (2 * 4.0**2))
    movie += 0.05 * np.sin(x / 40) * np.sin(np.arange(count) / 9)[:, None, None]
    return movie + 0.05 * random.standard_normal(movie.shape)


def stretched(truth):
    low, high = truth.min((1, 2)), truth.max((1, 2))
    gain = 255 / (high - low)
    frames = ((truth - low[:, None, None]) * gain[:, None, None]).round().astype(np.uint8)
    return frames, gain, -low * gain


def test_gain_and_offset_of_stretched_frames(truth):
    frames, gain, offset = stretched(truth)
    found = estimate_stretch(Recording(frames, "dff"), block_frames=32)
    assert np.log(gain).std() > 0.2  # the example is worth repairing
    assert np.corrcoef(np.log(found.gain), np.log(gain))[0, 1] > 0.98
    assert np.std(np.log(found.gain) - np.log(gain)) < 0.05
    assert np.median(found.gain) == pytest.approx(1)
    # What rests lies at 0 again, to a fraction of the noise of 0.05.
    assert np.std((found.offset - offset) / gain) < 0.6 * 0.05


def test_repair_brings_a_cells_trace_back(truth):
    frames, _, _ = stretched(truth)
    y, x = np.unravel_index(truth.var(0).argmax(), truth.shape[1:])
    true = truth[:, y, x]
    repaired = np.concatenate(
        [
            estimate_stretch(Recording(frames)).repair(frames[start : start + 40], start)
            for start in range(0, 150, 40)
        ]
    )
    assert repaired.dtype == np.float32
    before = np.corrcoef(frames[:, y, x].astype(float), true)[0, 1]
    after = np.corrcoef(repaired[:, y, x], true)[0, 1]
    assert after > 0.98
    assert after > before + 0.02


def test_stretched_frames_are_recognised_and_others_not(truth):
    frames, _, _ = stretched(truth)
    assert is_stretched(Recording(frames))
    common = ((truth - truth.min()) * 255 / np.ptp(truth)).astype(np.uint8)
    assert not is_stretched(Recording(common))
    assert not is_stretched(Recording(truth.astype(np.float32)))
    clipped = ((truth + 0.08) * 255 / 0.4).clip(0, 255).astype(np.uint8)
    assert not is_stretched(Recording(clipped))
    assert not is_stretched(Recording(np.zeros((10, 20, 20), np.uint8)))
    assert not is_stretched(Recording(frames[:1]))
    assert not is_stretched(Recording(moving_tissue(np.zeros((40, 2), np.float32))))


def test_a_constant_frame_takes_its_neighbours_gain(truth):
    frames = stretched(truth)[0].copy()
    frames[70] = 9
    found = estimate_stretch(Recording(frames))
    assert found.gain[70] == pytest.approx(np.sqrt(found.gain[69] * found.gain[71]), rel=1e-4)
    assert (found.gain > 0).all()
    flat = estimate_stretch(Recording(np.full((3, 20, 20), 4, np.uint8)))
    np.testing.assert_array_equal(flat.gain, 1)
    np.testing.assert_array_equal(flat.offset, 4)


def test_of_a_large_field_few_frames_are_held_at_a_time(truth):
    frames = np.tile(stretched(truth)[0][:60], (1, 6, 6))
    recording = Recording(frames)
    assert is_stretched(recording)
    assert recording.read <= at_a_time(*frames.shape[1:])
    tiled, one = estimate_stretch(recording), estimate_stretch(Recording(frames[:, :96, :90]))
    assert recording.read <= at_a_time(*frames.shape[1:]) < len(frames)
    assert np.std(np.log(tiled.gain) - np.log(one.gain)) < 0.05


def test_real_frames_become_smoother_in_time(magdeburg):
    folder = magdeburg / "8-16-17_preprocessed_dF"
    files = sorted(folder.glob("*.jpg"))[:150]
    frames = np.stack([np.asarray(Image.open(file).convert("L")) for file in files])
    recording = Recording(frames, "dff")
    assert is_stretched(recording)
    repaired = estimate_stretch(recording).repair(frames)
    blocks = (
        repaired[:, :200, :190].reshape(len(frames), 20, 10, 19, 10).mean((2, 4)).reshape(len(frames), -1)
    )
    plain = frames[:, :200, :190].astype(float) - np.median(frames, (1, 2))[:, None, None]
    plain = plain.reshape(len(frames), 20, 10, 19, 10).mean((2, 4)).reshape(len(frames), -1)

    def roughness(traces):
        lively = traces.var(0) >= np.quantile(traces.var(0), 0.9)
        return np.median(np.square(np.diff(traces[:, lively], axis=0)).mean(0) / traces[:, lively].var(0))

    assert roughness(blocks) < 0.97 * roughness(plain)
