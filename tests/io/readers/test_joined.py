import json

import numpy as np
import pytest
import tifffile
from helpers.recordings import movie, write_video

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.readers.joined import JoinedRecording

#: one scene, with noise: nothing changes at a seam
FRAMES = movie(1) + np.random.default_rng(0).integers(0, 5, (60, 24, 38)).astype(np.uint8)


def part(path, frames, began=None, **options):
    if path.suffix == ".tif":
        tifffile.imwrite(path, frames, photometric="minisblack", **options)
        return open_recording(path)
    path.mkdir()
    write_video(path / "0.avi", frames)
    (path / "metaData.json").write_text(
        json.dumps({"deviceType": "Miniscope_V4", "frameRate": 20, "recordingStartTime": began})
    )
    return open_recording(path)


def began(minute):
    return {"year": 2022, "month": 9, "day": 19, "hour": 15, "minute": minute, "second": 0}


def read(recording):
    return np.concatenate(list(recording.blocks(0, recording.n_frames, 7)))


def test_alike_recordings_stay_as_they_are(tmp_path):
    joined = JoinedRecording(
        [part(tmp_path / f"{n}.tif", FRAMES[20 * n : 20 * n + 20]) for n in range(3)], 20.0
    )
    assert joined.dtype == np.uint8
    assert np.array_equal(read(joined), FRAMES)
    assert np.array_equal(np.concatenate(list(joined.blocks(15, 45, 4))), FRAMES[15:45])
    np.testing.assert_allclose(joined.timestamps, np.arange(60) / 20)
    assert any("joined without pauses" in note for note in joined.notes)


def test_levels_are_matched_at_the_seam(tmp_path):
    truth = FRAMES.astype(np.float32)
    brighter = truth[30:] * 1.4 + 10
    parts = [part(tmp_path / "a.tif", truth[:30]), part(tmp_path / "b.tif", brighter.astype(np.float32))]
    joined = JoinedRecording(parts, 20.0)
    frames = read(joined)
    assert frames.dtype == np.float32
    step = np.abs(frames[30:] - truth[30:]).mean()
    assert step < 0.1 * np.abs(brighter - truth[30:]).mean()
    assert any("b.tif: levels times 0.7" in note for note in joined.notes)


def test_pauses_are_kept_in_the_times(tmp_path):
    parts = [part(tmp_path / str(minute), FRAMES[:20], began(minute)) for minute in (3, 10)]
    joined = JoinedRecording(parts)
    assert joined.fps == 20
    np.testing.assert_allclose(joined.timestamps[[0, 19, 20]], [0, 0.95, 420])
    with pytest.raises(InputError, match=r"began before .* ended; give them in the order of time"):
        JoinedRecording(parts[::-1])


def test_what_does_not_fit_is_refused(tmp_path):
    first = part(tmp_path / "a.tif", FRAMES)
    with pytest.raises(InputError, match=r"a field of \(20, 38\), but .*\(24, 38\)"):
        JoinedRecording([first, part(tmp_path / "b.tif", movie(9, 20, 38))], 20.0)
    slow, fast = (
        part(tmp_path / f"{n}.tif", FRAMES, imagej=True, metadata={"axes": "TYX", "finterval": n})
        for n in (0.05, 0.1)
    )
    with pytest.raises(InputError, match=r"10 Hz, but .* has 20 Hz; fps="):
        JoinedRecording([slow, fast])
    assert JoinedRecording([slow, fast], 20.0).n_frames == 120
