"""``python -m calcium_lightning.extract``: cells of sessions."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from calcium_lightning.command.start import as_paths, entry_point, output_paths
from calcium_lightning.core.errors import positive


@entry_point("extract")
def main(cfg: DictConfig) -> None:
    """Find the cells of one or many sessions: footprints, traces, activity, quality.

    python -m calcium_lightning.extract session=FILE.h5 output=CELLS.h5

    The one setting that matters is cell_diameter=, the full width at half maximum of a typical cell in pixels
    (or cell_diameter_um=); without it, it is estimated from the session.

    With a checkpoint of model=published, the cells are the pixels that held one of its coordinates. With
    preprocess=published, the recording goes through the published chain first; what comes out of it is kept
    beside the output, and the cells are in its pixels.
    """
    paths = as_paths(cfg.session)
    outputs = output_paths(
        paths, cfg.output, ".cells.h5" if len(paths) > 1 else ".h5" if cfg.output else ".cells.h5"
    )
    fps = None if cfg.fps is None else positive("fps", cfg.fps)
    pixel_size_um = None if cfg.pixel_size_um is None else positive("pixel_size_um", cfg.pixel_size_um)

    import torch
    from hydra.utils import instantiate

    from calcium_lightning.core.atomic import check_output
    from calcium_lightning.core.device import choose_device
    from calcium_lightning.core.motion_summary import Moved
    from calcium_lightning.io.cells_file import write_cells
    from calcium_lightning.io.origin import is_made, told
    from calcium_lightning.io.session import Session
    from calcium_lightning.localize.detectors.load import WindowDetector, check_name, load_detector
    from calcium_lightning.pipeline import streamed_cells
    from calcium_lightning.preprocess.defects import RepairedSession
    from calcium_lightning.preprocess.diameter import cell_diameter_of, check_diameter, guess_diameter
    from calcium_lightning.replications.teng2021.extract import coordinate_cells
    from calcium_lightning.replications.teng2021.preprocessing import PublishedChain
    from calcium_lightning.replications.teng2021.session import preprocess_session

    check_name(cfg.detector)
    sessions = [Session(path) for path in paths]
    device = choose_device(cfg.device)
    detector = load_detector(cfg.detector, cfg.checkpoint, device)
    made = [
        not cfg.overwrite and is_made(output, path, cfg) for output, path in zip(outputs, paths, strict=True)
    ]
    for output, there in zip(outputs, made, strict=True):
        if not there:
            check_output(output, cfg.overwrite)
    chain, localize = instantiate(cfg.preprocess), instantiate(cfg.localize)
    preprocess = None if isinstance(chain, PublishedChain) else chain
    for session, output, there in zip(sessions, outputs, made, strict=True):
        if there:
            print(
                f"{output}: there already, of this session with these settings; overwrite=true makes it anew"
            )
            session.close()
            continue
        torch.manual_seed(cfg.seed)
        common: dict[str, Any] = {
            "fps": fps,
            "pixel_size_um": pixel_size_um,
            "config": told(cfg, session.path),
        }
        if isinstance(chain, PublishedChain):
            session = preprocess_session(session, output, chain, cfg.overwrite)
        if isinstance(detector, WindowDetector):
            defects = ""
            if preprocess is not None and preprocess.repair_defects:
                session = RepairedSession.of(session)  # before anything looks at a frame
                defects = f", {session.defects}" if str(session.defects) else ""
            guess = None
            if cfg.cell_diameter is None and cfg.cell_diameter_um is None:
                guess = guess_diameter(session)
                diameter = guess.diameter
            else:
                diameter = cell_diameter_of(session, cfg.cell_diameter, cfg.cell_diameter_um, pixel_size_um)
            how: dict[str, Any] = {"preprocess": preprocess, "settings": localize, "device": device, **common}
            with streamed_cells(session, detector.detector, detector.window, diameter, **how) as cells:
                write_cells(output, cells, cfg.overwrite)
            motion = "" if cells.nonrigid is None else f", {Moved.of(cells)}"
            print(
                f"{output}: {int(cells.accepted.sum())} cells accepted of {len(cells)} found, "
                f"{cells.n_frames} frames, cell diameter {diameter:.1f} px"
                f"{f' ({guess})' if guess else ''}{motion}{defects}"
            )
            advice = check_diameter(cells.quality["width"][cells.accepted], diameter)
            if advice:
                print(f"{output}: {advice}")
        else:
            found = coordinate_cells(session, detector, **common)
            write_cells(output, found, cfg.overwrite)
            print(f"{output}: {len(found)} pixels held a coordinate, {found.n_frames} frames")
        session.close()


if __name__ == "__main__":
    main()
