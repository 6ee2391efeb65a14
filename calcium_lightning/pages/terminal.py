"""A comparison as a table in a terminal.

For: ``compare``, and a sweep that ends.
Must not know: how runs are made or compared.
"""

from __future__ import annotations

import sys

from calcium_lightning.comparison.compare import Comparison
from calcium_lightning.comparison.results import ResultsComparison
from calcium_lightning.pages.comparison import duration, number

RESULTS = 4  # that fit into a terminal; the CSV file has them all


def show(comparison: Comparison) -> None:
    """Print a comparison as a table on stdout, the best run first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from calcium_lightning.pages.comparison_figures import text

    metrics = comparison.metrics[:RESULTS]
    table = Table()
    for heading in ("run", *(parameter.name for parameter in comparison.parameters)):
        table.add_column(Text(heading), overflow="fold")
    for name in metrics:
        table.add_column(Text(name), justify="right")
    table.add_column("status")
    table.add_column("time", justify="right")
    for row, run in enumerate(comparison.runs):
        cells = [
            comparison.names[row],
            *(text(parameter.values[row]) for parameter in comparison.parameters),
            *(number(comparison.results[row].get(name, float("nan"))) for name in metrics),
            run.status,
            "" if run.seconds is None else duration(run.seconds),
        ]
        # Names from files may hold what rich would take for markup.
        table.add_row(*map(Text, cells), style="bold green" if row == comparison.best else None)
    # A pipe has no width: lines must not break there.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240, highlight=False).print(table)


def show_results(comparison: ResultsComparison) -> None:
    """Print several programs' cells of one recording as two tables on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from calcium_lightning.pages.results import headings, pairs, row

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240, highlight=False)
    results, shared = Table(), Table()
    for name, _ in headings(comparison):
        results.add_column(name, overflow="fold")
    for index in range(len(comparison.results)):
        results.add_row(*map(Text, row(comparison, index)))
    for name in ("first", "second", "in both", "distance px", "trace r"):
        shared.add_column(name, overflow="fold")
    for pair in pairs(comparison):
        shared.add_row(*(Text(str(value)) for value in pair))
    console.print(results)
    console.print(shared)
