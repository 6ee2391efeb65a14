"""``python -m calcium_lightning.compare``: runs side by side, as a table, a CSV file and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from calcium_lightning.command.inputs import Input, as_paths, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.plain import plain_cell

if TYPE_CHECKING:
    from calcium_lightning.comparison.compare import Comparison


def write_results(
    comparison: Comparison, page: Path, table: Path, title: str = "", *, overwrite: bool = False
) -> None:
    """Write a comparison as one HTML page, everything inside it, and as a CSV file: both or none.

    Columns of the table, the best run first: ``run``, ``folder``, ``status``, ``seconds``, then the settings
    that differ, the results, and ``error``.

    Raises
    ------
    InputError
        If one of the files exists.
    """
    from calcium_lightning.core.atomic import atomic_path, check_output
    from calcium_lightning.pages.comparison import render

    for target in (page, table):
        check_output(target, overwrite)
    text = render(comparison, title or page.stem)
    with atomic_path(page, overwrite) as page_now, atomic_path(table, overwrite) as table_now:
        page_now.write_text(text, encoding="utf-8")
        _write_csv(comparison, table_now)


def _write_csv(comparison: Comparison, output: Path) -> None:
    import csv

    metrics = comparison.metrics
    settings = [parameter.name for parameter in comparison.parameters]
    with output.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["run", "folder", "status", "seconds", *settings, *metrics, "error"])
        for row, run in enumerate(comparison.runs):
            values = [parameter.values[row] for parameter in comparison.parameters]
            results = [comparison.results[row].get(name) for name in metrics]
            about = [comparison.names[row], run.folder, run.status, run.seconds]
            writer.writerow(map(plain_cell, [*about, *values, *results, run.error]))


@entry_point("compare")
def main(cfg: DictConfig) -> None:
    """Compare the runs of a sweep: which settings differ, what came out, which run is the best.

    python -m calcium_lightning.compare runs=multirun/train/2026-01-31_12-00-00 output=sweep.html

    Prints a table, and writes it as CSV and as one page that needs no network: parameters against results,
    learning curves, pictures, and the command that repeats the best run. A glob needs quotes:
    'runs=multirun/train/*'. Runs of extract are compared by the metrics.json that evaluate has written into
    their folders.
    """
    from calcium_lightning.comparison.compare import command_of, compare_runs
    from calcium_lightning.comparison.runs import files_of, read_runs
    from calcium_lightning.core.atomic import check_output, guard
    from calcium_lightning.pages.terminal import show

    places = as_paths(cfg.runs)
    runs = read_runs(places)
    guard(file for run in runs for file in files_of(run))
    page: Any = output_paths([Input.named(Path("comparison"))], cfg.output, ".html")[0]
    table = page.with_suffix(".csv") if cfg.table is None else as_paths(cfg.table)[0]
    for target in (page, table):
        check_output(target, cfg.overwrite)
    comparison = compare_runs(runs, cfg.metric, cfg.mode)
    show(comparison)
    if comparison.metric is not None and comparison.metric.meaning:
        print(f"{comparison.metric.name}: {comparison.metric.meaning}")
    if comparison.caution:
        print(comparison.caution)
    if comparison.best is not None:
        print(f"the best, {comparison.names[comparison.best]}, again:")
        print(f"  {command_of(comparison.runs[comparison.best])}")
    title = ", ".join(path.name or str(path) for path in places)
    write_results(comparison, page, table, title, overwrite=cfg.overwrite)
    print(f"table: {table}\npage: {page}")


if __name__ == "__main__":
    main()
