"""``python -m calcium_lightning.ingest``: any supported recording to a session file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcium_lightning.command.batch import NOTES, Row, run_batch
from calcium_lightning.command.inputs import Input, as_paths, find_inputs, one_path, output_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.sweeps.plugins import register

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from calcium_lightning.core.truth import Truth
    from calcium_lightning.io.ingest_settings import IngestSettings
    from calcium_lightning.io.readers.base import Recording

    Job = tuple[list[Input], Path | None, Path]


@entry_point("ingest", plugins=register)
def main(cfg: DictConfig) -> None:
    """Bring a recording into a session file.

    Reads a folder of JPG, PNG, BMP or TIFF frames, multi-page TIFF, AVI/MP4/MKV, folders of Miniscope-DAQ,
    any HDF5 dataset, NWB OnePhotonSeries, MATLAB .mat, .npy/.npz, zarr, Inscopix .isxd, CaImAn .mmap, Suite2p
    data.bin, raw numbers (with shape= and dtype=) and our own sessions. Frame rate, pixel size, time stamps,
    animal and start are taken from the files where they say; what was chosen, left out or mended is said.
    Several inputs give several sessions, or one with join=true; sessions that are there already, of the same
    recording with the same settings, are left as they are. preprocess=published turns raw recordings
    into ΔF/F by the published chain.
    """
    from calcium_lightning.core.atomic import check_output, guard, steady
    from calcium_lightning.core.errors import InputError
    from calcium_lightning.io.convert import ingest_recording
    from calcium_lightning.io.kind import is_session
    from calcium_lightning.io.origin import files_of, is_ingested, recording_stamp
    from calcium_lightning.io.readers.formats import open_recording
    from calcium_lightning.io.readers.interleaved import InterleavedRecording
    from calcium_lightning.io.readers.joined import JoinedRecording
    from calcium_lightning.io.truth import read_truth
    from calcium_lightning.preprocess.examine import Examiner

    inputs = find_inputs("input", cfg.input)
    for item in inputs:
        guard(path for path in item.path.rglob("*") if not is_session(path))  # a folder's, but for results
    given = [None] * (1 if cfg.join else len(inputs)) if cfg.truth is None else cfg.truth
    given = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    truths = [None if item is None else one_path("truth", item) for item in given]
    if len(truths) != (1 if cfg.join else len(inputs)):
        raise InputError(
            f"truth=: {len(truths)} files for {len(inputs)} inputs; give one for each, in their order"
        )
    settings, told = _settings(cfg), _told(cfg)
    if settings.behavior and len(inputs) > 1 and not cfg.join:
        raise InputError("behavior= is of one recording; ingest them one by one")
    chain = _chain(cfg.preprocess) if cfg.preprocess else None
    sources = [inputs] if cfg.join else [[item] for item in inputs]
    outputs = output_paths([group[0] for group in sources], cfg.output, ".h5")

    def stamp_of(job: Job) -> str:
        group, truth, _ = job
        beside = [truth, None if cfg.field is None else one_path("field", cfg.field), *settings.behavior]
        return recording_stamp([item.path for item in group], [path for path in beside if path], cfg)

    @contextmanager
    def opened(job: Job) -> Iterator[tuple[Recording, Truth | None]]:
        """Everything is looked at before the long copy begins."""
        group, truth, output = job
        with ExitStack() as stack:
            recordings = [stack.enter_context(open_recording(item.path, **told)) for item in group]
            if cfg.interleaved != 1:
                recordings = [InterleavedRecording(one, cfg.interleaved, cfg.channel) for one in recordings]
            recording = JoinedRecording(recordings, settings.fps) if cfg.join else recordings[0]
            if chain is not None:
                recording = chain.recording(recording)
            known = None if truth is None else read_truth(truth, recording.shape, cfg.truth_key)
            check_output(output, cfg.overwrite)
            yield recording, known

    def look(job: Job) -> None:
        if not cfg.overwrite and is_ingested(job[2], stamp_of(job)):
            return
        with opened(job):
            pass

    def work(job: Job) -> Row:
        stamp = stamp_of(job)
        if not cfg.overwrite and is_ingested(job[2], stamp):
            line = summary(job[2])
            print(f"{line}; there already, of this recording with these settings (overwrite=true)")
            return {"session": line.removeprefix(f"{job[2]}: "), NOTES: "there already"}
        read = [item.path for item in job[0]] + ([] if job[1] is None else [job[1]]) + [*settings.behavior]
        read += [file for item in job[0] if item.path.is_file() for file in files_of(item.path)]
        with steady(read), opened(job) as (recording, known):
            examiner = Examiner()
            ingest_recording(recording, job[2], settings, known, cfg.overwrite, examiner, stamp)
            for note in recording.notes:
                print(f"{recording.path}: {note}")
            notes = "; ".join((*recording.notes, *examiner.lines))
        line = summary(job[2])
        print("\n  ".join([line, *examiner.lines]))
        return {"session": line.removeprefix(f"{job[2]}: "), NOTES: notes}

    jobs = [
        (str(group[0].stem), (group, truth, output))
        for group, truth, output in zip(sources, truths, outputs, strict=True)
    ]
    run_batch("ingest", jobs, work, look=look if len(jobs) > 1 else None, unit="recordings")


def _told(cfg: DictConfig) -> dict[str, Any]:
    """What the user says of files that don't say it themselves."""
    told = {name: getattr(cfg, name) for name in ("key", "axes", "channel", "plane")}
    if cfg.interleaved != 1:
        told["channel"] = None  # it is one of those that take turns
    if cfg.shape is not None:  # nothing but numbers: dtype= is theirs
        told["shape"], told["dtype"] = _numbers("shape", cfg.shape, "[T,H,W] or [H,W]"), cfg.dtype
    return told


def _settings(cfg: DictConfig) -> IngestSettings:
    from calcium_lightning.io.ingest_settings import IngestSettings
    from calcium_lightning.io.mask import read_mask

    return IngestSettings(
        fps=None if cfg.fps is None else cfg.fps / max(1, cfg.interleaved),
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
        field=None if cfg.field is None else read_mask(one_path("field", cfg.field)),
        behavior=() if cfg.behavior is None else tuple(as_paths(cfg.behavior)),
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
    from calcium_lightning.preprocess.chain import SessionChain

    chain = instantiate(settings, _convert_="all")
    if not isinstance(chain, SessionChain):
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
