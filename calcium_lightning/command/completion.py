"""Tab completion for ``calcium-lightning``: commands, flags, keys and choices; the shell completes paths.

Hydra knows keys and choices of one command, and completes for an executable of one word. Here is what a
command with others inside needs on top of that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
from collections.abc import Sequence

from calcium_lightning.command.config_keys import choices_of, conf_dir, config_folders, groups_of
from calcium_lightning.command.paths import OVERRIDE, path_keys
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.core.errors import InputError

PROGRAM = "calcium-lightning"
#: where a shell lets a new word begin, besides spaces: it replaces what comes after only
BREAKS = "=:"
BASH = """_calcium_lightning() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        calcium-lightning -sc query=bash 2>/dev/null))
}
complete -o nospace -o default -F _calcium_lightning calcium-lightning"""
INSTALL = {"bash": BASH, "zsh": f"autoload -U +X bashcompinit && bashcompinit\n{BASH}"}
UNINSTALL = "complete -r calcium-lightning; unset -f _calcium_lightning"


def answer(arguments: Sequence[str]) -> str:
    """What ``-sc install=SHELL``, ``uninstall=SHELL`` or ``query=SHELL`` prints.

    Raises
    ------
    InputError
        For anything else.
    """
    for argument in arguments:
        action, _, shell = argument.partition("=")
        if action in ("install", "uninstall", "query") and shell in INSTALL:
            if action == "install":
                return INSTALL[shell]
            if action == "uninstall":
                return UNINSTALL
            line = os.environ.get("COMP_LINE", "")
            point = os.environ.get("COMP_POINT", "")
            breaks = os.environ.get("COMP_WORDBREAKS", BREAKS)
            return "\n".join(complete(line[: int(point)] if point.isdigit() else line, breaks))
    shells = " or ".join(INSTALL)
    how = f'eval "$({PROGRAM} -sc install=bash)"'
    raise InputError(f"-sc: install=SHELL or uninstall=SHELL, for {shells}; {how}")


def complete(line: str, breaks: str = BREAKS) -> list[str]:
    """What may stand in place of the last word of a line.

    Parameters
    ----------
    line : str
        The command line up to the cursor.
    breaks : str
        At which characters the shell lets a new word begin.

    Returns
    -------
    list of str
        Without what comes before the last of ``breaks``. Empty where the shell shall complete paths.
    """
    words = line.split()
    word = words.pop() if words and not line[-1].isspace() else ""
    if not words:
        return []
    if len(words) == 1:
        found = [f"{name} " for name in SCHEMAS]
    elif words[1] not in SCHEMAS:
        return []
    elif word.startswith("-"):
        found = [f"{flag} " for flag in _flags()]
    else:
        found = _keys(words[1], words[2:], word)
    begun = max((word.rfind(mark) for mark in BREAKS if mark in breaks), default=-1) + 1
    return sorted(item[begun:] for item in set(found) if item.startswith(word))


def _flags() -> list[str]:
    from hydra._internal.utils import get_args_parser

    return [flag for flag in get_args_parser()._option_string_actions if flag.startswith("--")]


def _keys(name: str, before: Sequence[str], word: str) -> list[str]:
    """Keys that Hydra knows, and choices; also those in folders (``+experiment=ablation/baseline``)."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.core_plugins.bash_completion import BashCompletion
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_store import ConfigStore

    typed = OVERRIDE.fullmatch(word)
    if typed is not None and typed["key"] in path_keys(name):
        return []
    if typed is not None and (choices := choices_of(typed["key"])):
        return [f"{typed['left']}{choice}" for choice in choices]
    for command, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{command}_schema", node=schema)
    search = create_config_search_path(str(conf_dir()))
    for folder in config_folders()[:-1]:
        search.prepend("command-line", str(folder))
    hydra = BashCompletion(ConfigLoaderImpl(search))
    overrides = [item for item in before if not item.startswith("-")]
    found = ["+experiment="] if name == "train" else []
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        found += hydra._query(name, " ".join([*overrides, word or " "]))
    # Hydra offers every group there is, also those of other commands.
    own = {field.name for field in dataclasses.fields(SCHEMAS[name])} | {*groups_of(name), "hydra"}
    own.discard("run")
    return [item for item in found if item[:1] in ("+", "~") or re.split(r"[.=/]", item)[0] in own]
