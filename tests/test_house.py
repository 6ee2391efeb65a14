"""The rooms of the package import each other in one direction, imports inside functions included."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import networkx
import pytest

import calcium_lightning

ROOT = Path(calcium_lightning.__file__).parent
#: what stands beside the package, but for names that begin with a dot
BESIDE = {
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"),
    *("Makefile", "constraints.txt", "pyproject.toml", "conf", "docs", "experiments", "tests"),
}


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # Of "from room import module", both are meant.
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("calcium_lightning.")}


def room_of(module: str) -> str:
    """The folder of a module below the root; a module of the root is a room of its own."""
    name = [*module.split(".")[1:], ""][0]
    there = ROOT.joinpath(name).is_dir() or ROOT.joinpath(f"{name}.py").is_file()
    return name if name and there else "calcium_lightning"


def graph() -> networkx.DiGraph:
    found = networkx.DiGraph()
    for path in ROOT.rglob("*.py"):
        module = ".".join(("calcium_lightning", *path.relative_to(ROOT).with_suffix("").parts))
        here = room_of(module.removesuffix(".__init__"))
        for name in imports(path):
            there = room_of(name)
            if there not in (here, "calcium_lightning"):
                found.add_edge(here, there)
    return found


def test_nothing_lies_beside_the_package_that_does_not_belong_there() -> None:
    if not (ROOT.parent / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no checkout, or git isn't installed: what belongs to the project isn't known")
    command = ["git", "-c", f"safe.directory={ROOT.parent}", "ls-files"]  # whoever owns it, as in a container
    listed = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True, check=True)
    there = {line.split("/")[0] for line in listed.stdout.splitlines() if not line.startswith((".", '"'))}
    assert there == {*BESIDE, ROOT.name}


def test_no_circles_between_folders() -> None:
    circles = [sorted(part) for part in networkx.strongly_connected_components(graph()) if len(part) > 1]
    assert circles == []


def test_relative_imports_hide_nothing() -> None:
    hidden = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert hidden == []


def test_every_room_says_what_it_is_for_and_what_it_must_not_know() -> None:
    silent = [
        str(path.parent.relative_to(ROOT))
        for path in ROOT.rglob("__init__.py")
        if path.parent != ROOT
        and "Must not know" not in (ast.get_docstring(ast.parse(path.read_text())) or "")
    ]
    assert silent == []
