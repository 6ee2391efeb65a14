"""``python -m calcium_lightning.track``: the same cells across sessions."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command.callable_module import call_as
from calcium_lightning.command.inputs import as_paths, find_inputs, one_file, one_path
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.plugins import register

call_as(__name__, "calcium_lightning.tracking.track", "track")


@entry_point("track", plugins=register)
def main(cfg: DictConfig) -> None:
    """Find the same cells in several sessions of one animal.

    python -m calcium_lightning.track cells=[DAY1.h5,DAY2.h5] output=TRACKS.h5

    Fields are turned, shifted, scaled and bent onto one, by the cells' places; a session that matches no
    other is said and left out. Which cells are the same is a matter of probability: p= is the least of a
    track's member. page=, csv= and cellreg= write a page, a table, and what CellReg writes; with tracks=
    in place of output= they are of tracks that are there already, links decided by hand included. from=
    takes such links over when a day is added. search=FOLDER looks for cells that a session lacks in its
    recording; cells files with those that are found, marked, go into the folder, and the tracks are of these.
    """
    from calcium_lightning.core.outputs import atomic_paths, check_outputs
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign

    given, earlier = (None if cfg[key] is None else one_path(key, cfg[key]) for key in ("tracks", "from"))
    inputs = []
    if cfg.cells is not None:
        inputs = [item.path for item in find_inputs("cells", cfg.cells, may_be_cells, whole=is_foreign)]
    outputs = {
        key: one_file(key, cfg[key]) for key in ("output", "page", "csv", "cellreg") if cfg[key] is not None
    }
    if given is None:
        if not inputs:
            raise InputError("cells= is required: cells=[DAY1.h5,DAY2.h5]; or tracks=TRACKS.h5, to export")
        outputs.setdefault("output", Path("tracks.h5"))
    else:
        _check_export(cfg, given, outputs)
    check_outputs(outputs, cfg.overwrite)

    from calcium_lightning.core.links import LinkedTracks
    from calcium_lightning.io.tracked import footprints_of, same_sessions
    from calcium_lightning.io.tracks_file import check_unlinked, read_linked, read_tracks, write_linked

    if given is not None:
        tracks, fields = footprints_of(read_tracks(given), given, inputs)
        linked = LinkedTracks.of(tracks)
    else:
        from calcium_lightning.tracking.taken_over import take_over
        from calcium_lightning.tracking.track import track_with_fields

        check_unlinked(outputs["output"])
        before = None if earlier is None else read_linked(earlier)
        tracks, fields = track_with_fields(
            inputs,
            p=cfg.p,
            rejected=cfg.rejected,
            search=None if cfg.search is None else one_path("search", cfg.search),
            sessions=None if cfg.sessions is None else as_paths(cfg.sessions),
            overwrite=cfg.overwrite,
            config=OmegaConf.to_yaml(cfg, resolve=True),
        )
        linked = LinkedTracks.of(tracks)
        if before is not None and earlier is not None:
            found = take_over(before, tracks, same_sessions(before.tracks, earlier, fields))
            print(f"{earlier}: {found}", file=sys.stderr if found.lost else sys.stdout)
            linked = found.linked
            tracks = linked.tracks
    for line in tracks.warnings:
        print(line, file=sys.stderr)
    with atomic_paths([*outputs.values()], cfg.overwrite) as temporaries:
        places = dict(zip(outputs, temporaries, strict=True))
        if "page" in places:
            from calcium_lightning.pages.page import write_page
            from calcium_lightning.pages.tracks import tracks_page

            title = str(given or outputs["output"])
            write_page(places["page"], tracks_page(tracks, fields, title))
        if "output" in places:
            write_linked(places["output"], linked)
        if "csv" in places:
            from calcium_lightning.io.writers.tracks_csv import export_tracks_csv

            export_tracks_csv(tracks, places["csv"])
        if "cellreg" in places:
            from calcium_lightning.io.writers.tracks_cellreg import export_cellreg

            export_cellreg(tracks, fields, places["cellreg"])
    print(f"{given or outputs['output']}: {tracks.in_words()}")
    for key, called in {"csv": "table", "cellreg": "CellReg", "page": "page"}.items():
        if key in outputs:
            print(f"{called}: {outputs[key]}")


def _check_export(cfg: DictConfig, given: Path, outputs: dict[str, Path]) -> None:
    """Refuse what is of tracking anew beside tracks that are there already."""
    for key in ("output", "from", "search", "sessions", "p", "rejected"):
        if cfg[key] not in (None, False) and not (key == "p" and cfg.p == 0.5):
            words = "are exported as they stand; to track anew, give cells= and from= in place of tracks="
            raise InputError(f"{key}= doesn't go with tracks={given}: these tracks {words}")
    if not outputs:
        raise InputError(f"tracks={given}: nothing to write; give csv=, page= or cellreg=")


if __name__ == "__main__":
    main()
