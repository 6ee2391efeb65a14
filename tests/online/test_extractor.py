"""Activity of cells while frames come, against the truth and the offline result."""

from __future__ import annotations

import io

import numpy as np
import pytest
from helpers.planted import calcium
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from calcium_lightning.core.errors import InputError
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.finder import LocalizeSettings
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.online.extractor import FrameActivity, OnlineExtractor
from calcium_lightning.online.outlets import lines_to
from calcium_lightning.pipeline import extract

FPS, LENGTH, SIZE = 20.0, 700, (84, 96)
CENTERS = np.array([[y, x] for y in (14.0, 42.0, 70.0) for x in (14.0, 37.0, 60.0, 83.0)])
OPTIONS = {
    "detector": WindowDetector(BandpassDetector(), WindowSettings(taps=11, seconds=0.5)),
    "cell_diameter": 8.0,
    "device": "cpu",
    "localize": LocalizeSettings(twin=False),
}


@pytest.fixture(scope="module")
def recording() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    tissue = gaussian_filter(random.standard_normal(SIZE), 2)
    movie = 100 + 40 * tissue / tissue.std() + 3 * random.standard_normal((LENGTH, *SIZE))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    prints = np.exp(-((y - CENTERS[:, :1, None]) ** 2 + (x - CENTERS[:, 1:, None]) ** 2) / (2 * 3.4**2))
    traces, _ = calcium(len(CENTERS), LENGTH, FPS, rate_hz=0.25, seed=1)
    traces[-1, :420] = 0  # a cell that wasn't lit in the beginning
    movie = movie + 30 * np.einsum("kt,kyx->tyx", traces, prints)
    return np.clip(movie, 0, 255).astype(np.uint8), traces


def run(movie: np.ndarray, **settings: object) -> tuple[OnlineExtractor, list[FrameActivity]]:
    online = OnlineExtractor(FPS, beginning_s=20.0, behind=False, **settings, **OPTIONS)
    return online, [online.add(frame) for frame in movie]


def test_each_frame_gives_the_activity_of_cells_that_the_beginning_showed(recording):
    movie, traces = recording
    online, told = run(movie, search_s=0.0)
    with online:
        assert all(not len(item.activity) for item in told[:400])
        activity = np.stack([item.activity for item in told[400:]], 1)
        distance = cdist(CENTERS[:-1], online.centers)
        found = np.flatnonzero(distance.min(1) < 1.5)
        assert len(found) >= 10
        # Frames that come are not looked at before they come: each is right by itself.
        r = [
            np.corrcoef(activity[j], traces[i, 400:])[0, 1]
            for i, j in zip(found, distance.argmin(1)[found], strict=True)
        ]
        assert np.median(r) > 0.95
        assert min(r) > 0.8
        cells = online.finish()
    offline = extract(movie, fps=FPS, **OPTIONS)
    np.testing.assert_array_equal(cells.centers, offline.centers)
    np.testing.assert_array_equal(cells.traces, offline.traces)


def test_frames_without_a_lasting_picture_stay_where_they_are(recording):
    """Neither the beginning's nor those that come are moved by noise, and each cell is followed."""
    movie, traces = recording
    change = 100 * (movie.astype(np.float32) - movie.mean(0))  # counts of 16 bits without their mean
    online, told = run(change, search_s=0.0)
    with online:
        assert not any(item.shift.any() for item in told)
        distance = cdist(CENTERS[:-1], online.centers)
        found = np.flatnonzero(distance.min(1) < 1.5)
        assert len(found) >= 10
        activity = np.stack([item.activity for item in told[400:]], 1)[distance.argmin(1)]
        assert np.median([np.corrcoef(activity[i], traces[i, 400:])[0, 1] for i in found]) > 0.95


def test_cells_that_come_later_are_taken_up_behind_the_known_ones(recording):
    movie, _ = recording
    online, told = run(movie, search_s=12.0)
    with online:
        counts = [len(item.activity) for item in told]
        assert counts == sorted(counts)
        assert counts[-1] > counts[400]
        assert cdist(CENTERS[-1:], online.centers).min() < 1.5
        assert cdist(online.centers, online.centers)[np.triu_indices(len(online.centers), 1)].min() > 4


def test_lines_say_frame_cell_and_activity():
    stream = io.StringIO()
    tell = lines_to(stream)
    tell(FrameActivity(7, np.array([0.5, -1.25], np.float32), np.zeros(2), 0.0))
    assert stream.getvalue() == "frame,cell,activity\n7,0,0.500\n7,1,-1.250\n"


def test_frames_of_another_size_are_refused():
    with OnlineExtractor(FPS, **OPTIONS) as online:
        with pytest.raises(InputError, match="no frame has come"):
            online.finish()
        online.add(np.zeros((8, 9), np.uint8))
        with pytest.raises(InputError, match="frame 1 has shape"):
            online.add(np.zeros((9, 9), np.uint8))


def test_a_search_behind_the_frames_tells_of_its_failure(recording):
    with OnlineExtractor(FPS, beginning_s=0.2, **OPTIONS) as online:
        for frame in recording[0][:4]:
            online.add(frame)
        assert online._search is not None
        online._search.join()
        with pytest.raises(InputError, match="fewer than a window"):
            online.add(recording[0][4])


def test_frames_of_another_type_are_refused_where_values_would_be_lost():
    frame = np.full((16, 16), 200, np.uint8)
    for other in (frame.astype(np.uint16) * 10, frame / 1000):
        with OnlineExtractor(20.0) as online:
            online.add(frame)
            with pytest.raises(
                InputError, match=r"frame 1 is of type .*, those before uint8: values would be lost"
            ):
                online.add(other)
    with OnlineExtractor(20.0) as online, pytest.raises(InputError, match="real numbers are wanted"):
        online.add(frame.astype(complex))
    with OnlineExtractor(20.0) as online:
        online.add(frame.astype(np.float32))
        assert online.add(frame.tolist()).frame == 1
