"""``python -m calcium_lightning.extract``: cells of sessions."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from calcium_lightning.command.batch import NOTES, Row, run_batch
from calcium_lightning.command.callable_module import call_as
from calcium_lightning.command.inputs import Input, find_inputs, one_path, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import expect, positive
from calcium_lightning.sweeps.plugins import register

call_as(__name__, "calcium_lightning.pipeline", "extract")


@entry_point("extract", plugins=register)
def main(cfg: DictConfig) -> None:
    """Find the cells of one or many sessions: footprints, traces, activity, quality.

    python -m calcium_lightning.extract session=FILE.h5 output=CELLS.h5

    The one setting that matters is cell_diameter=, the full width at half maximum of a typical cell in pixels
    (or cell_diameter_um=); without it, it is estimated from the session. fdr= says which share of the
    accepted cells may be false; how many are is estimated from the recording upside down. curated= takes
    cells files that a person has curated: the score learns from these decisions.

    With a checkpoint of model=published, the cells are the pixels that held one of its coordinates. With
    preprocess=published, the recording goes through the published chain first; what comes out of it is kept
    beside the output, and the cells are in its pixels.
    """
    fps = None if cfg.fps is None else positive("fps", cfg.fps)
    pixel_size_um = None if cfg.pixel_size_um is None else positive("pixel_size_um", cfg.pixel_size_um)

    from calcium_lightning.core.atomic import check_output, steady
    from calcium_lightning.io.curation_file import check_undecided
    from calcium_lightning.io.kind import may_be_cells, may_be_session
    from calcium_lightning.io.linked import files_beside
    from calcium_lightning.io.origin import is_current, noted_config
    from calcium_lightning.io.session import Session, ingest_first
    from calcium_lightning.loggers.extraction import check_logger, log_extraction, plain_settings

    logged = check_logger(cfg.logger)
    curated = (
        [] if cfg.curated is None else [i.path for i in find_inputs("curated", cfg.curated, may_be_cells)]
    )
    read = [one_path(key, cfg[key]) for key in ("checkpoint", "field") if cfg[key] is not None] + curated
    inputs = find_inputs("session", cfg.session, may_be_session, otherwise=ingest_first)
    named = len(inputs) == 1 and not inputs[0].found and cfg.output is not None
    jobs = list(zip(inputs, output_paths(inputs, cfg.output, ".h5" if named else ".cells.h5"), strict=True))

    def look(job: tuple[Input, Path]) -> None:
        source, output = job
        Session(source.path).close()
        if cfg.overwrite or not output.is_file() or not is_current(output, source.path, cfg, read):
            check_output(output, cfg.overwrite)
            check_undecided(output)

    if len(jobs) == 1:  # told at once, before Torch is loaded
        look(jobs[0])

    import torch
    from hydra.utils import instantiate

    from calcium_lightning.core.device import choose_device
    from calcium_lightning.core.motion_summary import MotionSummary
    from calcium_lightning.io.cells_file import count_cells, write_cells
    from calcium_lightning.io.mask import read_mask
    from calcium_lightning.localize.detectors.base import WindowDetector, ready
    from calcium_lightning.localize.finder import LocalizeSettings
    from calcium_lightning.localize.lab import LabScore
    from calcium_lightning.pipeline import extract_streamed
    from calcium_lightning.preprocess.chain import SessionChain
    from calcium_lightning.preprocess.prepare import PreprocessSettings

    device = choose_device(cfg.device)
    detector = ready(instantiate(cfg.detector, _convert_="all"), device)
    mask = None if cfg.field is None else read_mask(one_path("field", cfg.field))
    chain = instantiate(cfg.preprocess)
    preprocess = (
        None
        if isinstance(chain, SessionChain)
        else expect("preprocess", chain, PreprocessSettings, "preprocess=default or =published")
    )
    localize = expect("localize", instantiate(cfg.localize), LocalizeSettings, "localize=default")
    if cfg.curated is not None:
        lab = LabScore.read(curated)
        localize = replace(localize, lab=lab)
        print(f"score: {lab.in_words()}")

    def log(output: Path) -> None:
        if logged:
            checkpoint = None if cfg.checkpoint is None else one_path("checkpoint", cfg.checkpoint)
            log_extraction(cfg.logger, output, checkpoint, plain_settings(cfg))

    def work(job: tuple[Input, Path]) -> Row:
        source, output = job
        if not cfg.overwrite and is_current(output, source.path, cfg, read):
            print(
                f"{output}: there already, of this session with these settings; overwrite=true makes it anew"
            )
            accepted, found = count_cells(output)
            return {"cells": f"{accepted} of {found}", NOTES: "there already"}
        torch.manual_seed(cfg.seed)
        common: dict[str, Any] = {
            "fps": fps,
            "pixel_size_um": pixel_size_um,
            "config": noted_config(cfg, source.path, read),
        }
        with ExitStack() as stack:
            stack.enter_context(steady([source.path, *files_beside(source.path, "frames"), *read]))
            session = stack.enter_context(Session(source.path))
            if isinstance(chain, SessionChain):
                session = stack.enter_context(chain.write_session(session, output, cfg.overwrite))
            if isinstance(detector, WindowDetector):
                extraction = stack.enter_context(
                    extract_streamed(
                        session,
                        cell_diameter=cfg.cell_diameter,
                        cell_diameter_um=cfg.cell_diameter_um,
                        detector=detector,
                        preprocess=preprocess,
                        localize=localize,
                        field=mask,
                        bridge_bad_frames=cfg.bridge_bad_frames,
                        device=device,
                        **common,
                    )
                )
                write_cells(output, extraction.cells, cfg.overwrite)
                print(f"{output}: {extraction}")
                log(output)
                cells = extraction.cells
                return {
                    "cells": f"{int(cells.accepted.sum())} of {len(cells)}",
                    "false, about": ""
                    if cells.false_discovery is None
                    else f"{cells.false_discovery.expected_false:.1f}",
                    "motion": f"{MotionSummary.of(cells).removed:.2f} px",
                    NOTES: "; ".join(cells.notes),
                }
            found_cells = detector.find_cells(session, **common)
            write_cells(output, found_cells, cfg.overwrite)
            print(f"{output}: {detector.summary(found_cells)}")
            log(output)
            return {"cells": str(len(found_cells))}

    run_batch(
        "extract",
        [(str(source.stem), (source, output)) for source, output in jobs],
        work,
        look=look if len(jobs) > 1 else None,
    )


if __name__ == "__main__":
    main()
