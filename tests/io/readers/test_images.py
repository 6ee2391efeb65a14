import imagecodecs
import numpy as np
import pytest
import tifffile
from helpers.recordings import cut, damage, movie, read_all
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.readers.grey import to_grey


def save(folder, frames, ending, names="frame_{}"):
    folder.mkdir(exist_ok=True)
    for index, frame in enumerate(frames):
        path = folder / f"{names.format(index)}.{ending}"
        if ending.startswith("tif"):
            tifffile.imwrite(path, frame)
        elif ending == "npy":
            np.save(path, frame)
        elif ending in ("jp2", "j2k"):
            path.write_bytes(imagecodecs.jpeg2k_encode(frame, level=0, codecformat=ending))
        elif ending == "webp":
            path.write_bytes(imagecodecs.webp_encode(np.stack([frame] * 3, -1), lossless=True))
        else:
            Image.fromarray(frame).save(path, **({"quality": 95} if ending == "jpg" else {}))
    return folder


@pytest.mark.parametrize(
    ("ending", "dtype"),
    [
        ("png", "uint8"),
        ("bmp", "uint8"),
        ("png", "uint16"),
        ("jp2", "uint8"),
        ("j2k", "uint16"),
        ("webp", "uint8"),
        ("npy", "uint16"),
        ("npy", "float32"),
        ("tif", "uint8"),
        ("tiff", "uint16"),
        ("tif", "float32"),
    ],
)
def test_lossless_pictures_come_back_exactly_in_natural_order(tmp_path, ending, dtype):
    frames = movie(12, dtype=dtype)
    save(tmp_path / "f", frames, ending)  # frame_10 after frame_9, not after frame_1
    assert np.array_equal(read_all(tmp_path / "f"), frames)


def test_part_of_a_folder(tmp_path):
    frames = movie(12)
    with open_recording(save(tmp_path / "f", frames, "png")) as recording:
        assert np.array_equal(np.concatenate(list(recording.blocks(3, 11, 4))), frames[3:11])


def test_jpg_of_equal_channels_is_their_value(tmp_path):
    folder = save(tmp_path / "f", np.repeat(movie(3)[..., None], 3, 3), "jpg")
    expected = np.stack([np.asarray(Image.open(folder / f"frame_{i}.jpg"))[..., 0] for i in range(3)])
    assert np.array_equal(read_all(folder), expected)


def test_jpg_colour_is_luminance(tmp_path):
    frames = np.stack([movie(3), movie(3) // 2, movie(3)[:, ::-1]], axis=-1)
    folder = save(tmp_path / "f", frames, "jpg")
    expected = np.stack([np.asarray(Image.open(folder / f"frame_{i}.jpg").convert("L")) for i in range(3)])
    assert np.abs(read_all(folder).astype(int) - expected).max() <= 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_png_modes(tmp_path, mode):
    (tmp_path / "f").mkdir()
    pictures = [Image.fromarray(frame).convert(mode) for frame in movie(2)]
    for index, picture in enumerate(pictures):
        picture.save(tmp_path / "f" / f"{index}.png")
    expected = np.stack([np.asarray(picture.convert("L")) for picture in pictures])
    assert np.abs(read_all(tmp_path / "f").astype(int) - expected).max() <= 1


def test_sixteen_bit_colour_keeps_its_depth(tmp_path):
    import imagecodecs

    frames = movie(2, dtype="uint16")
    (tmp_path / "f").mkdir()
    for index, frame in enumerate(frames):
        (tmp_path / "f" / f"{index}.png").write_bytes(
            imagecodecs.png_encode(np.repeat(frame[..., None], 3, 2))
        )
    assert np.array_equal(read_all(tmp_path / "f"), frames)


@given(
    npst.arrays(st.sampled_from([np.uint8, np.uint16]), npst.array_shapes(min_dims=2, max_dims=3, max_side=6))
)
def test_grey_of_equal_channels_is_exact(grey):
    assert np.array_equal(to_grey(np.repeat(grey[..., None], 3, -1)), grey)


def test_grey_is_luminance():
    colours = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    assert np.array_equal(to_grey(colours), np.asarray(Image.fromarray(colours).convert("L")))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "jp2", "webp", "npy", "tif"])
def test_mixed_sizes_name_the_frame(tmp_path, ending):
    folder = save(tmp_path / "f", [*movie(7), movie(1, 20, 20)[0], *movie(2)], ending)
    with pytest.raises(InputError, match=r"frame 7 has the size \(20, 20\).*\(24, 38\)"):
        read_all(folder)


def test_mixed_types_name_the_frame(tmp_path):
    folder = save(tmp_path / "f", [*movie(3), movie(1, dtype="uint16")[0]], "png")
    with pytest.raises(InputError, match=r"frame 3 \(frame_3.png\) is of type uint16"):
        read_all(folder)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "jp2", "webp", "npy", "tif"])
@pytest.mark.parametrize("how", ["cut", "empty", "text"])
def test_a_corrupt_frame_is_named(tmp_path, ending, how):
    folder = save(tmp_path / "f", movie(12), ending)
    bad = folder / f"frame_8.{ending}"
    if how == "cut":
        cut(bad, 0.6)
    else:
        bad.write_bytes(b"" if how == "empty" else b"no picture" * 50)
    with pytest.raises(InputError, match=rf"frame 8 \(frame_8.{ending}\) can't be decoded"):
        read_all(folder)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_damage_inside_a_frame_is_noticed(tmp_path, ending):
    folder = save(tmp_path / "f", movie(6, 80, 90), ending)
    bad = folder / f"frame_4.{ending}"
    content = bytearray(bad.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 100] = bytes(100)
    bad.write_bytes(content)
    with pytest.raises(InputError, match="frame 4"):
        read_all(folder)


def test_the_first_frame_can_be_the_corrupt_one(tmp_path):
    folder = save(tmp_path / "f", movie(3), "png")
    damage(folder / "frame_0.png", 0)
    with pytest.raises(InputError, match=r"frame 0 \(frame_0.png\)"):
        read_all(folder)


def test_folders_that_are_no_recording(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="the folder is empty"):
        open_recording(tmp_path / "empty")
    (tmp_path / "empty" / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="holds no frames"):
        open_recording(tmp_path / "empty")
    with pytest.raises(InputError, match=r"holds no frames \(but folders: empty\)"):
        open_recording(tmp_path)


def test_formats_are_not_mixed(tmp_path):
    save(tmp_path / "f", movie(3), "png")
    save(tmp_path / "f", movie(1), "jpg", "preview{}")
    with pytest.raises(InputError, match="3 PNG, 1 JPG"):
        open_recording(tmp_path / "f")


def test_a_folder_of_stacks_is_one_recording(tmp_path):
    frames = movie(14)
    (tmp_path / "f").mkdir()
    for name, part in (("file_2", frames[:5]), ("file_10", frames[5:])):
        tifffile.imwrite(tmp_path / "f" / f"{name}.tif", part)
    assert np.array_equal(read_all(tmp_path / "f"), frames)


def test_hidden_files_are_ignored(tmp_path):
    folder = save(tmp_path / "f", movie(3), "png")
    (folder / "._frame_0.png").write_bytes(b"resource fork")
    assert len(read_all(folder)) == 3


def test_a_single_picture(tmp_path):
    folder = save(tmp_path / "f", movie(1), "png")
    with pytest.raises(InputError, match="single picture"):
        open_recording(folder / "frame_0.png")


def test_a_real_frame(magdeburg):
    with open_recording(magdeburg / "8-16-17_preprocessed_dF") as recording:
        assert recording.shape == (664, 200, 197)
        assert recording.fps is None
        frame = next(recording.blocks(100, 101, 1))[0]
    picture = Image.open(magdeburg / "8-16-17_preprocessed_dF" / "frame_0100.jpg")
    assert np.array_equal(frame, np.asarray(picture)[..., 0])
