import numpy as np
import pytest
import tifffile
from helpers.recordings import cut, movie, read_all

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import open_recording


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"compression": "deflate"},
        {"compression": "lzw"},
        {"byteorder": ">"},
        {"photometric": "minisblack", "metadata": None},
        {"compression": "zstd", "bigtiff": True, "metadata": None},
    ],
    ids=str,
)
def test_stacks_come_back_exactly(tmp_path, dtype, options):
    frames = movie(13, dtype=dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames, **{"photometric": "minisblack", **options})
    assert np.array_equal(read_all(path), frames)
    with open_recording(path) as recording:
        assert np.array_equal(np.concatenate(list(recording.blocks(4, 11, 3))), frames[4:11])


def test_pages_written_one_by_one(tmp_path):
    frames = movie(9, dtype="uint16")
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for frame in frames:
            writer.write(frame, contiguous=False)
    assert np.array_equal(read_all(tmp_path / "a.tif"), frames)


def test_imagej_knows_rate_and_scale(tmp_path):
    frames = movie(9, dtype="uint16")
    metadata = {"axes": "TYX", "finterval": 0.05, "unit": "um"}
    tifffile.imwrite(
        tmp_path / "a.tif", frames, imagej=True, resolution=(1 / 2.5, 1 / 2.5), metadata=metadata
    )
    assert np.array_equal(read_all(tmp_path / "a.tif"), frames)
    with open_recording(tmp_path / "a.tif") as recording:
        assert recording.fps == pytest.approx(20)
        assert recording.pixel_size_um == pytest.approx(2.5)


def test_imagej_stack_with_a_single_page(tmp_path):
    """ImageJ writes stacks above 4 GB with one page and the frames behind it."""
    frames = movie(9)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames[:1], imagej=True, metadata={"axes": "TYX"}, description=None)
    with tifffile.TiffWriter(path, imagej=True) as writer:
        writer.write(frames, metadata={"axes": "TYX"}, contiguous=True)
    assert np.array_equal(read_all(path), frames)


def test_ome_knows_rate_and_scale(tmp_path):
    frames = movie(9, dtype="uint16")
    metadata = {
        "axes": "TYX",
        "TimeIncrement": 50,
        "TimeIncrementUnit": "ms",
        "PhysicalSizeX": 2.5,
        "PhysicalSizeXUnit": "µm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", frames, metadata=metadata)
    assert np.array_equal(read_all(tmp_path / "a.ome.tif"), frames)
    with open_recording(tmp_path / "a.ome.tif") as recording:
        assert recording.fps == pytest.approx(20)
        assert recording.pixel_size_um == pytest.approx(2.5)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_equal_channels_give_their_value(tmp_path, compression):
    frames = movie(6)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.repeat(frames[..., None], 3, 3), photometric="rgb", compression=compression)
    assert np.array_equal(read_all(path), frames)


def test_a_stack_of_volumes_is_refused(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", movie(12).reshape(4, 3, 24, 38), imagej=True, metadata={"axes": "TZYX"}
    )
    with pytest.raises(InputError, match="axes TZYX"):
        open_recording(tmp_path / "a.tif")


def test_mixed_sizes_name_the_frame(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for frame in [*movie(4), movie(1, 20, 20)[0], *movie(3)]:
            writer.write(frame, contiguous=False)
    with pytest.raises(InputError, match=r"frame 4 has the size \(20, 20\)"):
        read_all(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "deflate"}, {"metadata": None}, {"imagej": True}, {"bigtiff": True}],
    ids=str,
)
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_truncated_stacks_are_refused(tmp_path, options, keep):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, movie(30, 40, 50), photometric="minisblack", **options)
    cut(path, keep)
    with pytest.raises(InputError, match="cut off"):
        read_all(path)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_truncated_pages_are_refused(tmp_path, keep):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for frame in movie(30, 40, 50):
            writer.write(frame, contiguous=False, metadata=None)
    cut(path, keep)
    with pytest.raises(InputError, match="cut off"):
        read_all(path)


def test_a_corrupt_frame_is_named(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, movie(30, 40, 50), photometric="minisblack", compression="deflate")
    with tifffile.TiffFile(path) as file:
        position, size = file.pages[17].dataoffsets[0], file.pages[17].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[position + 20 : position + size - 20] = bytes(size - 40)
    path.write_bytes(content)
    with pytest.raises(InputError, match="frame 17 is corrupt"):
        read_all(path)


def test_no_tiff_at_all(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"no picture" * 100)
    with pytest.raises(InputError, match="not a TIFF"):
        open_recording(tmp_path / "a.tif")
