"""``python -m calcium_lightning.track``: the same cells across sessions."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command.callable_module import call_as
from calcium_lightning.command.inputs import as_paths, find_inputs, one_file, one_path
from calcium_lightning.command.start import entry_point
from calcium_lightning.sweeps.plugins import register

call_as(__name__, "calcium_lightning.tracking.track", "track")


@entry_point("track", plugins=register)
def main(cfg: DictConfig) -> None:
    """Find the same cells in several sessions of one animal.

    python -m calcium_lightning.track cells=[DAY1.h5,DAY2.h5] output=TRACKS.h5

    Fields are turned, shifted, scaled and bent onto one, by the cells' places; a session that matches no
    other is said and left out. Which cells are the same is a matter of probability: p= is the least of a
    track's member. page=, csv= and cellreg= write a page, a table, and what CellReg writes. search=FOLDER
    looks for cells that a session lacks in its recording; cells files with those that are found, marked, go
    into the folder, and the tracks are of these.
    """
    from calcium_lightning.core.outputs import atomic_paths, check_outputs
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign

    inputs = [item.path for item in find_inputs("cells", cfg.cells, may_be_cells, whole=is_foreign)]
    outputs = {
        key: one_file(key, cfg[key]) for key in ("output", "page", "csv", "cellreg") if cfg[key] is not None
    }
    outputs.setdefault("output", Path("tracks.h5"))
    check_outputs(outputs, cfg.overwrite)

    from calcium_lightning.io.tracks_file import check_unlinked, write_tracks
    from calcium_lightning.tracking.track import track_with_fields

    check_unlinked(outputs["output"])
    tracks, fields = track_with_fields(
        inputs,
        p=cfg.p,
        rejected=cfg.rejected,
        search=None if cfg.search is None else one_path("search", cfg.search),
        sessions=None if cfg.sessions is None else as_paths(cfg.sessions),
        overwrite=cfg.overwrite,
        config=OmegaConf.to_yaml(cfg, resolve=True),
    )
    for line in tracks.warnings:
        print(line, file=sys.stderr)
    with atomic_paths([*outputs.values()], cfg.overwrite) as temporaries:
        places = dict(zip(outputs, temporaries, strict=True))
        if "page" in places:
            from calcium_lightning.pages.page import write_page
            from calcium_lightning.pages.tracks import tracks_page

            write_page(places["page"], tracks_page(tracks, fields, str(outputs["output"])))
        write_tracks(places["output"], tracks)
        if "csv" in places:
            from calcium_lightning.io.writers.tracks_csv import export_tracks_csv

            export_tracks_csv(tracks, places["csv"])
        if "cellreg" in places:
            from calcium_lightning.io.writers.tracks_cellreg import export_cellreg

            export_cellreg(tracks, fields, places["cellreg"])
    print(f"{outputs['output']}: {tracks.in_words()}")
    for key, called in {"csv": "table", "cellreg": "CellReg", "page": "page"}.items():
        if key in outputs:
            print(f"{called}: {outputs[key]}")


if __name__ == "__main__":
    main()
