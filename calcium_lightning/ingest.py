"""``python -m calcium_lightning.ingest``: any supported recording to a session file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcium_lightning.command.batch import Row, run_batch
from calcium_lightning.command.inputs import Input, as_paths, find_inputs, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.sweeps.plugins import register

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from calcium_lightning.core.truth import Truth
    from calcium_lightning.io.readers.base import Recording

    Job = tuple[Input, Path | None, Path]


@entry_point("ingest", plugins=register)
def main(cfg: DictConfig) -> None:
    """Bring a recording into a session file.

    Reads a folder of JPG, PNG or TIFF frames, multi-page TIFF, AVI/MP4/MKV, a Miniscope-DAQ folder, any
    HDF5 dataset, NWB OnePhotonSeries, MATLAB .mat, Inscopix .isxd (with isx installed) and our own sessions.
    Frame rate, pixel size and time stamps are taken from the file where it has them. Several inputs give
    several sessions. preprocess=published turns raw recordings into ΔF/F by the published chain.
    """
    from calcium_lightning.core.atomic import check_output, guard
    from calcium_lightning.core.errors import InputError
    from calcium_lightning.io.convert import IngestSettings, ingest_recording
    from calcium_lightning.io.kind import is_session
    from calcium_lightning.io.readers.base import open_recording
    from calcium_lightning.io.truth import read_truth
    from calcium_lightning.replications.teng2021.preprocessing import PublishedRecording

    inputs = find_inputs("input", cfg.input)
    for item in inputs:
        guard(path for path in item.path.rglob("*") if not is_session(path))  # a folder's, but for results
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
    )
    chain = _chain(cfg.preprocess) if cfg.preprocess else None
    outputs = output_paths(inputs, cfg.output, ".h5")
    jobs = list(zip(inputs, truths, outputs, strict=True))

    @contextmanager
    def opened(job: Job) -> Iterator[tuple[Recording, Truth | None]]:
        """Everything is looked at before the long copy begins."""
        source, truth, output = job
        with open_recording(source.path, cfg.key, cfg.axes) as recording:
            if chain is not None:
                recording = PublishedRecording(recording, chain)
            known = None if truth is None else read_truth(truth, recording.shape, cfg.truth_key)
            check_output(output, cfg.overwrite)
            yield recording, known

    def look(job: Job) -> None:
        with opened(job):
            pass

    def work(job: Job) -> Row:
        with opened(job) as (recording, known):
            path = ingest_recording(recording, job[2], settings, known, cfg.overwrite)
        line = summary(path)
        print(line)
        return {"session": line.partition(": ")[2]}

    named = [(str(job[0].stem), job) for job in jobs]
    run_batch("ingest", named, work, look=look if len(jobs) > 1 else None, unit="recordings")


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
    from calcium_lightning.io.session import Session

    file = Path(str(path))
    with Session(file) as session:
        frames, height, width = session.shape
        size = f"{file.stat().st_size / 1e6:.1f} MB"
        return f"{file}: {frames} frames of {height} x {width} {session.dtype}, {session.fps:g} Hz, {size}"


if __name__ == "__main__":
    main()
