"""A search through folders ends, whatever was named."""

from pathlib import Path

import pytest

from calcium_lightning.comparison.runs import read_runs
from calcium_lightning.core import folders
from calcium_lightning.core.errors import InputError


def test_a_search_through_a_whole_disk_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MOST_FOLDERS", 5)
    for number in range(5):
        (tmp_path / f"{number}/.hydra").mkdir(parents=True)
    with pytest.raises(InputError, match="more than 5 folders are in it; name the one"):
        list(folders.walk(tmp_path))
    with pytest.raises(InputError, match="more than 5 folders are in it"):
        read_runs([tmp_path])
    assert len(list(folders.walk(tmp_path / "0"))) == 2


def test_the_root_of_the_file_system_is_no_recording():
    folders.check_folder("input", Path())
    with pytest.raises(InputError, match="input=/: is the root of the file system"):
        folders.check_folder("input", Path("/"))
