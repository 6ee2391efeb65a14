"""Every combination of values, as Hydra's basic sweeper makes them; jobs that fail don't stop the others."""

from __future__ import annotations

from typing import Any

from calcium_lightning.sweeps.base import SweeperBase
from calcium_lightning.sweeps.jobs import Result, command_of, tell_failures
from calcium_lightning.sweeps.ranking import tell_ranking


class GridSweeper(SweeperBase):
    """Hydra's grid, with an account of the failures at its end.

    Parameters
    ----------
    max_batch_size : int, optional
        Launch no more jobs than so many together.
    params : dict, optional
        Sweeping overrides by key.
    """

    def __init__(self, max_batch_size: int | None = None, params: dict[str, Any] | None = None) -> None:
        super().__init__(params)
        self.max_batch_size = max_batch_size

    def sweep(self, arguments: list[str]) -> list[Result]:
        """Run all jobs.

        Raises
        ------
        BatchFailed
            At the end, if some failed.
        """
        # Not at the top: Hydra runs this module anew when it looks for plugins.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        batches = BasicSweeper.split_arguments(self.parse(arguments), self.max_batch_size)
        self.begin()
        results: list[Result] = []
        for batch in batches:
            results += self.run(batch, sum(result.folder is not None for result in results))
        tell_ranking(command_of(self.composed), self.folder, results)
        tell_failures(results)
        return results
