"""A module that is a command and, called, the function of the same name.

``python -m calcium_lightning.extract`` and ``calcium_lightning.extract(frames)`` are both promised. Importing
a submodule binds it to its name in the package, over whatever stood there, so a function under that name
would be there or not depending on what was imported before. One object that is both has no such order.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


def call_as(module: str, room: str, name: str) -> None:
    """Make a module callable.

    Parameters
    ----------
    module : str
        Its ``__name__``; it is being imported.
    room, name : str
        The module and the name in it of what a call calls; imported with the first call.
    """

    def called() -> Any:
        return getattr(importlib.import_module(room), name)

    class CallableModule(ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            # Not by way of the attribute: an AttributeError of what is imported would read as if it had none.
            return called()(*args, **kwargs)

        @property
        def __wrapped__(self) -> Any:
            """What is called, for those who look at its signature and text."""
            return called()

        @property
        def __signature__(self) -> inspect.Signature:
            return inspect.signature(self.__wrapped__)

    sys.modules[module].__class__ = CallableModule
