"""Pages of the reference that the package itself tells: commands, settings, export formats, quality words.

Written as MyST files into ``reference/generated``, before Sphinx looks for sources. What they say comes from
where ``--help``, the exports and the report have it: schemas, ``conf``, the table of writers, the glossary.
Nothing is listed here a second time.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from calcium_lightning.command.config_keys import choices_of, conf_dir, default_choice, groups_of
from calcium_lightning.command.help import HIDDEN, sections
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.core.glossary import QUALITIES
from calcium_lightning.io.writers.table import WRITERS


def cell(text: Any) -> str:
    """Text of a table's cell."""
    return str(text).replace("|", "\\|").replace("<", "&lt;")


def shown_default(field: Any) -> str:
    """A key's default, as it would be typed."""
    if field.default == "???":
        return "required"
    if field.default is None or field.default == "" or not isinstance(field.default, str | int | float):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def groups(name: str) -> list[str]:
    """The config groups of a command that have choices."""
    return [group for group in groups_of(name) if group not in HIDDEN and choices_of(group)]


def command_page(name: str) -> str:
    """A command's keys and choices."""
    told = inspect.getdoc(importlib.import_module(f"calcium_lightning.{name}").main) or ""
    about = re.sub(r"^ *(python -m .*)$", r"`\1`", told, flags=re.MULTILINE)
    lines = [
        f"# {name}",
        "",
        "```text",
        f"python -m calcium_lightning.{name} key=value ...",
        "```",
        "",
        about,
    ]
    for heading, fields in sections(SCHEMAS[name]):
        lines += ["", f"## {heading}", "", "| key | meaning | unit | default |", "| --- | --- | --- | --- |"]
        for field in fields:
            unit = field.metadata.get("unit", "") or ("path" if field.metadata.get("path") else "")
            key = f"{field.name}." if field.name in groups(name) else f"{field.name}="
            lines.append(f"| `{key}` | {cell(field.metadata['help'])} | {unit} | {shown_default(field)} |")
    for field in SCHEMAS[name].__dataclass_fields__.values():
        inner = field.default_factory
        if hasattr(inner, "__dataclass_fields__"):
            lines += [
                "",
                f"## {field.name}",
                "",
                "| key | meaning | unit | default |",
                "| --- | --- | --- | --- |",
            ]
            for item in inner.__dataclass_fields__.values():
                help, unit = cell(item.metadata["help"]), item.metadata["unit"]
                lines.append(f"| `{field.name}.{item.name}=` | {help} | {unit} | {shown_default(item)} |")
    if groups(name):
        lines += ["", "## Choices", "", "Chosen with `group=choice`; keys inside with `group.key=value`.", ""]
        lines += ["| group | choices | default |", "| --- | --- | --- |"]
        for group in groups(name):
            names = ", ".join(f"`{choice}`" for choice in choices_of(group))
            lines.append(
                f"| [`{group}`](../settings/{group}.md) | {names} | `{default_choice(name, group)}` |"
            )
    if name == "train":
        lines += ["", "Experiments, `+experiment=NAME`, are [files of their own](../settings/experiment.md)."]
    return "\n".join(lines) + "\n"


def settings_page(group: str) -> str:
    """Every choice of a config group, as its file says it."""
    users = [name for name in SCHEMAS if group in groups_of(name) or (name, group) == ("train", "experiment")]
    chosen = f"+{group}" if group == "experiment" else group
    lines = [
        f"# {group}",
        "",
        f"`{chosen}=CHOICE`, of {', '.join(f'[{n}](../commands/{n}.md)' for n in users)}.",
    ]
    for choice in choices_of(group):
        text = (conf_dir() / group / f"{choice}.yaml").read_text(encoding="utf-8")
        lines += ["", f"## {choice}", "", "```yaml", text.rstrip() or "# nothing", "```"]
    return "\n".join(lines) + "\n"


def index_page(title: str, about: str, pages: list[str]) -> str:
    """A list of pages in a folder of this name."""
    return "\n".join([f"# {title}", "", about, "", "```{toctree}", ":maxdepth: 1", "", *pages, "```", ""])


def formats_table() -> str:
    """What export writes."""
    lines = ["| `format=` | ending | for |", "| --- | --- | --- |"]
    for writer in WRITERS:
        ending = f"`{writer.ending}`" if writer.ending else ""
        ending += (" or " if ending else "") + "a folder" if writer.folder else ""
        lines.append(f"| `{writer.format}` | {ending} | {cell(writer.meaning)} |")
    return "\n".join(lines) + "\n"


def quality_page() -> str:
    """The glossary of quality words."""
    lines = [
        "# Quality words",
        "",
        "What the report, the NWB file and the tables call each property of a cell.",
        "",
    ]
    for name, quality in QUALITIES.items():
        lines += [f"`{name}`", f": {quality.title}. {quality.meaning}", ""]
    return "\n".join(lines)


def pages() -> Iterator[tuple[str, str]]:
    """Path in ``reference/generated``, and text."""
    for name in SCHEMAS:
        yield f"commands/{name}.md", command_page(name)
    about = "Every command takes `key=value`; `--help` says the same, `--cfg job` prints all settings."
    yield "commands/index.md", index_page("Commands", about, list(SCHEMAS))
    used = sorted({group for name in SCHEMAS for group in groups(name)} | {"experiment"})
    for group in used:
        yield f"settings/{group}.md", settings_page(group)
    about = "One YAML file a choice, with its keys, their defaults and what they mean."
    yield "settings/index.md", index_page("Settings", about, used)
    yield "quality.md", quality_page()
    yield "formats.inc", formats_table()


def write_pages(app: Sphinx) -> None:
    """Write what has changed, remove what is no more."""
    folder = Path(app.srcdir) / "reference" / "generated"
    wanted = dict(pages())
    for path, text in wanted.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
    for file in folder.rglob("*.md"):
        if file.relative_to(folder).as_posix() not in wanted:
            file.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages when a build begins."""
    app.connect("builder-inited", write_pages, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
