"""Figures that mean something: how good localisations, cells, traces and motion are against a truth.

For: :class:`torchmetrics.Metric` classes, so that figures accumulate over batches, sessions and ranks alike,
and what each figure means (:mod:`~calcium_lightning.metrics.table`).
Must not know: models, trainings, commands.
"""
