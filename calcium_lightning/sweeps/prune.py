"""Give up a run that its search finds hopeless."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from calcium_lightning.core.errors import Pruned
from calcium_lightning.sweeps.pruning import Reporter, TrialAddress


class Prune(Callback):
    """Report a metric to the search after each validation, and end the run if that says so.

    Does nothing in a run that is no trial of a search (``sweep=optuna``). The first process asks, all end.

    Parameters
    ----------
    monitor : str
        The metric: what the search optimises.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self._address = TrialAddress.of_this_job()
        self._reporter: Reporter | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report, and perhaps end.

        Raises
        ------
        Pruned
            In all processes, after the same validation.
        """
        if self._address is None or trainer.sanity_checking:
            return
        hopeless = trainer.is_global_zero and self._hopeless(self._address, trainer)
        last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs > 0
        if trainer.strategy.broadcast(hopeless) and not last:  # nothing is saved by giving up at the end
            raise Pruned(f"{self.monitor} is hopeless after {trainer.current_epoch + 1} epochs")

    def _hopeless(self, address: TrialAddress, trainer: Trainer) -> bool:
        value: Any = trainer.callback_metrics.get(self.monitor)
        if value is None:
            return False
        if self._reporter is None:
            self._reporter = address.connect()
        return self._reporter.hopeless(float(value), trainer.current_epoch)
