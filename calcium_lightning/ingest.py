"""``python -m calcium_lightning.ingest``: any supported recording to a session file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calcium_lightning.command.start import as_paths, entry_point, output_paths

if TYPE_CHECKING:
    from omegaconf import DictConfig


@entry_point("ingest")
def main(cfg: DictConfig) -> None:
    """Bring a recording into a session file.

    Reads a folder of JPG, PNG or TIFF frames, multi-page TIFF, AVI/MP4/MKV, a Miniscope-DAQ folder, any
    HDF5 dataset, NWB OnePhotonSeries, MATLAB .mat, Inscopix .isxd (with isx installed) and our own sessions.
    Frame rate, pixel size and time stamps are taken from the file where it has them. Several inputs give
    several sessions. preprocess=published turns raw recordings into ΔF/F by the published chain.
    """
    from contextlib import ExitStack

    from calcium_lightning.core.atomic import check_output
    from calcium_lightning.core.errors import InputError
    from calcium_lightning.io.convert import IngestSettings, ingest_recording
    from calcium_lightning.io.mask import read_mask
    from calcium_lightning.io.readers.base import open_recording
    from calcium_lightning.io.truth import read_truth
    from calcium_lightning.preprocess.examine import Examiner
    from calcium_lightning.replications.teng2021.preprocessing import PublishedRecording

    inputs = as_paths(cfg.input)
    given = [None] * len(inputs) if cfg.truth is None else cfg.truth
    given = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    truths = [None if item is None else as_paths(item)[0] for item in given]
    if len(truths) != len(inputs):
        raise InputError(
            f"truth=: {len(truths)} files for {len(inputs)} inputs; give one for each, in their order"
        )
    crop: Any = None
    if cfg.crop is not None:
        try:
            crop = tuple(int(edge) for edge in cfg.crop)
        except (TypeError, ValueError):
            crop = ()
        if len(crop) != 4:
            raise InputError(f"crop={cfg.crop}: expected [y0,y1,x0,x1] in pixels")
    settings = IngestSettings(
        fps=cfg.fps,
        pixel_size_um=cfg.pixel_size_um,
        kind=cfg.kind,
        motion_corrected=cfg.motion_corrected,
        crop=crop,
        spatial_bin=cfg.bin,
        temporal_bin=cfg.temporal_bin,
        start=cfg.start,
        stop=cfg.stop,
        dtype=cfg.dtype,
        timestamps=cfg.timestamps,
        compression=cfg.compression,
        field=None if cfg.field is None else read_mask(as_paths(cfg.field)[0]),
    )
    chain = _chain(cfg.preprocess) if cfg.preprocess else None
    with ExitStack() as stack:  # everything is looked at before the first long copy begins
        recordings = [stack.enter_context(open_recording(path, cfg.key, cfg.axes)) for path in inputs]
        if chain is not None:
            recordings = [PublishedRecording(recording, chain) for recording in recordings]
        known = [
            None if path is None else read_truth(path, recording.shape, cfg.truth_key)
            for path, recording in zip(truths, recordings, strict=True)
        ]
        outputs = output_paths(inputs, cfg.output, ".h5")
        for output in outputs:
            check_output(output, cfg.overwrite)
        for recording, truth, output in zip(recordings, known, outputs, strict=True):
            examiner = Examiner()
            path = ingest_recording(recording, output, settings, truth, cfg.overwrite, examiner)
            print("\n  ".join([summary(path), *examiner.lines]))


def _chain(settings: DictConfig) -> Any:
    from hydra.utils import instantiate

    from calcium_lightning.core.errors import InputError
    from calcium_lightning.replications.teng2021.preprocessing import PublishedChain

    chain = instantiate(settings, _convert_="all")
    if not isinstance(chain, PublishedChain):
        raise InputError(
            "preprocess: a session keeps its frames as they are; only preprocess=published is done here"
        )
    return chain


def summary(path: object) -> str:
    """Give one line about a session file: its path, shape, type, frame rate and size."""
    from pathlib import Path

    from calcium_lightning.io.session import Session

    file = Path(str(path))
    with Session(file) as session:
        frames, height, width = session.shape
        size = f"{file.stat().st_size / 1e6:.1f} MB"
        return f"{file}: {frames} frames of {height} x {width} {session.dtype}, {session.fps:g} Hz, {size}"


if __name__ == "__main__":
    main()
