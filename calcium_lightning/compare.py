"""``python -m calcium_lightning.compare``: runs, or results, side by side: a table, a CSV file and a page."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from calcium_lightning.command.inputs import Input, as_paths, find_inputs, one_path, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError


@entry_point("compare")
def main(cfg: DictConfig) -> None:
    """Compare the runs of a sweep: which settings differ, what came out, which run is the best.

    python -m calcium_lightning.compare runs=multirun/train/2026-01-31_12-00-00 output=sweep.html

    Prints a table, and writes it as CSV and as one page that needs no network: parameters against results,
    learning curves, pictures, and the command that repeats the best run. A glob needs quotes:
    'runs=multirun/train/*'. Runs of extract are compared by the metrics.json that evaluate has written into
    their folders. With cells= in place of runs=: what several programs found in one recording, ours and
    CaImAn's, Suite2p's, Minian's ..., who has which cells, and how good they are where truth= is known.
    """
    if (cfg.runs is None) == (cfg.cells is None):
        raise InputError("runs= or cells=: one of them; a sweep's folder, or results of one recording")
    if cfg.cells is None and cfg.truth is not None:
        raise InputError("truth=: goes with cells=; runs= are compared by what evaluate has measured")
    page: Path = output_paths([Input.named(Path("comparison"))], cfg.output, ".html")[0]
    table = page.with_suffix(".csv") if cfg.table is None else one_path("table", cfg.table)
    (_compare_runs if cfg.cells is None else _compare_cells)(cfg, page, table)
    print(f"table: {table}\npage: {page}")


def _compare_cells(cfg: DictConfig, page: Path, table: Path) -> None:
    from calcium_lightning.comparison.results import compare_results
    from calcium_lightning.core.outputs import check_outputs
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign
    from calcium_lightning.pages.results import write
    from calcium_lightning.pages.terminal import show_results

    cells = [item.path for item in find_inputs("cells", cfg.cells, may_be_cells, whole=is_foreign)]
    truth = None if cfg.truth is None else one_path("truth", cfg.truth)
    check_outputs({"output": page, "table": table}, cfg.overwrite)
    comparison = compare_results(cells, truth, radius=cfg.radius)
    show_results(comparison)
    write(comparison, page, table, page.stem, overwrite=cfg.overwrite)


def _compare_runs(cfg: DictConfig, page: Path, table: Path) -> None:
    from calcium_lightning.comparison.compare import command_of, compare_runs
    from calcium_lightning.comparison.runs import files_of, read_runs
    from calcium_lightning.core.atomic import guard
    from calcium_lightning.core.outputs import check_outputs
    from calcium_lightning.pages.comparison import write
    from calcium_lightning.pages.terminal import show

    places = as_paths(cfg.runs)
    runs = read_runs(places)
    guard(file for run in runs for file in files_of(run))
    check_outputs({"output": page, "table": table}, cfg.overwrite)
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
    write(comparison, page, table, title, overwrite=cfg.overwrite)


if __name__ == "__main__":
    main()
