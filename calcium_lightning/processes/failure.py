"""What ended a process, as data: it crosses processes and machines, and nothing in it is ever run.

Knows classes of errors by name; knows nothing of who sends it where.
"""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import asdict, dataclass

from calcium_lightning.core.errors import InputError, ProcessFailed, Pruned, RaisedElsewhere

#: errors that mean something to those who hear of them; all others are told in words
KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (InputError, ProcessFailed, Pruned, MemoryError)
}


@dataclass(frozen=True)
class Failure:
    """What ended a process.

    Attributes
    ----------
    kind : str
        One of ``KINDS``, ``"OSError"``, or the name of any other class.
    message : str
        What the error says.
    text : str
        The traceback.
    rank : int
        Of the process.
    when : float
        Seconds since 1970: the first one is the cause of the others.
    number, filename : int and str, optional
        Of an ``OSError``.
    """

    kind: str
    message: str
    text: str
    rank: int
    when: float
    number: int | None = None
    filename: str | None = None

    @classmethod
    def of(cls, error: Exception, rank: int) -> Failure:
        """Describe an error that was just caught."""
        text = "".join(traceback.format_exception(error)).rstrip()
        if isinstance(error.__cause__, InputError):  # Hydra wraps what a component says of its settings
            error = error.__cause__
        kind = next((name for name, known in KINDS.items() if isinstance(error, known)), type(error).__name__)
        told = cls(kind, str(error), text, rank, time.time())
        if isinstance(error, OSError) and error.errno is not None:
            message, filename = error.strerror or str(error), error.filename
            filename = None if filename is None else str(filename)
            told = cls("OSError", message, text, rank, told.when, error.errno, filename)
        return told

    @classmethod
    def read(cls, data: bytes) -> Failure | None:
        """What :meth:`written` gave; ``None`` for anything else."""
        try:
            fields = json.loads(data)
            failure = cls(**fields)
            plain = (
                *(str(value) == value for value in (failure.kind, failure.message, failure.text)),
                isinstance(failure.rank, int) and isinstance(failure.when, float),
                failure.number is None or isinstance(failure.number, int),
                failure.filename is None or isinstance(failure.filename, str),
            )
        except (ValueError, TypeError):
            return None
        return failure if all(plain) else None

    def written(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    def error(self) -> Exception:
        """An error to raise in its place, with the traceback of there in a note."""
        error: Exception
        if self.kind == "OSError" and self.number is not None:
            error = OSError(self.number, self.message, self.filename)
        elif self.kind in KINDS:
            error = KINDS[self.kind](self.message)
        else:
            error = RaisedElsewhere(self.message)
        error.add_note(f"in process {self.rank}:\n{self.text}")
        return error
