import numpy as np
import pytest
from helpers.recordings import cut, damage, movie, packets, read_all, write_video

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import open_recording
from calcium_lightning.io.readers.grey import to_grey

EXACT = [
    ("a.avi", "ffv1", "gray", "uint8"),
    ("a.mkv", "ffv1", "gray", "uint8"),
    ("a.avi", "ffv1", "gray16le", "uint16"),
    ("a.avi", "rawvideo", "gray", "uint8"),
]


@pytest.mark.parametrize(("name", "codec", "pixels", "dtype"), EXACT)
def test_lossless_grey_comes_back_exactly(tmp_path, name, codec, pixels, dtype):
    frames = movie(23, dtype=dtype)
    path = write_video(tmp_path / name, frames, codec, pixels, rate=15)
    assert np.array_equal(read_all(path), frames)
    with open_recording(path) as recording:
        assert recording.fps == 15
        assert np.array_equal(np.concatenate(list(recording.blocks(7, 19, 4))), frames[7:19])


@pytest.mark.parametrize(("pixels", "dtype"), [("bgr0", "uint8"), ("rgb48le", "uint16")])
def test_equal_channels_give_their_value(tmp_path, pixels, dtype):
    frames = movie(6, dtype=dtype)
    path = write_video(tmp_path / "a.mkv", np.repeat(frames[..., None], 3, 3), "ffv1", pixels)
    assert np.array_equal(read_all(path), frames)


def test_colour_is_luminance(tmp_path):
    frames = np.stack([movie(6), movie(6) // 2, movie(6)[:, ::-1]], axis=-1)
    path = write_video(tmp_path / "a.avi", frames, "ffv1", "bgr0")
    assert np.abs(read_all(path).astype(int) - to_grey(frames)).max() <= 1


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("a.avi", "mjpeg", "yuvj420p", {"qmin": "1", "qmax": "1"}),
        ("a.mp4", "libx264", "yuv420p", {"crf": "0"}),
        ("a.mkv", "libx264", "yuv420p", {"crf": "0", "bf": "2"}),
    ],
)
def test_lossy_codecs_keep_the_grey_values(tmp_path, name, codec, pixels, options):
    frames = movie(30)
    path = write_video(tmp_path / name, frames, codec, pixels, **options)
    difference = read_all(path).astype(int) - frames
    assert np.abs(difference).mean() < 1.5
    assert abs(difference.mean()) < 0.6


def test_ten_bits(tmp_path):
    frames = movie(8)
    read = read_all(write_video(tmp_path / "a.mkv", frames, "libx264", "yuv420p10le", crf="0"))
    assert read.dtype == np.uint16
    assert np.abs(read / 1023 * 255 - frames).max() < 3


def test_a_corrupt_frame_is_named(tmp_path):
    for name, codec, pixels in (
        ("a.avi", "ffv1", "gray"),
        ("a.mkv", "ffv1", "gray"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.mp4", "libx264", "yuv420p"),
    ):
        path = write_video(
            tmp_path / name, movie(40), codec, pixels, **({"bf": "0"} if codec == "libx264" else {})
        )
        position, size = packets(path)[23]
        damage(path, position + size // 3, size // 2)
        with pytest.raises(InputError, match="frame 23 is corrupt"):
            read_all(path)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "ffv1"), ("a.avi", "mjpeg"), ("a.avi", "rawvideo"), ("a.mkv", "ffv1")]
)
def test_a_truncated_video_says_what_is_left(tmp_path, name, codec):
    path = write_video(tmp_path / name, movie(40), codec, "yuvj420p" if codec == "mjpeg" else "gray")
    position, size = packets(path)[30]
    cut(path, position + size // 2)
    with pytest.raises(InputError, match=r"promises 40 frames and 30 are there.*stop=30"):
        read_all(path)


def test_the_whole_part_of_a_truncated_avi_can_be_read(tmp_path):
    frames = movie(40)
    path = write_video(tmp_path / "a.avi", frames)
    cut(path, packets(path)[30][0])
    with open_recording(path) as recording:
        assert np.array_equal(np.concatenate(list(recording.blocks(0, 30, 8))), frames[:30])


def test_a_truncated_mp4(tmp_path):
    path = write_video(tmp_path / "a.mp4", movie(20), "libx264", "yuv420p")
    cut(path, 0.7)
    with pytest.raises(InputError, match="cut off"):
        open_recording(path)


def test_an_unknown_codec(tmp_path):
    path = write_video(tmp_path / "a.avi", movie(5))
    path.write_bytes(path.read_bytes().replace(b"FFV1", b"QZX9"))
    with pytest.raises(InputError, match="codec is unknown"):
        open_recording(path)


@pytest.mark.parametrize("content", [b"", b"this is text\n" * 100])
def test_no_video_at_all(tmp_path, content):
    (tmp_path / "a.avi").write_bytes(content)
    with pytest.raises(InputError, match=r"empty|not a video"):
        open_recording(tmp_path / "a.avi")


def test_a_key_means_nothing_to_a_video(tmp_path):
    with pytest.raises(InputError, match="key= and axes= are for"):
        open_recording(write_video(tmp_path / "a.avi", movie(5)), key="data")
