"""All commands under one name: ``calcium-lightning COMMAND``, ``python -m calcium_lightning COMMAND``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Sequence

from calcium_lightning.command.completion import PROGRAM, answer
from calcium_lightning.command.failures import report
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.command.start import tell
from calcium_lightning.core.errors import InputError, nearest


def overview() -> str:
    """The commands, each with what it is for."""
    lines = [f"{PROGRAM} COMMAND key=value ...", ""]
    for name in SCHEMAS:
        about = inspect.getdoc(importlib.import_module(f"calcium_lightning.{name}").main) or ""
        lines.append(f"  {name:<12}{about.splitlines()[0] if about else ''}")
    lines += ["", f"{PROGRAM} COMMAND --help explains a command's keys."]
    lines += [f'Tab completion: eval "$({PROGRAM} -sc install=bash)", or zsh.']
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that is named first, as if it had been called alone; without one, list them."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given[0] if given else "--help"
    try:
        if name in ("-h", "--help"):
            tell(overview())
        elif name in ("-sc", "--shell-completion"):
            tell(answer(given[1:]))
        elif name == "--version":
            from calcium_lightning import __version__

            tell(__version__)
        elif name not in SCHEMAS:
            known = f"there are {', '.join(SCHEMAS)}"
            raise InputError(f"{name}: no such command{nearest(name, SCHEMAS)}; {known}")
        else:
            module = importlib.import_module(f"calcium_lightning.{name}")
            sys.argv = [f"{PROGRAM} {name}", *given[1:]]
            getattr(module, "command", module.main)()
    except InputError as error:
        sys.exit(report(name, error))


if __name__ == "__main__":
    main()
