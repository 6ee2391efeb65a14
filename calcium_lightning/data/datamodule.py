"""The LightningDataModule: sessions in, batches of windows out, on one process or many.

Knows Lightning, sessions and preprocessing; nothing of networks and nothing of Hydra.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader

from calcium_lightning.core.errors import InputError
from calcium_lightning.data.augment import Augmentation
from calcium_lightning.data.dataset import BlockDataset, Labelled, detach_worker
from calcium_lightning.data.labels import label_table, true_diameter
from calcium_lightning.data.prepared_before import keep, key_of, prepared_before
from calcium_lightning.data.resumable import ResumableData
from calcium_lightning.data.sampler import BlockSampler
from calcium_lightning.data.shared_memory import check_batch, workers_that_fit
from calcium_lightning.data.splits import Block, Splits, equal_blocks, split_in_time
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.io.session import Session
from calcium_lightning.nn.windows import WindowBatch, WindowSettings, window_weights
from calcium_lightning.preprocess.diameter import cell_diameter_of
from calcium_lightning.preprocess.prepare import PreprocessSettings, as_settings, prepare
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.repaired import RepairedSession, rate_of

Result = TypeVar("Result")
#: the least side of a crop, network pixels: two cells
LEAST_CROP = 12


class SessionData(ResumableData):
    """Windows of one or many sessions of any size and frame rate.

    All samples are crops of the same size in network pixels (a cell's full width at half maximum is 6 of
    them): ``crop``, or the shortest side of the smallest session where that is less. Validation and test
    frames are the last of each session, a window apart from the rest.

    Parameters
    ----------
    sessions : path-like, or sequence of path-like
        Session files.
    window : WindowSettings
        The window in time.
    cell_diameter : float, optional
        Full width at half maximum of a typical footprint, session pixels; default: that of the true
        footprints with ``labels``, estimated without.
    cell_diameter_um : float, optional
        The same in micrometres, for sessions that know their pixel size.
    pixel_size_um, fps : float, optional
        In place of the sessions' own.
    preprocess : PreprocessSettings, optional
        Motion, background, baseline and noise.
    batch_size : int
        Windows in a step, over all processes.
    block : int
        Consecutive middle frames that are drawn together.
    crops : int
        Crops of each block.
    crop : int
        Side of the crops, network pixels.
    steps_per_epoch, validation_steps : int, optional
        Batches in an epoch; default: as many as go through all blocks once.
    validation, test : float
        Shares of each session's frames.
    labels : bool
        Hand over the truth of simulated sessions.
    label_threshold : float
        Least brightness of a label, segments of the foreground's noise.
    augment : Augmentation, optional
        Of training crops.
    workers : int, optional
        Processes that read ahead, per training process; 0 reads in the training process. With 1, 2, 4 or a
        few more, no two prepare the same frames, but where their parts meet. Default: 0, and for a graphics
        card :data:`~calcium_lightning.data.shared_memory.GPU_WORKERS`.
    buffer_mb : int
        Memory for the frames that batches are drawn from at a time, megabytes, at most, in each process.
    in_memory : bool
        Prepare every frame once and keep them all: for many passes over small sessions.
    seed : int
        Of order, crops and augmentation.

    Raises
    ------
    InputError
        In ``setup``: for a session that is missing, damaged or too short, or sizes that don't fit together.
    """

    #: its samplers give each process its share
    knows_ranks = True

    def __init__(
        self,
        sessions: Path | str | Sequence[Path | str],
        window: WindowSettings | None = None,
        *,
        cell_diameter: float | None = None,
        cell_diameter_um: float | None = None,
        pixel_size_um: float | None = None,
        fps: float | None = None,
        preprocess: PreprocessSettings | None = None,
        batch_size: int = 32,
        block: int = 8,
        crops: int = 1,
        crop: int = 64,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation: float = 0.1,
        test: float = 0.0,
        labels: bool = False,
        label_threshold: float = 0.5,
        augment: Augmentation | None = None,
        workers: int | None = None,
        buffer_mb: int = 512,
        in_memory: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.paths = [Path(path) for path in ([sessions] if isinstance(sessions, str | Path) else sessions)]
        self.window = window or WindowSettings()
        self.cell_diameter = cell_diameter
        self.cell_diameter_um = cell_diameter_um
        self.pixel_size_um = pixel_size_um
        self.fps = fps
        self.preprocess = as_settings(preprocess).for_background(self.window.background_diameters)
        self.batch_size = batch_size
        self.block = block
        self.crops = crops
        self.crop = crop
        self.steps_per_epoch = steps_per_epoch
        self.validation_steps = validation_steps
        self.validation = validation
        self.test = test
        self.labels = labels
        self.label_threshold = label_threshold
        self.augment = augment
        self.workers = workers
        self.buffer_mb = buffer_mb
        self.in_memory = in_memory
        self.seed = seed
        self.prepared: list[Prepared] = []
        self.splits: list[Splits] = []
        self._labelled: Labelled | None = None
        for name, least in {
            "batch_size": 1,
            "block": 1,
            "crops": 1,
            "crop": LEAST_CROP,
            "buffer_mb": 1,
        }.items():
            if getattr(self, name) < least:
                raise InputError(f"data.{name}={getattr(self, name)}: {least} or more")
        for name, least in {"workers": 0, "steps_per_epoch": 1, "validation_steps": 1}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"data.{name}={value}: {least} or more, or null")
        if not self.paths:
            raise InputError("data.sessions=[]: no session to learn from; data.sessions=[A.h5,B.h5]")

    @property
    def crop_size(self) -> int:
        """Side of the crops, network pixels: as asked for, or that of the smallest field."""
        return min(self.crop, *(side for part in self.prepared for side in part.scale.size))

    def setup(self, stage: str | None = None) -> None:
        """Prepare the sessions: rank 0 does it, the others get the result, or the error."""
        if self.prepared:
            return
        self.prepared, self.splits, self._labelled = self._on_first_rank(self._prepare)

    def _on_first_rank(self, make: Callable[[], Result]) -> Result:
        """What ``make`` gives, or raises, on rank 0: the others wait for it."""
        strategy = self.trainer.strategy if self.trainer is not None and self.ranks[1] > 1 else None
        result: Any = None
        if self.ranks[0] == 0:
            try:
                result = make()
            except InputError as error:
                if strategy is None:
                    raise
                result = error
        if strategy is not None:
            result = strategy.broadcast(result)
        if isinstance(result, InputError):
            raise result
        return result

    def _prepare(self) -> tuple[list[Prepared], list[Splits], Labelled | None]:
        device = self.trainer.strategy.root_device if self.trainer is not None else "cpu"
        # All sessions are looked at before the first takes minutes to prepare.
        sessions, splits, diameters = [], [], []
        keys = [self._key(path, device) for path in self.paths]
        known = [prepared_before(key) for key in keys]
        for path, before in zip(self.paths, known, strict=True):
            session: BaseSession = Session(path) if before is None else before.session
            if before is None and self.preprocess.repair_defects:
                session = RepairedSession.of(session)
            span = window_weights(rate_of(session, self.fps), self.window).shape[1]
            splits.append(split_in_time(session.n_frames, span, self.validation, self.test, where=str(path)))
            diameters.append(self._diameter(session) if before is None else before.cell_diameter)
            if self.labels and session.truth is None:
                raise InputError(
                    f"{path}: has no /truth, which data.labels=true needs; use a simulated session"
                )
            session.close()
            sessions.append(session)
        prepared = []
        for session, diameter, before in zip(sessions, diameters, known, strict=True):
            part = before or prepare(session, diameter, self.preprocess, fps=self.fps, device=device)
            if min(part.scale.size) < LEAST_CROP:
                raise InputError(
                    f"{session.path}: cells of {diameter:g} pixels on frames of "
                    f"{session.height}x{session.width} leave"
                    f" {part.scale.size[0]}x{part.scale.size[1]} network pixels, at least "
                    f"{LEAST_CROP} are needed; a smaller cell_diameter="
                )
            prepared.append(part)
        keep(dict(zip(keys, prepared, strict=True)))
        if self.in_memory:
            prepared = [part.in_memory() for part in prepared]
        labelled = (
            Labelled([label_table(part) for part in prepared], self.label_threshold) if self.labels else None
        )
        for session in sessions:
            session.close()  # nothing may be open when workers fork
        return prepared, splits, labelled

    def _key(self, path: Path, device: object) -> Hashable:
        diameter = (self.cell_diameter, self.cell_diameter_um, self.pixel_size_um, self.labels)
        return key_of(path, self.preprocess, self.fps, device, *diameter)

    def _diameter(self, session: BaseSession) -> float:
        if self.labels and self.cell_diameter is None and self.cell_diameter_um is None:
            return true_diameter(session)
        return cell_diameter_of(session, self.cell_diameter, self.cell_diameter_um, self.pixel_size_um)

    def train_dataloader(self) -> DataLoader[WindowBatch]:
        """Shuffled, augmented crops of the training frames."""
        blocks = self._blocks("train")
        loader = self._loader(blocks, self.steps_per_epoch, shuffle=True)
        sampler: Any = loader.sampler
        sampler.seek(self.position)
        return loader

    def val_dataloader(self) -> DataLoader[WindowBatch] | list[Any]:
        """Crops of the validation frames, the same every time."""
        blocks = self._blocks("validation")
        return self._loader(blocks, self.validation_steps, shuffle=False) if blocks else []

    def _blocks(self, part: str) -> list[Block]:
        return [
            block
            for number, splits in enumerate(self.splits)
            for block in equal_blocks(number, getattr(splits, part), self.block)
        ]

    def _loader(self, blocks: list[Block], steps: int | None, shuffle: bool) -> DataLoader[WindowBatch]:
        rank, world_size = self.ranks
        segment = self.block * self.crops
        if self.batch_size % (segment * world_size):
            whole = segment * world_size
            lower = max(whole, self.batch_size // whole * whole)
            raise InputError(
                f"data.batch_size={self.batch_size}: not a multiple of {whole} "
                f"(data.block={self.block} frames x data.crops={self.crops}"
                f" x {world_size} processes); {lower} or {lower + whole}"
            )
        check_batch(f"data.batch_size={self.batch_size}", self._batch_bytes)
        augmentation = self.augment if shuffle else None
        dataset = BlockDataset(
            self.prepared, blocks, self.window, self.crop_size, self.crops, augmentation, self._labelled
        )
        segments = dataset.segments
        sampler = BlockSampler(
            len(blocks),
            self.batch_size // segment,
            steps,
            seed=self.seed,
            shuffle=shuffle,
            rank=rank,
            world_size=world_size,
            segments=None if self.in_memory else segments.numbers(blocks),
            capacity=self.buffer_mb * 2**20 // segments.segment_bytes,
        )
        segments.capacity = sampler.held
        return self._torch_loader(dataset, sampler)

    @property
    def _batch_bytes(self) -> int:
        """Of this process's share of a batch: frames, and what they are compared with."""
        return 4 * (self.batch_size // self.ranks[1]) * (self.window.taps + 1) * self.crop_size**2

    def _torch_loader(self, dataset: BlockDataset, sampler: Any) -> DataLoader[WindowBatch]:
        for part in self.prepared:
            part.session.close()
        workers = self._workers
        return DataLoader(
            dataset,
            batch_size=None,  # the dataset makes whole batches
            sampler=sampler,
            num_workers=workers,
            worker_init_fn=detach_worker if workers else None,
            persistent_workers=workers > 0,
            pin_memory=self._device == "cuda",
            generator=torch.Generator().manual_seed(self.seed),  # leave the global generator alone
        )

    @property
    def _device(self) -> str:
        return "cpu" if self.trainer is None else self.trainer.strategy.root_device.type

    @cached_property
    def _workers(self) -> int:
        """Processes that read ahead, if shared memory has room for all of this machine."""
        here = 1 if self.trainer is None else self.trainer.num_devices
        return workers_that_fit(self.workers, self._device, here * self._batch_bytes)
