"""Cells to other people's formats; which one, the output's ending or ``format=`` says."""

from __future__ import annotations

from collections.abc import Mapping
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

    Raises
    ------
    InputError
        If the file can't be read, the target exists or the format is unknown.
    """
    from calcium_lightning.core.atomic import check_output
    from calcium_lightning.io.cells_file import read_cells
    from calcium_lightning.io.writers.table import Export, chosen_cells, find_writer

    chosen = format or choose_format(target)
    check_format(chosen)
    if not target.is_dir():
        check_output(target, overwrite)
    cells, rows = chosen_cells(read_cells(source), rejected)
    writer = find_writer(chosen)
    if target.is_dir() and not writer.folder:
        raise InputError(f"{target}: is a folder; an export of format {chosen} is a file")
    settings = (nwb or {}) if chosen == "nwb" else {}
    writer.write(cells, target, Export(source, rows, overwrite, settings))


def choose_format(target: Path) -> str:
    """The format that a target's ending tells; CSV for folders.

    Raises
    ------
    InputError
        For an unknown ending.
    """
    from calcium_lightning.io.writers.table import choose_writer

    return choose_writer(target).format


def check_format(format: str) -> None:
    """Refuse an unknown format.

    Raises
    ------
    InputError
        Naming the known ones.
    """
    from calcium_lightning.io.writers.table import find_writer

    find_writer(format)


@entry_point("export", plugins=register)
def main(cfg: DictConfig) -> None:
    """Write cells for other programs: the accepted ones, or all with rejected=true.

    The output's ending says the format: .nwb, .csv or .parquet (the table of cells; a folder holds those of
    events, traces, denoised, spikes, dff and shifts too), .mat (MATLAB), .hdf5 (CaImAn), .nc (netCDF), .zip
    (ImageJ's ROIs); or format=: nwb, csv, parquet, mat, suite2p, caiman, minian, cellreg, netcdf, imagej. A
    cell keeps its number, its row in the cells file, everywhere. With several cells files the output is a
    folder. Archives such as DANDI want the animal too: nwb.subject_id=, .species=, .sex=, .age=.
    """
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.writers.table import find_writer

    settings = OmegaConf.to_container(cfg.nwb)
    assert isinstance(settings, dict)
    named = {str(key): value for key, value in settings.items()}
    inputs = find_inputs("cells", cfg.cells, may_be_cells)
    target = None if cfg.output is None else as_paths(cfg.output)[0]
    one = len(inputs) == 1 and target is not None
    chosen = cfg.format or (choose_format(target) if one and target is not None else "nwb")
    writer = find_writer(chosen)
    if one and target is not None and (writer.folder or not target.is_dir()):
        targets = [target]
    else:
        targets = output_paths(inputs, cfg.output, f"_{chosen}" if writer.folder else writer.ending)

    def work(job: tuple[Path, Path]) -> Row:
        export(*job, chosen, rejected=cfg.rejected, overwrite=cfg.overwrite, nwb=named)
        print(job[1])
        return {"file": str(job[1])}

    jobs = [(str(item.stem), (item.path, target)) for item, target in zip(inputs, targets, strict=True)]
    run_batch("export", jobs, work, unit="cells files")


if __name__ == "__main__":
    main()
