import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.recordings import cut, damage, movie, packets, read_all, write_video

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.readers.grey import to_grey


def write_dib(path, frames, palette):
    """An uncompressed 8-bit AVI as MATLAB and ImageJ write it: rows from the bottom up, padded to 4 bytes."""
    count, height, width = frames.shape
    colours = b"" if palette is None else b"".join(bytes((level, level, level, 0)) for level in palette)
    padding = b"\0" * (-width % 4)
    size = (width + len(padding)) * height

    def chunk(name, data):
        return name + struct.pack("<I", len(data)) + data

    main = struct.pack("<14I", 50000, size * 20, 0, 16, count, 0, 1, size, width, height, 0, 0, 0, 0)
    stream = struct.pack(
        "<4s4s10I4H", b"vids", b"DIB ", 0, 0, 0, 1, 20, 0, count, size, 0, 0, 0, 0, width, height
    )
    form = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, size, 0, 0, 256 if colours else 0, 0)
    header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + chunk(
        b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", form + colours)
    ))  # fmt: skip
    pictures = [b"".join(row.tobytes() + padding for row in frame[::-1]) for frame in frames]
    body = chunk(b"LIST", b"movi" + b"".join(chunk(b"00db", picture) for picture in pictures))
    index = b"".join(
        struct.pack("<4sIII", b"00db", 16, 4 + number * (8 + size), size) for number in range(count)
    )
    path.write_bytes(chunk(b"RIFF", b"AVI " + header + body + chunk(b"idx1", index)))
    return path


def write_ticks(path, frames, at, codec):
    """A video whose frames are shown at the given ticks of a clock of 20 Hz."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "gray" if codec == "ffv1" else "yuv420p"
        for frame, tick in zip(frames, at, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="gray").reformat(format=stream.pix_fmt)
            picture.pts, picture.time_base = tick, Fraction(1, 20)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


EXACT = [
    ("a.avi", "ffv1", "gray", "uint8"),
    ("a.mkv", "ffv1", "gray", "uint8"),
    ("a.avi", "ffv1", "gray16le", "uint16"),
    ("a.avi", "rawvideo", "gray", "uint8"),
    ("a.nut", "ffv1", "gray", "uint8"),
    ("a.y4m", "wrapped_avframe", "gray", "uint8"),
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
        ("a.mts", "libx264", "yuv420p", {"crf": "0", "bf": "2"}),
        ("a.ts", "mpeg2video", "yuv420p", {"qmin": "1", "qmax": "1"}),
        ("a.flv", "flv", "yuv420p", {"qmin": "1", "qmax": "1"}),
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


def test_what_comes_before_a_damaged_frame_is_whole_every_time(tmp_path):
    """Threads that race show it in some readings only."""
    frames = np.random.default_rng(0).integers(60, 140, (14, 240, 320), np.uint8)
    path = write_video(tmp_path / "a.avi", frames, "ffv1", "gray", level="3")
    position, size = packets(path)[10]
    damage(path, position + size // 3, size // 2)
    for _ in range(40):
        with open_recording(path) as recording:
            read = np.concatenate(list(recording.blocks(0, 10, 1)))
        np.testing.assert_array_equal(read, frames[:10])


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


def test_the_levels_of_a_palette_and_of_a_missing_one(tmp_path):
    frames = movie(6, 20, 38)  # rows are padded to 40 bytes, and go from the bottom up
    for name, palette in (("grey", range(256)), ("none", None), ("inverted", range(255, -1, -1))):
        path = write_dib(tmp_path / f"{name}.avi", frames, palette)
        assert np.array_equal(read_all(path), 255 - frames if name == "inverted" else frames)


@pytest.mark.parametrize("codec", ["ffv1", "rawvideo", "mjpeg"])
@pytest.mark.parametrize("promised", [0, 5, 12, 30])
@pytest.mark.parametrize("index", ["whole", "half", "none"])
def test_frames_are_counted_whatever_header_and_index_say(tmp_path, codec, promised, index):
    path = write_video(tmp_path / "a.avi", movie(12), codec, "yuvj420p" if codec == "mjpeg" else "gray")
    frames = read_all(path)
    content = bytearray(path.read_bytes())
    for chunk, offset in ((b"avih", 24), (b"strh", 40)):
        struct.pack_into("<I", content, content.find(chunk) + offset, promised)
    if index != "whole":
        begin = content.rfind(b"idx1")
        keep = 16 * 6 if index == "half" else 0
        struct.pack_into("<I", content, begin + 4, keep)
        del content[begin + (8 + keep if keep else 0) :]
    path.write_bytes(content)
    if promised <= 12:
        assert np.array_equal(read_all(path), frames)
    else:
        with pytest.raises(InputError, match=r"promises 30 frames and 12 are there.*stop=12"):
            read_all(path)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "ffv1"), ("a.avi", "rawvideo"), ("a.mkv", "ffv1")])
@pytest.mark.parametrize("within", [0.0, 0.5, 1.0])
def test_a_copy_whose_tail_is_blank_ends_before_the_frame_that_is_not_whole(tmp_path, name, codec, within):
    frames = movie(30)
    path = write_video(tmp_path / name, frames, codec)
    with av.open(str(path)) as container:
        stored = [bytes(packet) for packet in container.demux(container.streams.video[0])]
    content = path.read_bytes()
    end = content.find(stored[17]) + int(within * len(stored[17]))
    path.write_bytes(content[:end] + bytes(len(content) - end))
    whole = 18 if within == 1 else 17
    with pytest.raises(InputError, match=rf"promises \d+ frames and {whole} are there|cut off") as error:
        read_all(path)
    assert f"stop={whole} takes" in str(error.value)
    with open_recording(path) as recording:
        assert np.array_equal(np.concatenate(list(recording.blocks(0, whole, 7))), frames[:whole])


@pytest.mark.parametrize("codec", ["ffv1", "mpeg4"])
@pytest.mark.parametrize("ticks", [2, 3])
def test_empty_chunks_are_no_frames(tmp_path, codec, ticks):
    frames = movie(20)
    path = write_ticks(tmp_path / "a.avi", frames, [ticks * index for index in range(20)], codec)
    with open_recording(path) as recording:
        recording.check_whole(0, None)
        assert recording.n_frames == 20
        assert recording.fps == pytest.approx(20 / ticks)
        assert recording.timestamps is None
    if codec == "ffv1":
        assert np.array_equal(read_all(path), frames)


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.mp4"])
def test_uneven_frames_have_times(tmp_path, name):
    at = np.arange(20) + 5 * (np.arange(20) >= 12)
    path = write_ticks(tmp_path / name, movie(20), at.tolist(), "mpeg4")
    with open_recording(path) as recording:
        assert recording.fps == pytest.approx(20, rel=0.01)
        np.testing.assert_allclose(recording.timestamps, at / 20, atol=0.002)
        assert recording.bad_frames.nonzero()[0].tolist() == [12]


def test_full_range_that_is_not_marked_is_seen(tmp_path):
    frames = movie(12)
    frames[:, 3:9, 3:9], frames[:, 12:18, 3:9] = 0, 255
    path = write_video(tmp_path / "a.mkv", frames, "libx264", "gray", qp="0")
    assert np.array_equal(read_all(path), frames)


def test_a_key_means_nothing_to_a_video(tmp_path):
    with pytest.raises(InputError, match="key= means nothing to video"):
        open_recording(write_video(tmp_path / "a.avi", movie(5)), key="data")
