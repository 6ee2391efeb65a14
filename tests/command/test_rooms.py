"""The commands' room stands below those of runs and sweeps: it imports none of them, in functions neither."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "calcium_lightning"


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.split(".")[1] for name in names if name.startswith("calcium_lightning.")}


def test_the_commands_know_only_the_core():
    assert set().union(*map(imported, (PACKAGE / "command").glob("*.py"))) == {"command", "core"}


def test_the_core_knows_nothing_above_it():
    assert set().union(*map(imported, (PACKAGE / "core").glob("*.py"))) == {"core"}
