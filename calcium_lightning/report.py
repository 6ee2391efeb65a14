"""One self-contained page about a cells file."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from calcium_lightning.command.batch import Row, run_batch
from calcium_lightning.command.inputs import as_paths, find_inputs, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.sweeps.plugins import register


@entry_point("report", plugins=register)
def main(cfg: DictConfig) -> None:
    """Show cells on one page that needs no network.

    The field of view with its cells, footprints, the most and the least certain traces, qualities, motion and
    localisations; figures against the truth with metrics=.
    """
    from calcium_lightning.core.atomic import steady
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign
    from calcium_lightning.pages.report import write_report

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
