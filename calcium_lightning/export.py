"""``python -m calcium_lightning.export``: cells, and the corrected movie, in other people's formats."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command.batch import Row, run_batch
from calcium_lightning.command.callable_module import call_as
from calcium_lightning.command.inputs import as_paths, find_inputs, names_folder, one_path, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.plugins import register

call_as(__name__, "calcium_lightning.exports", "export")


@entry_point("export", plugins=register)
def main(cfg: DictConfig) -> None:
    """Write cells for other programs: the accepted ones, or all with rejected=true.

    The output's ending says the format: .nwb, .csv or .parquet (the table of cells; a folder holds those of
    events, traces, denoised, spikes, dff and shifts too), .mat (MATLAB), .hdf5 (CaImAn), .nc (netCDF), .zip
    (ImageJ's ROIs), .mp4, .tif and .zarr (the motion-corrected movie, outlines=true draws the cells into an
    MP4); or format=: nwb, csv, parquet, mat, suite2p, caiman, minian, cellreg, netcdf, imagej, napari. A cell
    keeps its number, its row in the cells file, everywhere. With several cells files the output is a folder.
    tracks= adds to each cell the track that it is in, the same number in every session. behavior= takes a
    camera's time stamps, or a table of events, into NWB. Archives such as DANDI want the animal too:
    nwb.subject_id=, .species=, .sex=, .age=.
    """
    from calcium_lightning.core.atomic import steady
    from calcium_lightning.exports import export, writer_of
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign

    settings = OmegaConf.to_container(cfg.nwb)
    assert isinstance(settings, dict)
    inputs = find_inputs("cells", cfg.cells, may_be_cells, whole=is_foreign)
    target, tracks, session = (
        None if cfg[key] is None else one_path(key, cfg[key]) for key in ("output", "tracks", "session")
    )
    one = target if len(inputs) == 1 else None
    writer = writer_of(one, cfg.format)
    if one is not None and (writer.folder or not names_folder(cfg.output)):
        targets = [one]
    else:
        targets = output_paths(inputs, cfg.output, writer.suffix)
    behavior = [] if cfg.behavior is None else as_paths(cfg.behavior)
    if (behavior or session) and len(inputs) > 1:
        raise InputError("behavior= and session= are of one recording; export the cells files one by one")

    def work(job: tuple[Path, Path]) -> Row:
        with steady([job[0], *behavior]):
            notes = export(
                *job,
                writer.format,
                rejected=cfg.rejected,
                overwrite=cfg.overwrite,
                nwb={str(key): value for key, value in settings.items()},
                tracks=tracks,
                behavior=behavior,
                session=session,
                outlines=cfg.outlines,
                fps=cfg.fps,
                pixel_size_um=cfg.pixel_size_um,
            )
        print(job[1])
        for line in notes:
            print(line, file=sys.stderr)
        return {"file": str(job[1])}

    jobs = [(str(item.stem), (item.path, target)) for item, target in zip(inputs, targets, strict=True)]
    run_batch("export", jobs, work, unit="cells files")


if __name__ == "__main__":
    main()
