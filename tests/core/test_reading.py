import json
import os

import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import check_aliases, read_json, read_yaml
from calcium_lightning.core.reading import check_no_pipe, reading


def test_a_library_s_error_is_the_file_s_fault():
    with pytest.raises(InputError, match=r"a\.json: can't be read \(Expecting"), reading("a.json"):
        json.loads("{")


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: no regular file"), reading(tmp_path / "pipe"):
        pytest.fail("it would wait for ever")
    (tmp_path / "folder/deeper").mkdir(parents=True)
    (tmp_path / "folder/link").symlink_to("nowhere")
    check_no_pipe(tmp_path / "folder")
    os.mkfifo(tmp_path / "folder/deeper/.zarray")
    with pytest.raises(InputError, match=r"deeper/\.zarray: no regular file"):
        check_no_pipe(tmp_path / "folder")
    with reading(tmp_path / "gone"):  # whoever opens it tells that
        pass


def test_an_error_of_the_machine_stays_one():
    with pytest.raises(OSError, match="Input/output error") as caught, reading("a.h5"):
        raise OSError(5, "Input/output error")
    assert caught.value.filename == "a.h5"


def test_a_bug_of_ours_stays_a_traceback(monkeypatch):
    from calcium_lightning.io import stored

    monkeypatch.setattr(stored, "MOST_PIXELS", None)
    with pytest.raises(TypeError), reading("a.h5"):
        stored.check_frame("a.h5", 3, 4)


def test_yaml_that_blows_up_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError, match="aliases repeat"):
        read_yaml(tmp_path / "bomb.yaml")
    with pytest.raises(InputError):
        check_aliases("m: &m [*m]", "loop.yaml")


def test_json_is_bounded(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"n": 1' + "0" * 5000 + "}")
    assert read_json(path) == {"n": float("inf")}
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="not JSON"):
        read_json(path)


def test_values_that_our_own_parsing_stumbles_over_are_the_file_s(monkeypatch):
    from calcium_lightning.io import stored

    monkeypatch.setattr(stored, "MOST_PIXELS", "none")
    line = r"a\.h5: can't be read \(TypeError: '>' not supported"
    with pytest.raises(InputError, match=line) as caught, reading("a.h5", parsing=True):
        stored.check_frame("a.h5", 3, 4)
    assert isinstance(caught.value.__cause__, TypeError)
    monkeypatch.delattr(stored, "MOST_PIXELS")
    with pytest.raises(NameError), reading("a.h5", parsing=True):  # no value makes that
        stored.check_frame("a.h5", 3, 4)
