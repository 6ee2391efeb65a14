"""The drawing code that pages share: as a module, and as text of a page that is one file."""

from __future__ import annotations

import re
from importlib import resources

from calcium_lightning.pages.page import inline_module

TEXT = resources.files("calcium_lightning.pages").joinpath("drawing.js").read_text("utf-8")


def test_inlined_it_exports_and_imports_nothing_and_keeps_every_name() -> None:
    names = re.findall(r"^export (?:class|const|function) (\w+)", TEXT, re.MULTILINE)
    inlined = inline_module("drawing.js")
    assert {"Picture", "View", "pointers", "pathOf", "stroke", "courseOptions"} <= set(names)
    assert not re.search(r"^\s*(export|import)\b", inlined, re.MULTILINE)
    assert "</script" not in inlined
    for name in names:
        assert re.search(rf"^(class|const|function) {name}\b", inlined, re.MULTILINE), name
