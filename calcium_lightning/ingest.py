"""``python -m calcium_lightning.ingest``: any supported recording to a session file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calcium_lightning.command.start import as_paths, entry_point, output_paths

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from calcium_lightning.io.convert import IngestSettings


@entry_point("ingest")
def main(cfg: DictConfig) -> None:
    """Bring a recording into a session file.

    Reads a folder of JPG, PNG or TIFF frames, multi-page TIFF, AVI/MP4/MKV, folders of Miniscope-DAQ, any
    HDF5 dataset, NWB OnePhotonSeries, MATLAB .mat, .npy/.npz, zarr, Inscopix .isxd, CaImAn .mmap, Suite2p
    data.bin, raw numbers (with shape= and dtype=) and our own sessions. Frame rate, pixel size, time stamps,
    animal and start are taken from the files where they say; what was chosen, left out or mended is said.
    Several inputs give several sessions, or one with join=true. preprocess=published turns raw recordings
    into ΔF/F by the published chain.
    """
    from contextlib import ExitStack

    from calcium_lightning.core.atomic import check_output
    from calcium_lightning.core.errors import InputError
    from calcium_lightning.io.convert import ingest_recording
    from calcium_lightning.io.readers.formats import open_recording
    from calcium_lightning.io.readers.joined import JoinedRecording
    from calcium_lightning.io.truth import read_truth
    from calcium_lightning.preprocess.examine import Examiner
    from calcium_lightning.replications.teng2021.preprocessing import PublishedRecording

    inputs = as_paths(cfg.input)
    given = [None] * (1 if cfg.join else len(inputs)) if cfg.truth is None else cfg.truth
    given = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    truths = [None if item is None else as_paths(item)[0] for item in given]
    if len(truths) != (1 if cfg.join else len(inputs)):
        raise InputError(
            f"truth=: {len(truths)} files for {len(inputs)} inputs; give one for each, in their order"
        )
    settings, told = _settings(cfg), _told(cfg)
    chain = _chain(cfg.preprocess) if cfg.preprocess else None
    with ExitStack() as stack:  # everything is looked at before the first long copy begins
        recordings = [stack.enter_context(open_recording(path, **told)) for path in inputs]
        if cfg.join:
            recordings = [JoinedRecording(recordings, cfg.fps)]
            inputs = inputs[:1]
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
            ingest_recording(recording, output, settings, truth, cfg.overwrite, examiner)
            for note in recording.notes:
                print(f"{recording.path}: {note}")
            print("\n  ".join([summary(output), *examiner.lines]))


def _told(cfg: DictConfig) -> dict[str, Any]:
    """What the user says of files that don't say it themselves."""
    told = {name: getattr(cfg, name) for name in ("key", "axes", "channel", "plane")}
    if cfg.shape is not None:  # nothing but numbers: dtype= is theirs
        told["shape"], told["dtype"] = _numbers("shape", cfg.shape, "[T,H,W] or [H,W]"), cfg.dtype
    return told


def _settings(cfg: DictConfig) -> IngestSettings:
    from calcium_lightning.io.convert import IngestSettings
    from calcium_lightning.io.mask import read_mask

    return IngestSettings(
        fps=cfg.fps,
        pixel_size_um=cfg.pixel_size_um,
        kind=cfg.kind,
        motion_corrected=cfg.motion_corrected,
        crop=None if cfg.crop is None else _numbers("crop", cfg.crop, "[y0,y1,x0,x1] in pixels", 4),
        spatial_bin=cfg.bin,
        temporal_bin=cfg.temporal_bin,
        start=cfg.start,
        stop=cfg.stop,
        dtype=None if cfg.shape is not None else cfg.dtype,
        timestamps=cfg.timestamps,
        compression=cfg.compression,
        field=None if cfg.field is None else read_mask(as_paths(cfg.field)[0]),
    )


def _numbers(name: str, value: Any, wanted: str, count: int | None = None) -> tuple[Any, ...]:
    """A key's list of whole numbers."""
    from calcium_lightning.core.errors import InputError

    try:
        numbers = tuple(int(item) for item in value)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or count not in (None, len(numbers)):
        raise InputError(f"{name}={value}: expected {wanted}")
    return numbers


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
