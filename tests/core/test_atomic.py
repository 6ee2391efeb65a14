"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import pytest

from calcium_lightning.core import atomic, temporaries
from calcium_lightning.core.atomic import atomic_path, check_output, guard, guarding
from calcium_lightning.core.errors import InputError, nearest


def test_a_file_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "new folder" / "out.h5"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent  # a rename, not a copy
        assert temporary.suffix == ".h5"  # writers choose their format by the ending
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    "error", [RuntimeError, KeyboardInterrupt, SystemExit, OSError(errno.ENOSPC, "full")]
)
def test_whatever_ends_it_early_leaves_nothing_and_keeps_what_was_there(tmp_path, error):
    target = tmp_path / "out.h5"
    target.write_text("old")
    with (  # noqa: PT012
        pytest.raises((Exception, KeyboardInterrupt, SystemExit)),
        atomic_path(target, overwrite=True) as temporary,
    ):
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_existing_target_is_replaced_only_on_request(tmp_path):
    target = tmp_path / "out.h5"
    target.write_text("old")
    with pytest.raises(InputError, match=r"out\.h5: exists; overwrite=true replaces it"), atomic_path(target):
        pytest.fail("the work must not begin")
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_folders_are_replaced_whole(tmp_path):
    target = tmp_path / "tables"
    target.mkdir()
    (target / "old.csv").write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target, overwrite=True, folder=True) as temporary:  # noqa: PT012
        temporary.mkdir()
        (temporary / "half.csv").write_text("half")
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old.csv"]
    with atomic_path(target, overwrite=True, folder=True) as temporary:
        temporary.mkdir()
        (temporary / "new.csv").write_text("new")
    assert [path.name for path in target.iterdir()] == ["new.csv"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "file" / "out.h5", tmp_path / "file" / "deeper" / "out.h5"):
        with pytest.raises(InputError, match="can't be made a folder"):
            check_output(target, overwrite=True)


def test_a_file_does_not_become_a_folder_or_a_folder_a_file(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "precious").write_text("x")
    file = tmp_path / "file"
    file.write_text("y")
    with pytest.raises(InputError, match="is a folder; a file is to be written"):
        check_output(folder, overwrite=True)
    with pytest.raises(InputError, match="is a file; a folder is to be written"):
        check_output(file, overwrite=True, folder=True)
    assert (folder / "precious").read_text() == "x"
    assert sorted(tmp_path.iterdir()) == [file, folder]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match=r"can.t be written .Permission denied"):
        check_output(tmp_path / "locked" / "deeper" / "out.h5", overwrite=False)


def test_the_nearest_names_are_told_but_no_far_ones():
    assert nearest("overwite", ["overwrite", "output", "seed"]).startswith("; nearest: overwrite")
    assert nearest("xyz", ["overwrite", "output"]) == ""


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_regular_file_is_never_replaced(tmp_path, make):
    target = tmp_path / "out.h5"
    make(target)
    with pytest.raises(InputError, match="is no regular file"), atomic_path(target, overwrite=True):
        pytest.fail("the work must not begin")
    assert os.path.lexists(target)


def test_an_input_is_never_an_output_by_any_of_its_names(tmp_path):
    recording = tmp_path / "recording.tif"
    recording.write_text("precious")
    (tmp_path / "link").symlink_to(recording)
    os.link(recording, tmp_path / "twin")
    names = [recording, tmp_path / "link", tmp_path / "twin", tmp_path / "x" / ".." / "recording.tif"]
    (tmp_path / "x").mkdir()
    with guarding([recording, tmp_path / "missing"]):
        for name in names:
            with pytest.raises(InputError, match=r"is an input of this command"):
                check_output(name, overwrite=True)
        other = tmp_path / "other"
        other.write_text("x")
        check_output(other, overwrite=True)
        guard([other])
        with pytest.raises(InputError, match="is an input"):
            check_output(other, overwrite=True)
    check_output(recording, overwrite=True)  # another command's
    assert recording.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a" * 253 + ".h5", "File name too long"),
        ("b" * 300 + "/out.h5", "File name too long"),
        ("/".join(["deep" * 20] * 60) + "/out.h5", "File name too long"),
        ("loop/out.h5", "Too many levels of symbolic links"),
        ("nowhere/out.h5", "a link to nothing; can't be made a folder"),
        ("nul\0l.h5", "no file can be named so"),
    ],
)
def test_a_path_that_cannot_be_is_refused_before_work_and_leaves_nothing(tmp_path, name, why):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("missing")
    with pytest.raises(InputError, match=why) as refused:
        check_output(tmp_path / name, overwrite=True)
    assert len(str(refused.value)) < 700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop", "nowhere"]


def test_the_longest_name_can_be_written(tmp_path):
    target = tmp_path / ("ü" * 126 + ".h5")
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
    assert target.read_text() == "whole"


def test_looking_makes_no_folders(tmp_path):
    check_output(tmp_path / "new" / "newer" / "out.h5", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_work_and_as_the_machines_failure(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(atomic.Path, "write_bytes", full)
    with pytest.raises(OSError, match="full") as refused:
        check_output(tmp_path / "new" / "out.h5", overwrite=False)
    assert refused.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_what_appears_meanwhile_is_kept(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(
            os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links here"))
        )
    target = tmp_path / "out.h5"
    with pytest.raises(InputError, match="has appeared meanwhile"), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_text("ours")
        target.write_text("another's")
    assert target.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [target]
    with (  # noqa: PT012
        pytest.raises(InputError, match="has appeared"),
        atomic_path(tmp_path / "f", folder=True) as temporary,
    ):
        temporary.mkdir()
        (tmp_path / "f").mkdir()
        (tmp_path / "f" / "theirs").touch()
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["theirs"]
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_text("ours")
    assert target.read_text() == "ours"


KILLED = """
import os, signal, sys
from calcium_lightning.core.atomic import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(tmp_path):
    target = tmp_path / "out.v1.h5"
    subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    (left,) = tmp_path.iterdir()
    with atomic_path(tmp_path / "out.h5") as temporary:  # another target
        temporary.touch()
    assert left.exists()
    with atomic_path(target) as living:
        living.write_text("this process's own")
        check_output(target, overwrite=False)
        assert living.exists()
        assert not left.exists()
    host, _, _ = temporaries.temporary_name(target).name.split(".")[-3].partition("-")
    foreign = tmp_path / f".out.v1.{'0' * 6 if host != '0' * 6 else '1' * 6}-1-{'a' * 8}.tmp.h5"
    older = tmp_path / ".out.v1.0123abcd.tmp.h5"
    for path in (foreign, older):
        path.touch()
    check_output(target, overwrite=True)
    assert foreign.exists()
    assert older.exists()
    for path in (foreign, older):
        os.utime(path, (time.time() - 2 * temporaries.FOREIGN_S,) * 2)
    check_output(target, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "out.v1.h5"]


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError("4096 requested and 3004 written"), errno.ENOSPC),  # NumPy's words
        (OSError(errno.EFBIG, "File too large", ".out.5bce98-1-0a0a0a0a.tmp.h5"), errno.EFBIG),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), errno.EDQUOT),
        (FileNotFoundError(errno.ENOENT, "No such file", ".out.5bce98-1-0a0a0a0a.tmp.h5"), errno.ESTALE),
    ],
)
def test_a_full_disk_is_told_with_the_folder_that_is_full(tmp_path, monkeypatch, error, number):
    monkeypatch.setattr(
        atomic, "temporary_name", lambda target: target.with_name(".out.5bce98-1-0a0a0a0a.tmp.h5")
    )
    with pytest.raises(OSError) as caught, atomic_path(tmp_path / "out.h5"):  # noqa: PT011
        raise error
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path))
    assert list(tmp_path.iterdir()) == []
