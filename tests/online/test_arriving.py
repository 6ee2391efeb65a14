"""Frames that come while they are asked for."""

from __future__ import annotations

import os
from pathlib import Path

import av
import h5py
import numpy as np
import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.online.arriving import arriving


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (count, 16, 24)).astype(np.uint8)


def write_avi(path: Path, movie: np.ndarray, codec: str = "ffv1", pixels: str = "gray") -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20)
        stream.height, stream.width, stream.pix_fmt = *movie.shape[1:], pixels
        for frame in movie:
            grey = "gray" if movie.dtype == np.uint8 else "gray16le"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=grey)))
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


@pytest.mark.parametrize("first", ["behavCam1.avi", "msCam1.avi"])
def test_the_behaviour_camera_beside_the_scope_is_left_out(tmp_path, first):
    movies = {"msCam1.avi": frames(5, 1), "msCam2.avi": frames(4, 2), "behavCam1.avi": frames(6, 3)}
    write_avi(tmp_path / first, movies[first])

    def sleep(_: float) -> None:
        for name in movies:
            if not (tmp_path / name).exists():
                write_avi(tmp_path / name, movies[name])

    expected = np.concatenate([movies["msCam1.avi"], movies["msCam2.avi"]])
    np.testing.assert_array_equal(list(arriving(tmp_path, 0.05, sleep=sleep)), expected)


def test_the_session_s_folder_is_as_good_as_the_scope_s(tmp_path):
    for name in ("My_V4_Miniscope", "My_WebCam"):
        (tmp_path / name).mkdir()
        write_avi(tmp_path / name / "0.AVI.avi", frames(5, len(name)))
        (tmp_path / name / "0.AVI.avi").rename(tmp_path / name / "0.AVI")
    np.testing.assert_array_equal(list(arriving(tmp_path, 0.05)), frames(5, len("My_V4_Miniscope")))
    (tmp_path / "Miniscope_2").mkdir()
    with pytest.raises(InputError, match=r"several miniscopes \(Miniscope_2, My_V4_Miniscope\); give one"):
        next(arriving(tmp_path, 0.05))


@pytest.mark.parametrize(
    ("codec", "pixels", "dtype"),
    [("ffv1", "gray16le", "uint16"), ("ffv1", "yuv420p", "uint8"), ("libx264", "yuv420p", "uint8")],
)
def test_frames_that_come_are_those_that_ingest_reads(tmp_path, codec, pixels, dtype):
    movie = frames(12).astype(dtype) * (200 if dtype == "uint16" else 1)
    write_avi(tmp_path / "0.avi", movie, codec, pixels)
    with open_recording(tmp_path / "0.avi") as recording:
        expected = np.concatenate(list(recording.blocks(0, 12, 12)))
    found = list(arriving(tmp_path, 0.05))
    assert found[0].dtype == dtype
    np.testing.assert_array_equal(found, expected)


def test_a_file_that_is_finished_after_the_next_has_begun_is_read_to_its_end(tmp_path):
    movies = [frames(40, 1), frames(5, 2)]
    folder = tmp_path / "live"
    folder.mkdir()
    for name, movie in zip(("0.avi", "1.avi"), movies, strict=True):
        write_avi(tmp_path / name, movie)
    whole = (tmp_path / "0.avi").read_bytes()
    (folder / "0.avi").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "1.avi").rename(folder / "1.avi")

    def sleep(_: float) -> None:
        (folder / "0.avi").write_bytes(whole)

    np.testing.assert_array_equal(list(arriving(folder, 0.1, sleep=sleep)), np.concatenate(movies))


def test_damaged_files_are_told_and_the_recording_goes_on(tmp_path):
    movies = [frames(40, 1), frames(40, 2), frames(5, 3)]
    for number, movie in enumerate(movies):
        write_avi(tmp_path / f"{number}.avi", movie)
    half = (tmp_path / "1.avi").read_bytes()
    (tmp_path / "1.avi").write_bytes(half[: len(half) // 2])
    (tmp_path / "3.avi").write_bytes(b"")  # opened when the recorder stopped
    told: list[str] = []
    found = np.array(list(arriving(tmp_path, 0.05, tell=told.append)))
    count = len(found) - 45
    assert 0 < count < 40
    np.testing.assert_array_equal(found, np.concatenate([movies[0], movies[1][:count], movies[2]]))
    assert f"1.avi: cut off behind {count} frames, {40 - count} lost" in told[0]
    assert "3.avi: frame 0 and what is behind it can't be read" in told[1]


def test_what_there_is_instead_is_told(tmp_path):
    (tmp_path / "0.mkv").write_bytes(b"x")
    with pytest.raises(InputError, match=r"AVI files are followed, there are: 0\.mkv"):
        next(arriving(tmp_path, 0.02))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["movie"] = frames(3)
    with pytest.raises(InputError, match=r"key= names it, there are: movie"):
        next(arriving(tmp_path / "a.h5", 0.02))


def test_a_file_of_another_size_is_told_once_and_left_out(tmp_path):
    write_avi(tmp_path / "0.avi", frames(5, 1))
    write_avi(tmp_path / "1.avi", frames(4, 2)[:, :12])
    left = [frames(3, 3)]

    def sleep(_: float) -> None:
        if left:
            write_avi(tmp_path / "2.avi", left.pop())

    told: list[str] = []
    found = list(arriving(tmp_path, 0.1, sleep=sleep, tell=told.append))
    np.testing.assert_array_equal(found, np.concatenate([frames(5, 1), frames(3, 3)]))
    assert told == [f"{tmp_path / '1.avi'}: frames of (12, 24), those before (16, 24): left out"]
