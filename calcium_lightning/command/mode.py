"""One job or a sweep: told without composing the config, where arguments alone can tell.

For: starting a command. Hydra composes the whole config once only to look for ``hydra.mode`` in it, and then
again to run it: a tenth of a second of every command. None of our configs sets it (a test holds that).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

#: arguments by which configs of others come in, or the mode itself is chosen
CHOOSING = frozenset(
    {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "hydra.searchpath", "hydra.mode"}
)


@contextmanager
def mode_of(arguments: Sequence[str]) -> Iterator[None]:
    """While the block runs, Hydra takes the mode from its flags, unless a config might choose it.

    Replaces ``Hydra.get_mode`` of Hydra 1.3, which answers the same where no config sets a mode.
    """
    if any(argument.lstrip("+").partition("=")[0] in CHOOSING for argument in arguments):
        yield
        return
    from hydra._internal.hydra import Hydra

    composed = Hydra.get_mode
    Hydra.get_mode = _flags_tell  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = composed  # type: ignore[method-assign]


def _flags_tell(*_: object, **__: object) -> None:
    """No config chooses a mode."""
