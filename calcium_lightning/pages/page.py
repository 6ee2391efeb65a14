"""Templates to pages, and what all pages are made of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from calcium_lightning.core.plain import without_nan


@dataclass(frozen=True)
class Fact:
    """A number or text and what it is."""

    name: str
    value: str
    note: str = ""
    meaning: str = ""


def render_template(name: str, context: Mapping[str, Any]) -> str:
    """Fill a template of ``pages/templates``; every text in ``context`` is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("calcium_lightning.pages", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_function"] = _dumps
    environment.globals["drawing"] = inline_module("drawing.js")
    return environment.get_template(name).render(context)


def _dumps(value: Any, **how: Any) -> str:
    return json.dumps(without_nan(value), **how)  # a browser takes no NaN


def write_page(path: Path, page: str) -> None:
    """Write a page as UTF-8; names of files that aren't text get question marks."""
    path.write_text(page, encoding="utf-8", errors="replace")


def inline_module(name: str) -> str:
    """A script of this folder that others import, as text for a ``<script>`` of a page that is one file.

    It may import nothing; what it exports is in the names of the script that holds it.
    """
    from markupsafe import Markup

    text = resources.files("calcium_lightning.pages").joinpath(name).read_text("utf-8")
    return Markup(re.sub(r"^export (?=class |const |function |let )", "", text, flags=re.MULTILINE))


def vendored(name: str) -> str:
    """A file of ``vendor``, as text for a ``<script>`` or ``<style>``."""
    from markupsafe import Markup

    return Markup(resources.files("calcium_lightning.pages").joinpath("vendor", name).read_text("utf-8"))
