"""What ``--help`` prints: the purpose, the keys with their units and defaults, and the choices.

Knows schemas and config files; imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from calcium_lightning.command.config_keys import choices_of, first_comment, groups_of
from calcium_lightning.command.schemas import SCHEMAS

#: headings, and the keys that stand under them; the others stand under the last
SECTIONS = {
    "What is read and made": (
        *("session", "input", "cells", "truth", "unknown", "metrics", "runs", "checkpoint", "weights"),
        *("ckpt_path", "output", "table", "format", "overwrite", "fresh", "url"),
    ),
    "The recording": (
        *("fps", "pixel_size_um", "cell_diameter", "cell_diameter_um", "kind", "motion_corrected", "key"),
        *("axes", "channel", "interleaved", "plane", "crop", "bin", "temporal_bin", "start", "stop"),
        *("dtype", "truth_key", "timestamps", "compression"),
    ),
    "How": (),
}
#: groups that say how a command is started, and are no choice of the user's
HIDDEN = ("run",)


def program(name: str) -> str:
    """How the user has called the command."""
    called = f"calcium-lightning {name}"
    return called if sys.argv[0] == called else f"python -m calcium_lightning.{name}"


def help_text(name: str, description: str) -> str:
    """All of it, for one command."""
    lines = [f"{program(name)} key=value ...", "", inspect.cleandoc(description)]
    for heading, fields in sections(SCHEMAS.get(name)):
        lines += ["", f"{heading}:", *(line for field in fields for line in _key(field))]
    groups = {group: choices_of(group) for group in groups_of(name) if group not in HIDDEN}
    groups = {group: choices for group, choices in groups.items() if choices}
    if groups:
        lines += ["", "Choices (group=choice; keys inside as group.key=value):"]
        lines += [
            f"  {group + '=':<23} {' | '.join(choices)}" for group, choices in groups.items() if choices
        ]
    if name == "train":
        lines += ["", "Experiments (+experiment=...):", *_experiments()]
    lines += [
        "",
        "--cfg job prints the composed config, -m runs every combination of comma-separated values,",
        "--hydra-help tells the rest.",
        "Paths are taken as they are typed. With commas, brackets or '\"': quote them twice, as in",
        "'session=\"my, file=1.h5\"'.",
    ]
    return "\n".join(lines)


def sections(schema: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield the headings that a schema has keys for, with the fields under each."""
    fields = list(dataclasses.fields(schema)) if schema is not None else []
    placed = {key for keys in SECTIONS.values() for key in keys}
    for heading, keys in SECTIONS.items():
        last = not keys
        members = [field for field in fields if field.name in keys or (last and field.name not in placed)]
        if not last:
            members.sort(key=lambda field: keys.index(field.name))
        if members:
            yield heading, members


def _key(field: Any) -> Iterator[str]:
    default = field.default if field.default is not dataclasses.MISSING else None
    if default == "???":
        shown = "required"
    elif default is None or default == "":
        shown = ""
    else:
        shown = f"default: {str(default).lower() if isinstance(default, bool) else default}"
    value = field.metadata.get("unit", "") or ("PATH" if field.metadata.get("path") else "")
    name = f"{field.name}={value}"
    yield f"  {name:<23} {field.metadata.get('help', '')}{f' ({shown})' if shown else ''}"


def _experiments() -> Iterator[str]:
    for choice in choices_of("experiment"):
        yield f"  {choice:<32}{first_comment('experiment', choice)}"
