"""Cells against truth: a table, and the figures as JSON.

The figures themselves are :func:`calcium_lightning.metrics.evaluation.evaluate`'s.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command.callable_module import call_as
from calcium_lightning.command.failures import EXIT_INPUT, BatchFailed
from calcium_lightning.command.inputs import as_paths, find_inputs, one_file
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.metrics.table import CELLS
from calcium_lightning.sweeps.plugins import register

call_as(__name__, "calcium_lightning.metrics.evaluation", "evaluate")


@entry_point("evaluate", plugins=register)
def main(cfg: DictConfig) -> None:
    """Compare cells with a simulated session's truth or with an annotator's mask.

    The truth is a session file with /truth, or a mask (.npy, its own resolution, non-zero inside some cell).
    Centres within radius= pixels match one to one after the best global offset. r is Pearson's of the
    denoised trace with the true calcium; "both" is the F1 of cells that are found with r > 0.8.
    """
    import json

    from calcium_lightning.core.atomic import atomic_path, check_output
    from calcium_lightning.core.plain import without_nan
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign
    from calcium_lightning.metrics.evaluation import evaluate

    cells = [item.path for item in find_inputs("cells", cfg.cells, may_be_cells, whole=is_foreign)]
    output = None if cfg.output is None else one_file("output", cfg.output)
    if output is not None:
        check_output(output, cfg.overwrite)
    failures: dict[str, str] = {}

    def failed(name: str, error: InputError) -> None:
        print(f"error: {error}", file=sys.stderr, flush=True)
        failures[name] = str(error)

    result = evaluate(
        cells,
        as_paths(cfg.truth),
        None if cfg.unknown is None else as_paths(cfg.unknown),
        count_rejected=cfg.all,
        radius=cfg.radius,
        failed=failed if len(cells) > 1 else None,
    )
    if result["recordings"]:
        show(result)
    if output is not None and result["recordings"]:
        with atomic_path(output, cfg.overwrite) as temporary:
            told = {**result, "failed": failures, "config": OmegaConf.to_container(cfg, resolve=True)}
            temporary.write_text(json.dumps(without_nan(told), indent=2, allow_nan=False) + "\n")
        print(f"figures: {output}")
    if failures:
        names = ", ".join(Path(name).stem for name in failures)
        raise BatchFailed(f"{len(failures)} of {len(cells)} cells files failed: {names}", EXIT_INPUT)


#: title -> figures
TABLES = {
    "cells": (
        "cells",
        "true_cells",
        "precision",
        "recall",
        "f1",
        "center_error",
        "correlation",
        "both",
    ),
    "recall by place, motion": (
        "recall_inner",
        "recall_border",
        "recall_dim",
        "recall_bright",
        "motion_rmse_y",
        "motion_rmse_x",
    ),
    "annotator's mask": (
        "mask_cells",
        "mask_precision",
        "mask_chance",
        "mask_kappa",
        "mask_parts_hit",
        "mask_parts",
    ),
}


def show(result: dict[str, Any]) -> None:
    """Print the figures of :func:`evaluate` as tables on stdout."""
    from rich.console import Console
    from rich.table import Table

    from calcium_lightning.metrics.own import own_figures

    # a pipe has no width: lines must not break there
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
    rows = [(Path(item["cells"]).stem, item["figures"]) for item in result["recordings"]]
    if len(rows) > 1:
        rows.append(("together", result["together"]))
    known = {**CELLS, **own_figures()}
    for title, names in {**TABLES, "of one's own": tuple(own_figures())}.items():
        measured = [known[name] for name in names if any(name in figures for _, figures in rows)]
        if not measured:
            continue
        table = Table(title=title, title_justify="left")
        table.add_column("recording")
        for figure in measured:
            table.add_column(figure.title, justify="right")
        for name, figures in rows:
            shown = (
                figure.text(figures[figure.name]) if figure.name in figures else "" for figure in measured
            )
            table.add_row(_plain(name), *shown)
        console.print(table)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)  # a file's name may hold what rich would take for markup


if __name__ == "__main__":
    main()
