import re
from contextlib import nullcontext

import numpy as np
import pytest
import tifffile
from helpers.recordings import advice, cut, ingested, movie, read_all

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording


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


def open_or_none(path):
    """A recording, or nothing where it can't be opened."""
    try:
        return open_recording(path)
    except InputError:
        return nullcontext()


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "deflate"}, {"metadata": None}, {"imagej": True}, {"bigtiff": True}],
    ids=str,
)
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_truncated_stacks_say_what_is_left_or_are_whole(tmp_path, options, keep):
    path, frames = tmp_path / "a.tif", movie(30, 40, 50)
    tifffile.imwrite(path, frames, photometric="minisblack", **options)
    cut(path, keep)
    with open_or_none(path) as recording:
        whole = recording is not None and not recording.breaks
    if whole:
        assert keep >= 0.9  # only the index behind the frames is gone
        assert np.array_equal(ingested(path, tmp_path, fps=20.0)[0].frames(), frames)
        return
    with pytest.raises(InputError, match="cut off") as error:
        ingested(path, tmp_path, fps=20.0)
    if options == {"metadata": None}:  # where the frames are stood behind them
        return
    stop = advice(str(error.value))["stop"]
    assert keep * 30 - 3 <= stop <= 30
    assert np.array_equal(ingested(path, tmp_path, fps=20.0, stop=stop)[0].frames(), frames[:stop])


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


COLOURS = {
    "interleaved": (lambda grey: np.repeat(grey[..., None], 3, 3), {"photometric": "rgb"}),
    "planar": (
        lambda grey: np.repeat(grey[:, None], 3, 1),
        {"photometric": "rgb", "planarconfig": "separate"},
    ),
    "planar, big-endian": (
        lambda grey: np.repeat(grey[:, None], 3, 1),
        {"photometric": "rgb", "planarconfig": "separate", "byteorder": ">"},
    ),
    "planar, compressed": (
        lambda grey: np.repeat(grey[:, None], 3, 1),
        {"photometric": "rgb", "planarconfig": "separate", "compression": "deflate"},
    ),
    "0 is white": (lambda grey: np.iinfo(grey.dtype).max - grey, {"photometric": "miniswhite"}),
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("kind", COLOURS)
def test_grey_kept_as_colour_comes_back_exactly(tmp_path, kind, dtype):
    frames = movie(7, dtype=dtype)
    made, options = COLOURS[kind]
    tifffile.imwrite(tmp_path / "a.tif", made(frames), **options)
    assert np.array_equal(read_all(tmp_path / "a.tif"), frames)


def test_a_palette_is_taken_for_what_it_shows(tmp_path):
    frames = movie(7)
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    for colours, shown in ((ramp, frames), (ramp[:, ::-1], 255 - frames)):
        tifffile.imwrite(tmp_path / "a.tif", frames, photometric="palette", colormap=colours)
        assert np.array_equal(read_all(tmp_path / "a.tif"), shown)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_imagejs_tables_colour_the_values_which_are_taken(tmp_path, compression):
    frames = movie(7)
    ramp = np.arange(256, dtype=np.uint16) * 257
    green, grey = np.stack([0 * ramp, ramp, 0 * ramp]), np.tile(ramp, (3, 1))
    for name, colours in (("green", green), ("inverted", grey[:, ::-1]), ("grey", grey)):
        folder = tmp_path / name
        folder.mkdir()
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as stack:
            for index, frame in enumerate(frames):
                told = "ImageJ=1.54f\nimages=7\nframes=7\nfinterval=0.05\n" if not index else None
                form = {
                    "photometric": "palette",
                    "colormap": colours,
                    "metadata": None,
                    "compression": compression,
                }
                stack.write(frame, description=told, contiguous=False, **form)
                alone = "ImageJ=1.54f\n"
                tifffile.imwrite(folder / f"{index}.tif", frame, description=alone, **form)
        with open_recording(tmp_path / f"{name}.tif") as recording:
            assert np.array_equal(np.concatenate(list(recording.blocks(0, 7, 3))), frames)
            assert any("the values are taken" in note for note in recording.notes) == (name != "grey")
        assert np.array_equal(read_all(folder), frames)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_bits(tmp_path, bits):
    frames = movie(7, dtype="uint16") >> (16 - bits)
    tifffile.imwrite(tmp_path / "a.tif", frames, photometric="minisblack", bitspersample=bits)
    assert np.array_equal(read_all(tmp_path / "a.tif"), frames)


def test_imagej_keeps_signed_numbers_with_an_offset(tmp_path):
    frames = movie(7).astype(np.int16) - 100
    metadata = {"axes": "TYX", "cf": 0, "c0": -32768.0, "c1": 1.0}
    stored = (frames.astype(np.int32) + 32768).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, imagej=True, metadata=metadata)
    read = read_all(tmp_path / "a.tif")
    assert read.dtype == np.int16
    assert np.array_equal(read, frames)


@pytest.mark.parametrize(
    ("metadata", "rate"),
    [
        ({"finterval": 50.0, "tunit": "ms"}, 20),
        ({"finterval": 50.0, "tunit": "msec"}, 20),
        ({"finterval": 1 / 1200, "tunit": "min"}, 20),
        ({"finterval": 5e4, "tunit": "us"}, 20),
        ({"finterval": 0.05}, 20),
        ({"finterval": 0.05, "fps": 7.0}, 20),
        ({"fps": 7.0}, None),
        ({"finterval": 0.05, "tunit": "parsec"}, None),
    ],
    ids=str,
)
def test_imagejs_intervals_have_units_and_its_playback_is_none(tmp_path, metadata, rate):
    tifffile.imwrite(tmp_path / "a.tif", movie(7), imagej=True, metadata={"axes": "TYX", **metadata})
    with open_recording(tmp_path / "a.tif") as recording:
        assert recording.fps == (None if rate is None else pytest.approx(rate))
        assert ("7 frames per second" in recording.rate_hint) == (metadata == {"fps": 7.0})


def test_time_may_be_called_otherwise_and_channels_are_chosen(tmp_path):
    frames = movie(12, dtype="uint16")
    path = tmp_path / "a.tif"
    for axes in ("ZYX", "CYX"):
        tifffile.imwrite(path, frames, imagej=True, metadata={"axes": axes})
        assert np.array_equal(read_all(path), frames)
    both = np.stack([frames, frames // 2], 1)
    for options in (
        {"imagej": True, "metadata": {"axes": "TCYX"}},
        {"ome": True, "metadata": {"axes": "TCYX"}},
    ):
        tifffile.imwrite(path, both, photometric="minisblack", **options)
        with pytest.raises(InputError, match=r"2 channels of the same frames.*channel=0 to channel=1"):
            open_recording(path)
        assert np.array_equal(read_all(path, channel=1), frames // 2)
        with pytest.raises(InputError, match="channel=2: there are 2"):
            open_recording(path, channel=2)
    tifffile.imwrite(path, both, photometric="minisblack")
    with pytest.raises(InputError, match=r"dimensions \[12, 2\]; say which is time"):
        open_recording(path)
    assert np.array_equal(read_all(path, axes="tcyx", channel=0), frames)


@pytest.mark.parametrize("promised", [5, 20])
def test_headers_that_promise_another_number(tmp_path, promised):
    frames = movie(12)
    pixels = f'SizeX="38" SizeY="24" SizeZ="1" SizeC="1" SizeT="{promised}"'
    ome = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image '
        f'ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {pixels}><TiffData/></Pixels>'
        "</Image></OME>"
    )
    for text in (ome, f"ImageJ=1.53c\nimages={promised}\nframes={promised}\n"):
        with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
            for index, frame in enumerate(frames):
                writer.write(frame, metadata=None, contiguous=False, description=None if index else text)
        if promised < 12:
            assert np.array_equal(read_all(tmp_path / "a.tif"), frames)
        else:
            with pytest.raises(InputError, match=r"promises 20 frames and 12 are there.*stop=12"):
                read_all(tmp_path / "a.tif")


def ome_pair(folder, frames, split):
    """One recording in two files that name each other, as Micro-Manager writes it."""
    folder.mkdir()
    names = ["run_MMStack_Pos0.ome.tif", "run_MMStack_Pos0_1.ome.tif"]
    ids = [f"urn:uuid:00000000-0000-0000-0000-00000000000{index}" for index in (1, 2)]
    data = "".join(
        f'<TiffData FirstT="{t}" FirstC="0" FirstZ="0" IFD="{t % split}" PlaneCount="1">'
        f'<UUID FileName="{names[t // split]}">{ids[t // split]}</UUID></TiffData>'
        for t in range(len(frames))
    )
    for index, part in enumerate((frames[:split], frames[split:])):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2013-06" '
            f'UUID="{ids[index]}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" '
            f'SizeX="38" SizeY="24" SizeZ="1" SizeC="1" SizeT="{len(frames)}" TimeIncrement="50" '
            f'TimeIncrementUnit="ms">{data}</Pixels></Image></OME>'
        )
        with tifffile.TiffWriter(folder / names[index]) as writer:
            for number, frame in enumerate(part):
                writer.write(
                    frame, description=None if number else xml.encode(), metadata=None, contiguous=False
                )
    return [folder / name for name in names]


def test_files_that_name_each_other_are_one_recording(tmp_path):
    frames = movie(20)
    first, second = ome_pair(tmp_path / "rec", frames, 12)
    for path in (tmp_path / "rec", first, second):
        assert np.array_equal(read_all(path), frames)
    second.unlink()
    with pytest.raises(InputError, match=r"12 are there, run_MMStack_Pos0_1.ome.tif isn't.*stop=12") as error:
        ingested(tmp_path / "rec", tmp_path)
    read = ingested(tmp_path / "rec", tmp_path, **advice(str(error.value)))[0]
    assert np.array_equal(read.frames(), frames[:12])
    assert read.fps == pytest.approx(20)


def test_the_second_file_alone_is_refused(tmp_path):
    first, second = ome_pair(tmp_path / "rec", movie(20), 12)
    first.unlink()
    with pytest.raises(InputError, match=r"its first frames aren't there.*run_MMStack_Pos0.ome.tif isn't"):
        open_recording(second)


@pytest.mark.parametrize(("unit", "step"), [("ms", 34.0), ("s", 0.034), ("µs", 34000.0)])
def test_the_times_of_ome_frames_decide(tmp_path, unit, step):
    planes = {"DeltaT": [step * index for index in range(12)], "DeltaTUnit": [unit] * 12}
    metadata = {"axes": "TYX", "TimeIncrement": 50, "TimeIncrementUnit": "ms", "Plane": planes}
    tifffile.imwrite(tmp_path / "a.ome.tif", movie(12), metadata=metadata)
    with open_recording(tmp_path / "a.ome.tif") as recording:
        assert recording.fps == pytest.approx(1e3 / 34)
        np.testing.assert_allclose(recording.timestamps, np.arange(12) * 0.034)
        assert "29.41 Hz by the frames' times (nominal: 20 Hz)" in recording.notes


@pytest.mark.parametrize(
    "change", [("SizeX", 2**31), ("SizeT", 2**31), ("PlaneCount", 2**40), ("IFD", 10**9)]
)
def test_ome_that_promises_more_frames_than_memory_holds_is_refused_before(tmp_path, change):
    tifffile.imwrite(tmp_path / "a.ome.tif", movie(4), metadata={"axes": "TYX"})
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        text = re.sub(rf'{change[0]}="\d+"', f'{change[0]}="{change[1]}"', file.ome_metadata)
    tifffile.imwrite(tmp_path / "b.ome.tif", movie(4), description=text.encode(), metadata=None)
    with pytest.raises(InputError, match="promises more frames, or larger ones, than anybody records"):
        open_recording(tmp_path / "b.ome.tif")


def scanimage(path, pages, software, bigtiff=True):
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as writer:
        for number, page in enumerate(pages):
            writer.write(
                page,
                contiguous=False,
                metadata=None,
                photometric="minisblack",
                software=software,
                description=f"frameNumbers = {number + 1}",
            )
    return path


def test_channels_and_planes_that_take_turns_in_scanimage_are_told_apart(tmp_path):
    frames = movie(13, dtype="uint16")
    said = "SI.VERSION_MAJOR = 2020\nSI.hChannels.channelSave = [1;2]\nSI.hRoiManager.scanFrameRate = 30"
    turns = np.stack([frames, frames + 9], 1)
    path = scanimage(tmp_path / "a.tif", turns.reshape(-1, *frames.shape[1:]), said)
    with pytest.raises(InputError, match="holds 2 channels of the same frames"):
        open_recording(path)
    assert np.array_equal(read_all(path, channel=1), frames + 9)
    with open_recording(path, channel=0) as recording:
        assert recording.fps == 30
    turns = np.stack([turns, turns + 100], 1)
    said += "\nSI.hFastZ.enable = true\nSI.hStackManager.numSlices = 2"
    path = scanimage(tmp_path / "b.tif", turns.reshape(-1, *frames.shape[1:])[:-1], said)
    assert np.array_equal(read_all(path, channel=1, plane=1), frames[:-1] + 109)
    with open_recording(path, channel=0, plane=0) as recording:
        assert recording.fps == 15


def test_scanimage_with_one_channel_is_frames(tmp_path):
    frames = movie(13, dtype="uint16")
    said = "SI.VERSION_MAJOR = 2020\nSI.hChannels.channelSave = 2\nSI.hFastZ.enable = false"
    assert np.array_equal(read_all(scanimage(tmp_path / "a.tif", frames, said)), frames)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "overview", [np.zeros((6, 8), "uint16"), np.zeros((24, 38, 3), "uint8")], ids=["s", "c"]
)
def test_an_overview_before_or_behind_the_frames_is_left_out(tmp_path, first, overview):
    frames = movie(13, dtype="uint16")
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in (overview, *frames) if first else (*frames, overview):
            writer.write(page, contiguous=False, photometric="rgb" if page.ndim == 3 else "minisblack")
    assert np.array_equal(read_all(tmp_path / "a.tif"), frames)
    with open_recording(tmp_path / "a.tif") as recording:
        assert recording.dtype == np.uint16
        assert any("left out: page" in note for note in recording.notes)


@pytest.mark.parametrize("other", [(9, 12), (40, 60)], ids=str)
def test_another_image_of_an_ome_file_has_its_own_size_and_type(tmp_path, other):
    first, second = (
        movie(13, dtype="uint16"),
        np.random.default_rng(0).integers(0, 255, (7, *other), np.uint8),
    )
    for options in ({}, {"compression": "deflate"}):
        with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
            writer.write(first, metadata={"axes": "TYX", "Name": "A"}, **options)
            writer.write(second, metadata={"axes": "TYX", "Name": "B"}, **options)
        assert np.array_equal(read_all(tmp_path / "a.ome.tif", key="B"), second)
        assert np.array_equal(read_all(tmp_path / "a.ome.tif", key="A"), first)
