"""Values of configs are of the types that components ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from helpers.tiny_session import make_session
from omegaconf import OmegaConf
from torch.optim import AdamW

from calcium_lightning.command.value_types import described, fits, fits_library, hints


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [3, -1], [2.5, True, "3", None, [1]]),
        (float, [3, 2.5, float("inf")], [True, "x", None]),
        (bool, [True], [1, "true"]),
        (str, ["a"], [1, None]),
        (float | None, [None, 1], ["null"]),
        (tuple[float, float], [[1, 2.5], (3, 4)], [[1], [1, 2, 3], 1, ["a", "b"]]),
        (tuple[int, ...], [[], [1, 2, 3]], [[1.5], 3]),
        (Sequence[int] | None, [None, [4]], [["x"], 4]),
        (list[str], [["a"]], ["a", [1]]),
        (complex, ["anything", None], []),
        (Decimal, [{"_target_": "a.B"}, Decimal(1)], ["a b", 3, None, [1], {}, {"a": 1}, True]),
        (Decimal | None, [{"_target_": "a.B"}, None, {}], ["a b", 3, [1], {"a": 1}]),
        (Callable[..., int], [{"_target_": "a.B", "_partial_": True}], ["a b", None, {"a": 1}]),
        (Mapping[str, Any], [{}, {"a": 1}], ["a b", [1], None]),
        (dict[str, int], [{"a": 1}], [{"a": "b"}, 3]),
        (Path | str, ["a"], []),
    ],
)
def test_what_fits_and_what_does_not(hint, good, bad):
    assert all(fits(value, hint) for value in good)
    assert not any(fits(value, hint) for value in bad)


def test_lists_of_configs_are_lists():
    assert fits(OmegaConf.create([1, 2]), tuple[float, float])


def test_types_are_told_in_words():
    assert described(float | None) == "a number or null"
    assert described(tuple[float, float]) == "a list of 2 numbers"
    assert described(tuple[int, ...]) == "a list of whole numbers"


def test_libraries_tell_less():
    assert all(fits_library(value, int) for value in (3, 1e3, None))
    assert not any(fits_library(value, int) for value in (1.5, "3", True, [1]))
    assert described(hints(AdamW)["lr"]) == "a number"
    assert described(hints(AdamW)["betas"]) == "a list of 2 numbers"


def test_what_cannot_be_told_is_not_asked_for():
    def component(a, b):
        raise AssertionError

    component.__annotations__ = {"a": "NoSuchName", "b": int}
    assert hints(component) == {}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("localize.rounds=abc", "localize.rounds=abc: a whole number is wanted"),
        ("localize.rise_s=true", "localize.rise_s=True: a number or null is wanted"),
        ("localize.quality.width=[1]", "localize.quality.width=[1]: a list of 2 numbers is wanted"),
        ("localize.quality='a b'", "localize.quality=a b: a group of keys is wanted"),
        ("localize.split=3", "localize.split=3: a group of keys or null is wanted"),
        ("localize.threshold=2", "localize.threshold=2: a probability above 0"),
        ("preprocess.baseline_frames=1.5", "preprocess.baseline_frames=1.5: a whole number is wanted"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_one_clear_line(run_command, tmp_path, override, told):
    make_session(tmp_path / "a.h5")
    outcome = run_command("extract", "session=a.h5", "output=c.h5", "detector=bandpass", override)
    assert (outcome.status, outcome.stderr) == (2, f"error: {told}\n")
