"""``python -m calcium_lightning.extract``: cells of sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.cli import as_paths, entry_point, output_paths
from calcium_lightning.errors import InputError, nearest, positive


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
    if cfg.detector not in (choices := ("network", "bandpass")):
        raise InputError(f"detector={cfg.detector}: {' or '.join(choices)}{nearest(cfg.detector, choices)}")
    fps = None if cfg.fps is None else positive("fps", cfg.fps)
    pixel_size_um = None if cfg.pixel_size_um is None else positive("pixel_size_um", cfg.pixel_size_um)

    import torch
    from hydra.utils import instantiate

    from calcium_lightning.atomic import check_output
    from calcium_lightning.cells import write_cells
    from calcium_lightning.data.windows import WindowSettings
    from calcium_lightning.device import choose_device
    from calcium_lightning.localize.bandpass import BandpassDetector
    from calcium_lightning.localize.detect import Detector
    from calcium_lightning.pipeline import streamed_cells
    from calcium_lightning.preprocess.diameter import cell_diameter_of
    from calcium_lightning.preprocess.published import PublishedChain
    from calcium_lightning.published.extract import coordinate_cells, is_published, load_published
    from calcium_lightning.published.session import preprocess_session
    from calcium_lightning.session import Session
    from calcium_lightning.weights import load_network

    sessions = [Session(path) for path in paths]
    made = [
        not cfg.overwrite and _is_made(output, path, cfg) for output, path in zip(outputs, paths, strict=True)
    ]
    for output, there in zip(outputs, made, strict=True):
        if not there:
            check_output(output, cfg.overwrite)
    device = choose_device(cfg.device)
    published = None
    if cfg.detector == "network" and is_published(cfg.checkpoint):
        published = load_published(cfg.checkpoint).to(device)
    elif cfg.detector == "network":
        network, window = load_network(cfg.checkpoint)
        detector: Detector = network.to(device)
    else:
        detector, window = BandpassDetector().to(device), WindowSettings(taps=11, seconds=0.5)
    chain, localize = instantiate(cfg.preprocess), instantiate(cfg.localize)
    preprocess = None if isinstance(chain, PublishedChain) else chain
    common: dict[str, Any] = {
        "fps": fps,
        "pixel_size_um": pixel_size_um,
        "config": OmegaConf.to_yaml(cfg, resolve=True),
    }
    for session, output, there in zip(sessions, outputs, made, strict=True):
        if there:
            print(
                f"{output}: there already, of this session with these settings; overwrite=true makes it anew"
            )
            session.close()
            continue
        torch.manual_seed(cfg.seed)
        if isinstance(chain, PublishedChain):
            session = preprocess_session(session, output, chain, cfg.overwrite)
        if published is not None:
            found = coordinate_cells(session, published, **common)
            write_cells(output, found, cfg.overwrite)
            print(f"{output}: {len(found)} pixels held a coordinate, {found.n_frames} frames")
        else:
            diameter = cell_diameter_of(
                session, cfg.cell_diameter, cfg.cell_diameter_um, pixel_size_um, preprocess
            )
            how: dict[str, Any] = {"preprocess": preprocess, "settings": localize, "device": device, **common}
            with streamed_cells(session, detector, window, diameter, **how) as cells:
                write_cells(output, cells, cfg.overwrite)
            print(
                f"{output}: {int(cells.accepted.sum())} cells accepted of {len(cells)} found, "
                f"{cells.n_frames} frames, cell diameter {diameter:.1f} px"
            )
        session.close()


def _is_made(output: Path, session: Path, cfg: DictConfig) -> bool:
    """Whether a cells file is what would be made: a run that was broken off goes on with the rest."""
    from calcium_lightning import __version__
    from calcium_lightning.cells import read_origin
    from calcium_lightning.fingerprint import sha256_of

    try:
        origin = read_origin(output)
        settings = OmegaConf.create(origin["config"])
    except Exception:  # something else is there, and it isn't for this function to say what to do about it
        return False
    if cfg.checkpoint is not None:
        checkpoint = Path(str(cfg.checkpoint)).expanduser()
        if not checkpoint.is_file() or checkpoint.stat().st_mtime >= output.stat().st_mtime:
            return False
    return (
        origin["package_version"] == __version__
        and _decisive(settings) == _decisive(cfg)
        and origin["session_sha256"] == sha256_of(session)
    )


def _decisive(cfg: Any) -> Any:
    """The settings that a result depends on."""
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    return {key: value for key, value in plain.items() if key not in ("session", "output", "overwrite")}


if __name__ == "__main__":
    main()
