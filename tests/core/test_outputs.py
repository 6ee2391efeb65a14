"""Several files of one command: together, or none."""

from __future__ import annotations

import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.outputs import atomic_paths, check_outputs


def test_two_keys_never_name_one_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match=r"a\.csv: is named by output= and table=; give each a file of its"):
        check_outputs({"output": tmp_path / "a.csv", "table": tmp_path / "link/a.csv"}, overwrite=True)
    check_outputs({"output": tmp_path / "a.html", "table": tmp_path / "a.csv"}, overwrite=False)


@pytest.mark.parametrize("appeared", ["a", "b"])
def test_none_appears_where_one_cannot(tmp_path, appeared):
    targets = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(InputError, match="has appeared meanwhile, and is kept"), atomic_paths(targets) as new:  # noqa: PT012
        for path in new:
            path.write_text("new")
        (tmp_path / appeared).write_text("somebody's")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(appeared, "somebody's")]
    with atomic_paths(targets, overwrite=True) as new:
        for path in new:
            path.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / appeared).read_text() == "new"
