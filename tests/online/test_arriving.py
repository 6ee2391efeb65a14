"""Frames that come while they are asked for."""

from __future__ import annotations

import os
from pathlib import Path

import av
import h5py
import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.online.arriving import arriving


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (count, 16, 24)).astype(np.uint8)


def write_avi(path: Path, movie: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=20)
        stream.height, stream.width, stream.pix_fmt = *movie.shape[1:], "gray"
        for frame in movie:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())


def test_a_dataset_that_grows_is_followed_to_its_end(tmp_path):
    movie, path = frames(50), tmp_path / "live.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("frames", data=movie[:7], maxshape=(None, 16, 24), chunks=(4, 16, 24))
    left = [(7, 30), (30, 31), (31, 50)]

    def sleep(_: float) -> None:
        if left:
            start, stop = left.pop(0)
            with h5py.File(path, "r+") as file:
                file["frames"].resize(stop, 0)
                file["frames"][start:stop] = movie[start:stop]

    np.testing.assert_array_equal(list(arriving(path, 0.1, sleep=sleep)), movie)


def test_videos_are_followed_one_after_the_other_as_a_miniscope_writes_them(tmp_path):
    movies = [frames(12, 1), frames(9, 2), frames(5, 3)]
    write_avi(tmp_path / "0.avi", movies[0])
    left = [("10.avi", movies[2]), ("2.avi", movies[1])]

    def sleep(_: float) -> None:
        if left:
            write_avi(tmp_path / left[-1][0], left[-1][1])
            left.pop()

    np.testing.assert_array_equal(list(arriving(tmp_path, 0.1, sleep=sleep)), np.concatenate(movies))


def test_a_video_that_is_being_written_gives_what_is_whole(tmp_path):
    movie = frames(40)
    write_avi(tmp_path / "whole.avi", movie)
    whole = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "whole.avi").unlink()
    folder = tmp_path / "live"
    folder.mkdir()
    path = folder / "0.avi"
    path.write_bytes(whole[: len(whole) // 2])
    seen: list[int] = []

    def sleep(_: float) -> None:
        seen.append(len(found))
        path.write_bytes(whole)

    found: list[np.ndarray] = []
    for frame in arriving(folder, 0.1, sleep=sleep):
        found.append(frame)
    assert 0 < seen[0] < 40
    np.testing.assert_array_equal(found, movie)


def test_what_is_no_recording_is_told(tmp_path):
    with pytest.raises(InputError, match="not found"):
        next(arriving(tmp_path / "none"))
    with pytest.raises(InputError, match="no frame has come"):
        next(arriving(tmp_path, 0.02))
    (tmp_path / "a.h5").write_text("nothing of the kind")
    with pytest.raises(InputError, match="neither a folder"):
        next(arriving(tmp_path / "a.h5", 0.05))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["other"] = 1
    with pytest.raises(InputError, match="no dataset frames"):
        next(arriving(tmp_path / "b.h5", 0.05))


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "0.avi")
    for path in (tmp_path / "0.avi", tmp_path):
        with pytest.raises(InputError, match=r"0\.avi: no regular file"):
            next(arriving(path, 0.1))
