"""What makes another recording of a recording, such as ΔF/F of raw frames (config group ``preprocess``).

For: preprocessing that is done once and kept, in place of the package's own, which is done while frames are
read.
Must not know: how, nor what cells are found in the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from calcium_lightning.io.readers.base import Recording
    from calcium_lightning.io.session import Session


@runtime_checkable
class SessionChain(Protocol):
    """A preprocessing whose result is a recording."""

    def recording(self, recording: Recording) -> Recording:
        """What it makes of a recording, read as a stream."""
        ...

    def write_session(self, session: Session, output: Path, overwrite: bool) -> Session:
        """Write what it makes of a session beside an output of its own, and open it."""
        ...
