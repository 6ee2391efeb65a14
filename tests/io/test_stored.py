"""What is promised and isn't there is never read as black."""

import h5py
import numpy as np
import pytest
from helpers.tiny_session import make_session

from calcium_lightning.core.atomic import atomic_path, steady
from calcium_lightning.core.errors import InputError
from calcium_lightning.io.heaps import MARK, check_heaps
from calcium_lightning.io.session import Session
from calcium_lightning.io.stored import frames_stored, open_results, open_stored, whole


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("a.h5", "w") as opened:
        yield opened


def test_chunks_that_were_never_written(file):
    node = file.create_dataset("m", (40, 6, 8), "u1", chunks=(4, 6, 4))
    assert frames_stored(node)[0] == 0
    node[:12] = 1
    node[20:28] = 1
    assert frames_stored(node) == (12, "they were never written")
    node[12:20] = 1
    node[28:, :, :4] = 1
    assert frames_stored(node)[0] == 28
    node[28:] = 1
    assert frames_stored(node) == (40, "")


def test_sources_that_have_moved(file, tmp_path):
    with h5py.File("source.h5", "w") as source:
        source["d"] = np.ones((5, 4, 4), np.uint8)
    layout = h5py.VirtualLayout((10, 4, 4), "u1")
    for start in (0, 5):
        layout[start : start + 5] = h5py.VirtualSource(f"{'gone' if start else 'source'}.h5", "d", (5, 4, 4))
    assert frames_stored(file.create_virtual_dataset("v", layout)) == (5, "gone.h5 isn't there")


def test_storage_outside_that_was_cut_off(file, tmp_path):
    (tmp_path / "raw.bin").write_bytes(bytes(80))
    node = file.create_dataset("e", (10, 4, 4), "u1", external=[("raw.bin", 0, 160)])
    assert frames_stored(node) == (5, "raw.bin was cut off")


def test_a_session_of_which_half_was_written_names_the_first_missing_frame(tmp_path):
    path = make_session(tmp_path / "s.h5")
    with h5py.File(path, "r+") as session:
        attributes = dict(session["frames"].attrs)
        del session["frames"]
        node = session.create_dataset("frames", (60, 48, 48), "f4", chunks=(5, 48, 48))
        node.attrs.update(attributes)
        node[:20] = 1
    with pytest.raises(InputError, match=r"made for 60 frames, frame 20 isn't there"):
        Session(path)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("fps", 1e300, "fps=1e.300: between"),
        ("fps", 1e-9, "fps=1e-09: between"),
        ("motion_corrected", "maybe", "true or false is wanted"),
        ("pixel_size_um", 1e-9, "pixel_size_um=1e-09: between"),
    ],
)
def test_values_are_checked_where_they_enter(tmp_path, name, value, line):
    path = make_session(tmp_path / "s.h5")
    with h5py.File(path, "r+") as session:
        session["frames"].attrs[name] = value
    with pytest.raises(InputError, match=line):
        Session(path)


def test_no_as_text_is_no(tmp_path):
    path = make_session(tmp_path / "s.h5")
    with h5py.File(path, "r+") as session:
        session["frames"].attrs["motion_corrected"] = "False"
    assert Session(path).motion_corrected is False


def test_nothing_is_made_of_a_file_that_changes_meanwhile(tmp_path):
    source = tmp_path / "a.raw"
    source.write_bytes(b"1")

    def work():
        with steady([source]), atomic_path(tmp_path / "b.h5") as temporary:
            temporary.write_bytes(b"result")
            source.write_bytes(b"12")

    with pytest.raises(InputError, match=r"a\.raw: changed while it was read"):
        work()
    assert [path.name for path in tmp_path.iterdir()] == ["a.raw"]


def test_a_session_is_another_when_the_file_that_holds_its_frames_changes(tmp_path):
    source = make_session(tmp_path / "s.h5")
    with h5py.File(source) as whole, h5py.File(tmp_path / "v.h5", "w") as file:
        shape = whole["frames"].shape
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource("s.h5", "frames", shape)
        file.create_virtual_dataset("frames", layout).attrs.update(whole["frames"].attrs)
        file.attrs.update(whole.attrs)
    before = Session(tmp_path / "v.h5").sha256()
    with h5py.File(source, "r+") as whole:
        whole["frames"][3, 4, 5] += 7
    assert Session(tmp_path / "v.h5").sha256() != before


def test_chunks_that_crash_the_library_are_refused_before_they_are_read(file, tmp_path):
    """A checksum's filter takes four bytes from a chunk that has none, and the process is gone."""
    node = file.create_dataset(
        "m", data=np.arange(4096.0), chunks=(512,), compression="gzip", fletcher32=True
    )
    chunk = node.id.get_chunk_info(3)
    file.close()
    content = bytearray((tmp_path / "a.h5").read_bytes())
    key = chunk.size.to_bytes(4, "little") + bytes(4) + (3 * 512).to_bytes(8, "little")
    assert content.count(key) == 1  # in the tree of the chunks: size, mask, place
    at = content.index(key)
    content[at : at + 4] = bytes(4)
    (tmp_path / "a.h5").write_bytes(content)
    with h5py.File("a.h5") as damaged, pytest.raises(InputError, match="a chunk of it is not what was"):
        frames_stored(damaged["m"])
    with pytest.raises(InputError, match=r"a\.h5: /m: a chunk"), open_results(tmp_path / "a.h5"):
        pass


def test_another_program_s_file_that_promises_too_much_is_refused(file, tmp_path):
    file.create_dataset("F0", (2**40,), "f4", chunks=(8,))
    file.close()
    with pytest.raises(InputError, match="/F0 promises 4398046511104 bytes"), open_results(tmp_path / "a.h5"):
        pass


def test_one_value_that_was_made_huge_is_not_read(tmp_path):
    with h5py.File(tmp_path / "series.nwb", "w") as file:
        file["rate"] = 20.0
        file["none"] = h5py.Empty("f4")
        file.create_dataset("huge", (10**9,), "f8", chunks=(1000,))
        assert whole(file["rate"]) == 20
        assert isinstance(whole(file["none"]), h5py.Empty)
        with pytest.raises(InputError, match=r"series\.nwb: /huge promises 8000000000 bytes and holds 0"):
            whole(file["huge"])


def test_a_dataset_that_is_made_of_itself_is_refused_as_hdf5_crashes_on_it(file):
    def virtual(name, source, inside):
        layout = h5py.VirtualLayout((4, 4, 4), "u1")
        layout[...] = h5py.VirtualSource(source, inside, (4, 4, 4))
        return file.create_virtual_dataset(name, layout)

    file["plain"] = np.ones((4, 4, 4), np.uint8)
    assert frames_stored(virtual("fine", ".", "plain")) == (4, "")
    assert whole(file["fine"]).all()
    virtual("there", ".", "back")
    for node in (virtual("self", ".", "self"), virtual("back", ".", "there")):
        assert frames_stored(node)[0] == 0
        with pytest.raises(InputError, match="which is made of it"):
            whole(node)


def test_a_lost_block_in_which_hdf5_would_read_for_ever_is_found_before(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as made:
        made.attrs["text"] = ["one", "two"]
        made.create_dataset("names", data=["three"] * 700, dtype=h5py.string_dtype())
    check_heaps(path)
    content = path.read_bytes()
    at = content.index(MARK) + 16
    path.write_bytes(content[:at] + bytes(512) + content[at + 512 :])
    with pytest.raises(InputError, match=f"damaged at byte {at - 16}, where it holds text"):
        open_stored(path)
