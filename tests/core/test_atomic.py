"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from calcium_lightning.core.atomic import atomic_path, check_output
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
    with pytest.raises(RuntimeError), atomic_path(target, overwrite=True) as temporary:  # noqa: PT012
        temporary.mkdir()
        (temporary / "half.csv").write_text("half")
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old.csv"]
    with atomic_path(target, overwrite=True) as temporary:
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
    with pytest.raises((InputError, OSError)), atomic_path(folder, overwrite=True) as temporary:
        temporary.write_text("a file")
    assert (folder / "precious").read_text() == "x"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with (
        pytest.raises(InputError, match="can't be"),
        atomic_path(Path(tmp_path / "locked" / "out.h5")) as temporary,
    ):
        temporary.write_text("x")


def test_the_nearest_names_are_told_but_no_far_ones():
    assert nearest("overwite", ["overwrite", "output", "seed"]).startswith("; nearest: overwrite")
    assert nearest("xyz", ["overwrite", "output"]) == ""
