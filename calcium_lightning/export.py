"""Cells to other people's formats; which one, the output's ending or ``format=`` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command.batch import Row, run_batch
from calcium_lightning.command.inputs import as_paths, find_inputs, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.plugins import register


def export(
    source: Path,
    target: Path,
    format: str | None = None,
    *,
    rejected: bool = False,
    overwrite: bool = False,
    nwb: Mapping[str, Any] | None = None,
    tracks: Path | None = None,
    behavior: Sequence[Path] = (),
    session: Path | None = None,
    outlines: bool = False,
) -> None:
    """Write a cells file in another format.

    Parameters
    ----------
    source : Path
        The cells file.
    target : Path
        The file or folder to make.
    format : str, optional
        A row of :mod:`calcium_lightning.io.writers.table`; default: by the target's ending.
    rejected : bool
        Write the cells that failed the quality tests too, marked as such.
    overwrite : bool
        Replace an existing target.
    nwb : mapping, optional
        Fields of :class:`calcium_lightning.io.writers.nwb.NwbSettings`.
    tracks : Path, optional
        A tracks file that has these cells: adds ``track`` and ``track_probability`` of each.
    behavior : sequence of Path
        Time stamps of behaviour cameras, or tables of events, for NWB.
    session : Path, optional
        The cells' recording, for a movie; default: where the cells file says.
    outlines : bool
        Draw the cells into an MP4.

    Raises
    ------
    InputError
        If the file can't be read, the target exists or the format is unknown.
    """
    from calcium_lightning.core.atomic import check_output
    from calcium_lightning.io.results.table import read_cells
    from calcium_lightning.io.writers.table import MOVIES, Export, chosen_cells, find_writer

    chosen = format or choose_format(target)
    check_format(chosen)
    if behavior and chosen != "nwb":
        raise InputError(f"behavior=: goes into NWB; format {chosen} has no place for it")
    if not target.is_dir():
        check_output(target, overwrite)
    if chosen in MOVIES.values():
        from calcium_lightning.io.session import Session
        from calcium_lightning.pages.movie import write_movie

        whole = read_cells(source)
        path = session or Path(whole.session)
        if not path.is_file():
            raise InputError(f"{path}: the cells' recording isn't there; session= says where it is")
        told = {"outlines": outlines, "rejected": rejected, "overwrite": overwrite}
        with Session(path) as recording:
            write_movie(whole, recording, target, chosen, **told)
        return
    if outlines or session is not None:
        raise InputError(f"session= and outlines= are for movies ({', '.join(MOVIES)}), not for {chosen}")
    cells = read_cells(source)
    if tracks is not None:
        from calcium_lightning.io.tracks_file import with_tracks

        cells = with_tracks(cells, source, tracks)
    cells, rows = chosen_cells(cells, rejected)
    writer = find_writer(chosen)
    if target.is_dir() and not writer.folder:
        raise InputError(f"{target}: is a folder; an export of format {chosen} is a file")
    settings = (nwb or {}) if chosen == "nwb" else {}
    writer.write(cells, target, Export(source, rows, overwrite, settings, tuple(behavior)))


def choose_format(target: Path) -> str:
    """The format that a target's ending tells; CSV for folders.

    Raises
    ------
    InputError
        For an unknown ending.
    """
    from calcium_lightning.io.writers.table import MOVIES, choose_writer

    ending = target.suffix.lower()
    if ending in MOVIES and (ending == ".zarr" or not target.is_dir()):
        return MOVIES[ending]
    return choose_writer(target).format


def check_format(format: str) -> None:
    """Refuse an unknown format.

    Raises
    ------
    InputError
        Naming the known ones.
    """
    from calcium_lightning.io.writers.table import MOVIES, find_writer

    if format not in MOVIES.values():
        find_writer(format)


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
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign
    from calcium_lightning.io.writers.table import MOVIES, find_writer

    settings = OmegaConf.to_container(cfg.nwb)
    assert isinstance(settings, dict)
    named = {str(key): value for key, value in settings.items()}
    inputs = find_inputs("cells", cfg.cells, may_be_cells, whole=is_foreign)
    target = None if cfg.output is None else as_paths(cfg.output)[0]
    one = len(inputs) == 1 and target is not None
    tracks = None if cfg.tracks is None else as_paths(cfg.tracks)[0]
    chosen = cfg.format or (choose_format(target) if one and target is not None else "nwb")
    if chosen in MOVIES.values():
        suffix, folder = next(end for end, name in MOVIES.items() if name == chosen), chosen == "zarr"
    else:
        writer = find_writer(chosen)
        suffix, folder = f"_{chosen}" if writer.folder else writer.ending, writer.folder
    if one and target is not None and (folder or not target.is_dir()):
        targets = [target]
    else:
        targets = output_paths(inputs, cfg.output, suffix)
    behavior = [] if cfg.behavior is None else as_paths(cfg.behavior)
    session = None if cfg.session is None else as_paths(cfg.session)[0]
    if (behavior or session) and len(inputs) > 1:
        raise InputError("behavior= and session= are of one recording; export the cells files one by one")

    def work(job: tuple[Path, Path]) -> Row:
        with steady([job[0], *behavior]):
            export(
                *job,
                chosen,
                rejected=cfg.rejected,
                overwrite=cfg.overwrite,
                nwb=named,
                tracks=tracks,
                behavior=behavior,
                session=session,
                outlines=cfg.outlines,
            )
        print(job[1])
        return {"file": str(job[1])}

    jobs = [(str(item.stem), (item.path, target)) for item, target in zip(inputs, targets, strict=True)]
    run_batch("export", jobs, work, unit="cells files")


if __name__ == "__main__":
    main()
