"""One path, a list, a folder or a glob: which files are read, and where their results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from calcium_lightning.command.inputs import (
    Input,
    find_inputs,
    names_folder,
    one_file,
    one_path,
    output_paths,
)
from calcium_lightning.core.atomic import check_output, guarding
from calcium_lightning.core.errors import InputError


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """Sessions of two mice, beside what isn't meant."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "m1/day10.h5",
        "m1/day2.h5",
        "m2/day2.h5",
        "m2/.hidden.tmp.h5",
        "m2/old.cells.h5",
        "m2/x.csv",
    ):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    (tmp_path / "data/m2/again").symlink_to("..")  # a circle
    return tmp_path


def meant(path: Path) -> bool:
    return ".cells" not in path.name


def found(value) -> list[str]:
    return [item.path.as_posix() for item in find_inputs("session", value, meant)]


def test_a_folder_is_its_files_in_natural_order_each_once(tree, capsys):
    assert found("data") == ["data/m1/day2.h5", "data/m1/day10.h5", "data/m2/day2.h5"]
    assert "left out: 1 others (old.cells.h5)" in capsys.readouterr().err


def test_globs_lists_and_single_paths(tree):
    assert found("data/m1/day2.h5") == ["data/m1/day2.h5"]
    assert found("data/*/day2.h5") == ["data/m1/day2.h5", "data/m2/day2.h5"]
    assert found("data/**/day10.h5") == ["data/m1/day10.h5"]
    assert found("data/m?") == ["data/m1/day2.h5", "data/m1/day10.h5", "data/m2/day2.h5"]
    assert found(["data/m2/day2.h5", "data/*/day2.h5"]) == ["data/m2/day2.h5", "data/m1/day2.h5"]
    assert found("missing.h5") == ["missing.h5"]  # whoever opens it says what is wrong
    (tree / "[1].h5").touch()
    assert found("[1].h5") == ["[1].h5"]  # a name first, then a pattern


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("none*.h5", "session=none\\*.h5: nothing matches"),
        ("empty", "session=empty: nothing in this folder is meant"),
        ([], "an empty list"),
        ("", "an empty path"),
        (["a.h5", None], "an empty path"),
        (20260304, "20260304: a path is wanted; in a YAML file, quote it"),
    ],
)
def test_nothing_to_read_is_told(tree, value, line):
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match=line):
        find_inputs("session", value, meant)


def test_results_keep_the_tree_of_a_folder(tree):
    inputs = find_inputs("session", "data", meant)
    expected = ["out/m1/day2.cells.h5", "out/m1/day10.cells.h5", "out/m2/day2.cells.h5"]
    assert [path.as_posix() for path in output_paths(inputs, "out", ".cells.h5")] == expected
    one = find_inputs("session", "data/m1/day1*", meant)
    assert output_paths(one, "out", ".cells.h5") == [Path("out/day10.cells.h5")]
    assert output_paths(one, "mine.h5", ".cells.h5") == [Path("mine.h5")]


def test_named_files_are_told_apart_only_where_they_must_be(tree):
    apart = find_inputs("session", ["data/m1/day10.h5", "data/m2/day2.h5"], meant)
    assert output_paths(apart, "out", ".h5") == [Path("out/day10.h5"), Path("out/day2.h5")]
    alike = find_inputs("session", ["data/m1/day2.h5", "data/m2/day2.h5", "data/m1/day10.h5"], meant)
    assert output_paths(alike, "out", ".h5") == [
        Path("out/m1/day2.h5"),
        Path("out/m2/day2.h5"),
        Path("out/day10.h5"),
    ]
    endings = [Input.named(Path("a.avi")), Input.named(Path("a.tif"))]
    assert output_paths(endings, "out", ".h5") == [Path("out/a.avi.h5"), Path("out/a.tif.h5")]
    with pytest.raises(InputError, match=r"two inputs would be written to a\.h5"):
        output_paths([Input.named(Path("a.avi"))] * 2, "out", ".h5")
    with pytest.raises(InputError, match="with several inputs the output is a folder; out/"):
        output_paths(endings, "out.h5", ".h5")


def test_a_folders_name_has_no_ending(tree):
    (tree / "2026.03.04").mkdir()
    assert output_paths([Input.named(Path("2026.03.04"))], "out/", ".h5") == [Path("out/2026.03.04.h5")]


def test_what_was_found_is_no_output(tree):
    with guarding():
        find_inputs("session", "data", meant)
        with pytest.raises(InputError, match="is an input of this command"):
            check_output(Path("data/m1/day2.h5"), overwrite=True)


@pytest.mark.parametrize(
    ("value", "told"), [([], "none is given"), (["a", "b"], "2 are given"), ([None], "empty")]
)
def test_where_one_path_is_wanted_no_other_number_is_taken(value, told):
    with pytest.raises(InputError, match=told):
        one_path("metrics", value)
    assert one_path("metrics", ["a.json"]) == one_path("metrics", "a.json") == Path("a.json")


def test_a_slash_at_the_end_means_a_folder_that_is_there_or_not(tree):
    for value in ("data", "new/", ["new/"]):
        assert names_folder(value)
        with pytest.raises(InputError, match=r"output=.*: is a folder; a file is to be written"):
            one_file("output", value)
    assert not names_folder("new")
    assert one_file("output", "new") == Path("new")
    one = [Input.named(Path("a.h5"))]
    assert output_paths(one, "new/", ".nwb") == output_paths(one, ["new/"], ".nwb") == [Path("new/a.nwb")]
