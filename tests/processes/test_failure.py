"""What ended a process crosses to others as data."""

from __future__ import annotations

import errno
import json
import pickle
from pathlib import Path

import pytest
from hydra.errors import InstantiationException

from calcium_lightning.command.failures import diagnose
from calcium_lightning.core.errors import InputError, ProcessFailed, Pruned, RaisedElsewhere
from calcium_lightning.processes.failure import Failure


class Awkward(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def sent(error: Exception) -> Exception:
    """What others raise for an error of process 3."""
    try:
        raise error
    except Exception as caught:
        failure = Failure.read(Failure.of(caught, 3).written())
    assert failure is not None
    return failure.error()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("no"), InputError),
        (Pruned("hopeless"), Pruned),
        (ProcessFailed("gone"), ProcessFailed),
        (MemoryError("1 TB"), MemoryError),
        (Awkward("salt", "sand"), RaisedElsewhere),
    ],
)
def test_a_failure_keeps_its_kind_and_its_traceback(error, kind):
    told = sent(error)
    assert type(told) is kind
    assert str(told) == str(error)
    (note,) = told.__notes__
    assert note.startswith("in process 3:")
    assert "raise error" in note


def test_the_machine_s_failures_keep_what_the_user_is_told():
    full = OSError(errno.ENOSPC, "No space left on device", Path("a/cells.h5"))
    assert diagnose("train", sent(full)) == diagnose("train", full)


def test_what_a_component_says_of_its_settings_is_bad_input():
    error = InstantiationException("Error in call to target 'x'")
    error.__cause__ = InputError("encoder.width=0: a number above 0")
    told = sent(error)
    assert (type(told), str(told)) == (InputError, "encoder.width=0: a number above 0")


class Payload:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("pwned"),))


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Payload()),
        b"",
        b"[]",
        b"{}",
        json.dumps({"kind": "InputError", "message": 3, "text": "", "rank": 0, "when": 0.0}).encode(),
        json.dumps({"kind": "OSError", "message": "", "text": "", "rank": "0", "when": 0.0}).encode(),
    ],
)
def test_anything_else_is_no_failure(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Failure.read(data) is None
    assert list(tmp_path.iterdir()) == []


def test_only_known_classes_are_raised():
    """A name never chooses what is imported."""
    told = Failure("subprocess.CalledProcessError", "ls", "", 1, 0.0).error()
    assert type(told) is RaisedElsewhere
