"""One self-contained page about a cells file."""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig

from calcium_lightning.command.batch import Row, run_batch
from calcium_lightning.command.inputs import find_inputs, one_path, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.plugins import register


@entry_point("report", plugins=register)
def main(cfg: DictConfig) -> None:
    """Show cells on one page that needs no network.

    The field of view with its cells, footprints, the most and the least certain traces, qualities, motion and
    localisations; figures against the truth with metrics=. Several cells files have a page each, and one of
    them all, index.html.
    """
    from calcium_lightning.core.atomic import check_output, steady
    from calcium_lightning.io.kind import may_be_cells
    from calcium_lightning.io.results.table import is_foreign
    from calcium_lightning.pages.batch import INDEX, Entry, write_batch
    from calcium_lightning.pages.report import write_report

    inputs = find_inputs("cells", cfg.cells, may_be_cells, whole=is_foreign)
    metrics = None if cfg.metrics is None else one_path("metrics", cfg.metrics)
    targets = output_paths(inputs, cfg.output, ".html")
    index = Path(os.path.commonpath([target.absolute().parent for target in targets])) / INDEX
    several, entries = len(inputs) > 1, dict[str, Entry]()
    if several:
        if index in [target.absolute() for target in targets]:
            raise InputError(f"{index}: the page of them all; call the cells file of this name otherwise")
        check_output(index, cfg.overwrite)

    def work(job: tuple[str, Path, Path]) -> Row:
        name, source, target = job
        with steady([source, *([] if metrics is None else [metrics])]):
            cells = write_report(source, target, metrics, overwrite=cfg.overwrite)
        if several:
            entries[name] = Entry.of(cells, name, target.absolute(), index.parent)
        print(f"report: {target}")
        return {"page": str(target)}

    names = [str(item.stem) for item in inputs]
    jobs = [
        (name, (name, item.path, target)) for name, item, target in zip(names, inputs, targets, strict=True)
    ]
    try:
        run_batch("report", jobs, work, unit="cells files")
    finally:
        if entries:
            missing = [name for name in names if name not in entries]
            write_batch(list(entries.values()), index, missing, overwrite=cfg.overwrite)
            print(f"all of them: {os.path.relpath(index)}")


if __name__ == "__main__":
    main()
