"""What a request asks in plain values, and how a failure is answered. Knows nothing of cells."""

from __future__ import annotations

import json
import traceback
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from calcium_lightning.core.errors import InputError


class NoSuchCell(InputError):
    """A cell that isn't there; it may have been: a merge that was undone.

    Parameters
    ----------
    asked : list of int
        The cells that were asked about.
    count : int
        How many there are.
    """

    def __init__(self, asked: list[int], count: int) -> None:
        super().__init__(f"cell {', '.join(map(str, asked))}: there are {count} cells, from 0")


def absent(request: Request, error: Exception) -> Response:
    """What isn't there, or no longer."""
    return JSONResponse({"error": str(error)}, 404)


def refused(request: Request, error: Exception) -> Response:
    """Bad input."""
    return JSONResponse({"error": str(error)}, 400)


def failed(request: Request, error: Exception) -> Response:
    """The machine's: a full disk."""
    words = getattr(error, "strerror", None) or str(error)
    return JSONResponse({"error": f"not kept: {words}"}, 507)


def broken(request: Request, error: Exception) -> Response:
    """Ours: told where the command was started, as commands do."""
    traceback.print_exception(error)
    words = f"{type(error).__name__}: {error}; the terminal tells more, and what was decided is kept"
    return JSONResponse({"error": words}, 500)


async def json_of(request: Request) -> dict[str, Any]:
    """The object that a request brings.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise InputError("no JSON") from None
    if not isinstance(body, dict):
        raise InputError("a JSON object is wanted")
    return body


def is_whole(value: Any) -> bool:
    """Whether a value of JSON is a number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def integer(request: Request, name: str, default: int) -> int:
    """A number of the query."""
    values = integers(request, name)
    return values[0] if values else default


def integers(request: Request, name: str) -> list[int]:
    """Numbers of the query, with commas between them.

    Raises
    ------
    InputError
        If they are none.
    """
    text = request.query_params.get(name, "")
    try:
        return [int(item) for item in text.split(",") if item]
    except ValueError:
        raise InputError(f"{name}={text[:80]}: whole numbers are wanted") from None
