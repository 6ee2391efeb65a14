"""The one exception that means "the user's input", and nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Bad input or configuration: one clear line for the user, exit status 2.

    The message says what was wrong, where (file, dataset, frame), and what to do.
    """


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return ``"; nearest: a, b"`` for the known names that resemble ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""
