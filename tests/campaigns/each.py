"""Each damage to each place of the files that strangers send, one after the other, read and nothing more.

Readers run in a fork of this process, thousands of files a minute; after a crash the next fork goes on. What
an input must end in: it is read, or one line says why not.

    cd tests && python -m campaigns.each              all files
    cd tests && python -m campaigns.each caiman.hdf5  one of them
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from campaigns import corpus, fuzz, warm
from campaigns.damage import every
from campaigns.damage.text import dumps

#: seconds that reading a file of a few kB may take
SECONDS = 20


def ingest(path: Path) -> None:
    """Read a recording, and write it as a session."""
    from calcium_lightning.io.convert import ingest_recording
    from calcium_lightning.io.ingest_settings import IngestSettings
    from calcium_lightning.io.readers.formats import open_recording

    with open_recording(path) as recording:
        settings = IngestSettings(fps=None if recording.fps else 20.0)
        ingest_recording(recording, path.with_name("ingested.h5"), settings, overwrite=True)


def session(path: Path) -> None:
    """Read all of a session."""
    from calcium_lightning.io.session import Session

    with Session(path) as opened:
        for _ in opened.chunks():
            pass
        for name in ("timestamps", "shifts", "field", "bad_frames", "about", "behavior", "truth"):
            getattr(opened, name)


def cells(path: Path) -> None:
    """Read cells of any program."""
    from calcium_lightning.io.results.table import read_cells

    read_cells(path)


def tracks(path: Path) -> None:
    """Read tracks, and what was decided about them."""
    from calcium_lightning.io.tracks_file import read_linked

    read_linked(path)


#: file -> what reads it; of a folder's file, the folder is read
FILES: dict[str, Callable[[Path], None]] = {
    "cells.h5": cells,
    "curated.h5": cells,
    "tracks.h5": tracks,
    "session.h5": session,
    "caiman.hdf5": cells,
    "cells.nwb": cells,
    "footprints.mat": cells,
    "chunked.h5": ingest,
    "series.nwb": ingest,
    "results.hdf5": ingest,
    "seven.mat": ingest,
    "miniscope/metaData.json": ingest,
    "store.zarr/movie/zarr.json": ingest,
}


def changes_of(path: Path) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """All that is done to a file."""
    if path.suffix == ".json":
        for label, tree in every.of_tree(json.loads(path.read_text(encoding="utf-8"))):
            yield label, lambda place, tree=tree: place.write_text(dumps(tree))
        return
    import h5py

    def apply(place: Path, change: Callable[[object], None]) -> None:
        with h5py.File(place, "r+") as file:
            change(file)

    for label, change in every.of_hdf5(path):
        yield label, lambda place, change=change: apply(place, change)


def outcome(read: Callable[[Path], None], path: Path) -> str:
    """``read``, ``refused``, or what is wrong with how it ended."""
    from calcium_lightning.command.failures import diagnose

    try:
        read(path)
    except Exception as error:
        failure = diagnose("ingest", error)
        if failure.explained and failure.status == 2:
            return "refused"
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:100]} ({last.filename}:{last.lineno})"
    return "read"


def each(name: str, whole: Path, work: Path) -> Counter[str]:
    """Do all that can be done to a file; what came of it."""
    first, _, rest = name.partition("/")
    changes = list(changes_of(whole / name))
    told = work / "told.jsonl"
    told.write_text("")
    begin = 0
    while begin < len(changes):
        process = os.fork()
        if not process:
            _read_from(begin, changes, FILES[name], whole / first, work / first, rest, told)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        begin = len(told.read_text().splitlines())
        if status:
            with told.open("a") as file:
                file.write(json.dumps(f"process ended with {status}") + "\n")
            begin += 1
    tally: Counter[str] = Counter()
    for (label, _), line in zip(changes, told.read_text().splitlines(), strict=True):
        said = json.loads(line)
        tally[said if said in ("read", "refused", "not done") else "fault"] += 1
        if said not in ("read", "refused", "not done"):
            print(f"{name}: {label}: {said}", flush=True)
    return tally


def _read_from(
    begin: int,
    changes: list[tuple[str, Callable[[Path], object]]],
    read: Callable[[Path], None],
    source: Path,
    place: Path,
    inside: str,
    told: Path,
) -> None:
    """The work of a fork, which never comes back."""
    os.chdir(place.parent)
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30,) * 2)
    with told.open("a", encoding="utf-8") as file:
        for _, change in changes[begin:]:
            fuzz.remove(place) if os.path.lexists(place) else None
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, place)
            try:
                change(place / inside if inside else place)
                said = ""
            except (OSError, ValueError, TypeError, KeyError, RuntimeError):  # HDF5 holds no such thing
                said = "not done"
            signal.alarm(SECONDS)
            file.write(json.dumps(said or outcome(read, place)) + "\n")
            signal.alarm(0)
            file.flush()
    os._exit(0)


def main() -> int:
    """Look at the files of a command line; 1 where there was a fault."""
    names = sys.argv[1:] or list(FILES)
    warm.warm_up()
    faults = 0
    with tempfile.TemporaryDirectory(prefix="each-") as place:
        whole = corpus.make(Path(place) / "whole")
        for name in names:
            work = Path(place) / "work"
            work.mkdir()
            shutil.copy2(whole / "Yr_d1_24_d2_38_d3_1_order_C_frames_12.mmap", work)
            tally = each(name, whole, work)
            shutil.rmtree(work)
            faults += tally["fault"]
            print(
                f"{name}: {', '.join(f'{count} {said}' for said, count in tally.most_common())}", flush=True
            )
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
