"""One self-contained page about a cells file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from calcium_lightning.command.batch import Row, run_batch
from calcium_lightning.command.inputs import as_paths, find_inputs, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.plugins import register


def write_report(cells: Path, output: Path, metrics: Path | None = None, *, overwrite: bool = False) -> None:
    """Write the page.

    Parameters
    ----------
    cells : Path
        The cells file.
    output : Path
        The page to make, HTML; everything is inside it.
    metrics : Path, optional
        Figures that ``evaluate`` wrote, of these cells among others.
    overwrite : bool
        Replace an existing page.

    Raises
    ------
    InputError
        If a file can't be read or the page exists.
    """
    from calcium_lightning.core.atomic import atomic_path, check_output
    from calcium_lightning.io.results.table import read_cells
    from calcium_lightning.pages.report import render

    check_output(output, overwrite)
    found = read_cells(cells)
    if not found.n_frames:
        raise InputError(f"{cells}: footprints without traces; a report needs both")
    measured = None if metrics is None else read_figures(metrics, cells)
    page = render(found, str(cells), measured)
    with atomic_path(output, overwrite) as temporary:
        temporary.write_text(page, encoding="utf-8")


def read_figures(metrics: Path, cells: Path) -> dict[str, Any]:
    """The figures of one cells file from a file that ``evaluate`` wrote.

    Raises
    ------
    InputError
        If it isn't such a file, or has several recordings and none of them is this one.
    """
    from calcium_lightning.core.plain import mapping, read_json
    from calcium_lightning.metrics.evaluation import FORMAT, VERSION

    content = read_json(metrics)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{metrics}: not the figures that evaluate output=METRICS.json writes")
    if content.get("version") != VERSION:
        version = content.get("version")
        raise InputError(f"{metrics}: version {version}, this package reads {VERSION}; evaluate again")
    given = content.get("recordings")
    recordings = [item for item in given if mapping(item, "figures")] if isinstance(given, list) else []
    same = [item for item in recordings if Path(str(item.get("cells"))).resolve() == cells.resolve()]
    if not same and len(recordings) == 1:
        same = recordings  # moved since then, or named otherwise
    if not same:
        raise InputError(f"{metrics}: has {len(recordings)} recordings, and none of them is {cells}")
    figures = mapping(same[0], "figures")
    wrong = [name for name, value in figures.items() if not isinstance(value, int | float | None)]
    if wrong:
        raise InputError(f"{metrics}: its figure {wrong[0][:80]} is no number; evaluate again")
    return figures


@entry_point("report", plugins=register)
def main(cfg: DictConfig) -> None:
    """Show cells on one page that needs no network.

    The field of view with its cells, footprints, the most and the least certain traces, qualities, motion and
    localisations; figures against the truth with metrics=.
    """
    from calcium_lightning.core.atomic import steady
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign

    inputs = find_inputs("cells", cfg.cells, may_be_cells, whole=is_foreign)
    metrics = None if cfg.metrics is None else as_paths(cfg.metrics)[0]

    def work(job: tuple[Path, Path]) -> Row:
        with steady([job[0], *([] if metrics is None else [metrics])]):
            write_report(*job, metrics, overwrite=cfg.overwrite)
        print(f"report: {job[1]}")
        return {"page": str(job[1])}

    targets = output_paths(inputs, cfg.output, ".html")
    jobs = [(str(item.stem), (item.path, target)) for item, target in zip(inputs, targets, strict=True)]
    run_batch("report", jobs, work, unit="cells files")


if __name__ == "__main__":
    main()
