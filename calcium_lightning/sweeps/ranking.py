"""What a finished sweep ends with: its runs, the best first, and the command that shows more of them.

Knows what comparisons are; knows nothing of how jobs are run.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.jobs import Result


def tell_ranking(command: str, folder: Path, results: Sequence[Result]) -> None:
    """Print the ranking of a sweep of trainings, if any of them has a result.

    Parameters
    ----------
    command : str
        What the jobs ran.
    folder : Path
        The sweep's.
    results : sequence of Result
        What came of the jobs.
    """
    if command != "train" or not any(isinstance(result.value, int | float) for result in results):
        return
    from calcium_lightning.comparison.compare import compare_runs
    from calcium_lightning.comparison.runs import read_runs
    from calcium_lightning.pages.terminal import show

    try:
        comparison = compare_runs(read_runs([folder]))
    except InputError:  # jobs that left nothing to compare; what failed is told besides
        return
    show(comparison)
    if comparison.caution:
        print(comparison.caution)
    place = os.path.relpath(folder)
    line = ["python", "-m", "calcium_lightning.compare", f"runs={place}", f"output={place}/comparison.html"]
    print(f"as a page:\n  {shlex.join(line)}")
