"""Paths reach a command as the text that was typed: no number, no word for nothing, no syntax of Hydra's."""

from __future__ import annotations

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from calcium_lightning.command.paths import as_typed, path_keys, quoted
from calcium_lightning.core.errors import InputError

ODD = (
    *("2026_03_04", "15_03_28", "1e5", "0x10", "on", "off", "yes", "no", "true", "nan", "inf", "-1", "007"),
    *("1_000", "12:30:45", "~", "null.h5", "NULL", "2026-03-04", ".5", "1.", "+1", "a=b.h5", "$HOME.h5"),
    *("day 1.h5", "q'uote.h5", "ünï (1).h5", "[ab]*.h5", "data/**/*.h5", "a#b.h5", "a&b;c.h5", "100%.h5"),
    *("a{1}.h5", "[1] (2).h5", "x:y.h5", "choice(1).h5", "null", "@home.h5", "a~b", "日本.h5", "a${b.h5"),
)
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=12)


def value(argument: str):
    """What a config holds after Hydra has read an argument."""
    (override,) = OverridesParser.create().parse_overrides([argument])
    cfg = OmegaConf.create({})
    OmegaConf.update(cfg, override.key_or_group, override.value())
    return OmegaConf.to_container(cfg, resolve=True)["session"]


def typed(text: str):
    (argument,) = as_typed("extract", [f"session={text}"], sweeping=False)
    return value(argument)


def in_readme_quotes(name: str) -> str:
    return '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), name) + '"'


@pytest.mark.parametrize("name", [name for name in ODD if name != "null"])
def test_a_name_without_quotes_is_the_text_that_stands_there(name):
    assert typed(name) == name
    assert typed(f"[{name},b.h5]") == [name, "b.h5"]
    assert typed(f"[ {name} , {name} ]") == [name, name]


@given(names)
@example("2026_03_04")
@example("my, file=1.h5")
@example("back\\slash\\")
@example("'\"'\\'")
def test_a_quoted_name_is_what_is_in_the_quotes(name):
    if "${" in name:  # an interpolation, as everywhere
        return
    assert typed(in_readme_quotes(name)) == name
    assert typed(f"[{in_readme_quotes(name)},b.h5]") == [name, "b.h5"]


@given(st.lists(names, min_size=1, max_size=4))
def test_names_without_what_needs_quotes_are_themselves(found):
    plain = [re.sub(r"[\\,\[\]'\"${}()\s]", "_", name) for name in found]
    plain = [name for name in plain if name != "null"]
    if plain:
        assert typed(f"[{','.join(plain)}]") == plain
        assert typed(plain[0]) == plain[0]


@given(names)
@example("a${b.h5")
@example("\\\\${")
def test_our_own_quotes_hold_any_text(name):
    if not re.search(r"\$\{[^{}]+\}", name):
        assert value(f"session={quoted(name)}") == name


@given(st.lists(names, min_size=2, max_size=3))
def test_a_sweep_has_one_job_for_each_name(found):
    if any("${" in name for name in found):
        return
    for form in ("{}", "choice({})"):
        text = form.format(",".join(map(in_readme_quotes, found)))
        (argument,) = as_typed("extract", [f"session={text}"], sweeping=True)
        (override,) = OverridesParser.create().parse_overrides([argument])
        assert [value(f"session={item}") for item in override.sweep_string_iterator()] == found


def test_sweeps_of_names_and_lists_without_quotes():
    for text in ("2026_03_04,[1e5,on],c.h5", "choice(2026_03_04,[1e5,on],c.h5)"):
        (argument,) = as_typed("train", [f"data.sessions={text}"], sweeping=True)
        (override,) = OverridesParser.create().parse_overrides([argument])
        jobs = [value(f"session={item}") for item in override.sweep_string_iterator()]
        assert jobs == ["2026_03_04", ["1e5", "on"], "c.h5"]


def test_nothing_is_nothing_and_interpolations_stay():
    assert typed("null") is None
    assert typed("[null,a.h5]") == [None, "a.h5"]
    assert typed("") == ""
    assert typed("[]") == []
    (argument,) = as_typed("extract", ["output=cells-${seed}.h5"], sweeping=False)
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert OmegaConf.to_container(
        OmegaConf.create({"seed": 3, "output": override.value()}), resolve=True
    ) == {
        "seed": 3,
        "output": "cells-3.h5",
    }


def test_other_keys_stay_as_they_are():
    given = ["seed=1_0", "-m", "--config-dir", "a=b", "crop=[0,1_0,0,5]", "+localize.session=1", "~session"]
    assert as_typed("extract", given, sweeping=False) == given
    assert as_typed("extract", ["hydra.run.dir=2026_03_04"], sweeping=False) == ["hydra.run.dir='2026_03_04'"]
    assert as_typed("extract", ["++session=1e5"], sweeping=False) == ["++session='1e5'"]


@pytest.mark.parametrize(
    ("text", "line"), [("a.h5,b.h5", "several are a list"), ("[a.h5,b.h5", "without its end")]
)
def test_what_cannot_be_meant_is_told(text, line):
    with pytest.raises(InputError, match=line):
        typed(text)


def test_which_keys_are_paths():
    assert path_keys("extract") == ["session", "output", "checkpoint", "field", "curated"]
    assert path_keys("extract", "output") == ["output"]
    assert {"data.sessions", "weights"} <= set(path_keys("train", "input"))
