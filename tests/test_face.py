"""The package's face: what stands at its front, whatever was imported first."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from command.test_import_time import HEAVY

import calcium_lightning

FUNCTIONS = {"extract": "calcium_lightning.pipeline", "evaluate": "calcium_lightning.metrics.evaluation"}
ORDERS = {
    "the package alone": "import calcium_lightning",
    "the command first": "import calcium_lightning.{name}, calcium_lightning",
    "the room first": "import {room}, calcium_lightning",
    "the room, then the command": "import {room}, calcium_lightning.{name}",
    "the name": "from calcium_lightning import {name}; import calcium_lightning",
    "the name, then the command": "from calcium_lightning import {name}; import calcium_lightning.{name}",
    "the command's main": "from calcium_lightning.{name} import main; import calcium_lightning",
}


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_is_light():
    loaded = python("import sys, calcium_lightning; print(*{name.split('.')[0] for name in sys.modules})")
    assert set(loaded.split()) & {*HEAVY, "numpy", "hydra"} == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_command_is_the_function_whatever_was_imported_first(name):
    """In one process, with the package imported afresh for each order: what it costs is torch."""
    check = f"""
import inspect, sys
def forget():
    for module in [name for name in sys.modules if name.split(".")[0] == "calcium_lightning"]:
        del sys.modules[module]
for order in {[order.format(name=name, room=FUNCTIONS[name]) for order in ORDERS.values()]!r}:
    forget()
    exec(order)
    package = sys.modules["calcium_lightning"]
    called = package.{name}
    room = __import__({FUNCTIONS[name]!r}, fromlist=["x"])
    assert called.__wrapped__ is room.{name}, order
    assert inspect.signature(called) == inspect.signature(room.{name}), order
    assert called is sys.modules["calcium_lightning.{name}"] and callable(called.main), order
    try:
        called()
    except TypeError as error:
        assert "{name}() missing" in str(error), error
    else:
        raise AssertionError(order)
print("all")
"""
    assert python(check) == "all\n"


def test_every_name_is_there_and_listed():
    listed = dir(calcium_lightning)
    for name in calcium_lightning.__all__:
        assert callable(getattr(calcium_lightning, name)), name
        assert name in listed
    assert "recording" in inspect.signature(calcium_lightning.extract).parameters
    with pytest.raises(AttributeError, match="no attribute 'extrct'"):
        _ = calcium_lightning.extrct
