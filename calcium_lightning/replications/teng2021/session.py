"""A session through the published preprocessing: raw frames in, a ΔF/F session file out."""

from __future__ import annotations

from pathlib import Path

from calcium_lightning.io.convert import ingest_recording
from calcium_lightning.io.ingest_settings import IngestSettings
from calcium_lightning.io.readers.session import SessionRecording
from calcium_lightning.io.session import Session
from calcium_lightning.replications.teng2021.preprocessing import PublishedChain, PublishedRecording


def preprocess_session(session: Session, output: Path, chain: PublishedChain, overwrite: bool) -> Session:
    """Write what the chain makes of a session beside an output of its own, and open it.

    Parameters
    ----------
    session : Session
        Raw.
    output : Path
        The cells file; the session becomes ``NAME.dff.h5`` in its folder.
    chain : PublishedChain
        Settings.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the session is ΔF/F already.
    """
    target = output.with_name(f"{output.name.removesuffix('.h5').removesuffix('.cells')}.dff.h5")
    with SessionRecording(session.path) as recording:
        ingest_recording(PublishedRecording(recording, chain), target, IngestSettings(), overwrite=overwrite)
    session.close()
    return Session(target)
