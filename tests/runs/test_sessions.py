"""Which sessions a training is of: each file once, in the order in which they are named."""

from __future__ import annotations

import pytest
from helpers.tiny_session import make_session
from omegaconf import OmegaConf

from calcium_lightning.core.errors import InputError
from calcium_lightning.runs.sessions import training_sessions


def test_a_session_that_is_named_twice_counts_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "days").mkdir()
    for name in ("b.h5", "days/a.h5"):
        make_session(tmp_path / name)
    (tmp_path / "link.h5").symlink_to("b.h5")
    cfg = OmegaConf.create({"data": {"sessions": ["b.h5", "days/a.h5", "link.h5", "days", "./b.h5"]}})
    assert [str(path) for path in training_sessions(cfg)] == ["b.h5", "days/a.h5"]
    assert cfg.data.sessions == ["b.h5", "days/a.h5"]
    assert capsys.readouterr().err == "data.sessions: 2 named twice; each counts once\n"


@pytest.mark.parametrize("none", ["", []])
def test_no_session_is_said_as_that(none):
    with pytest.raises(InputError, match=r"^data\.sessions=.*: no session to learn from"):
        training_sessions(OmegaConf.create({"data": {"sessions": none}}))
    assert training_sessions(OmegaConf.create({"data": {"sessions": None}})) == []
