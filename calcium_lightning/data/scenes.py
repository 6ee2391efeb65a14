"""Simulated sessions to pretrain on, drawn at random around presets: an endless stream.

Beside :class:`~calcium_lightning.data.datamodule.SessionData` this knows the simulator, and nothing of
networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch.utils.data import DataLoader

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.progress import quiet, track
from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.data.dataset import Labelled
from calcium_lightning.data.labels import LabelTable, label_table, true_diameter
from calcium_lightning.data.splits import Splits
from calcium_lightning.nn.windows import WindowBatch
from calcium_lightning.preprocess.prepare import prepare
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.simulation import SceneSession, SceneSettings, random_settings, with_hardships
from calcium_lightning.simulation.streams import stream

#: a scene that is ready to learn from
Ready = tuple[Prepared, LabelTable]


class SceneData(SessionData):
    """Windows of simulated sessions, with their truth as labels.

    Every scene differs in whatever a detector could come to rely on: cells, brightness, frame rate,
    background, vessels, noise, what makes real recordings hard, and how well its motion and its cells'
    diameter are known. Scenes are
    numbered without end; an epoch learns from ``scenes`` of them, and the next one from ``renew`` new ones in
    place of the oldest, which are made in the meantime. The same seed gives the same scenes in the same
    epochs, also after a break. Held-out scenes are others, and stay.

    Parameters
    ----------
    presets : mapping of str to SceneSettings
        What is varied; scenes take turns.
    scenes : int
        How many an epoch draws from.
    renew : int
        How many of them the next epoch replaces, at most all. Takes
        ``trainer.reload_dataloaders_every_n_epochs=1``.
    side_px : int
        Height and width of the scenes, session pixels.
    seconds : (float, float)
        Shortest and longest scene.
    motion_error_px : (float, float)
        Least and greatest error of the motion that preprocessing is told, standard deviation.
    diameter_error : float
        How wrong the told cell diameter may be, relative.
    hardships : float
        Chance of each thing that makes real recordings hard
        (:func:`~calcium_lightning.simulation.hardships.with_hardships`).
    validation, test : float
        How many whole scenes are held out beside, relative to ``scenes``.
    sessions : None
        There are none; the key is that of the other data.
    **options
        Of :class:`SessionData`.
    """

    def __init__(
        self,
        presets: dict[str, SceneSettings],
        scenes: int = 64,
        renew: int = 0,
        side_px: int = 160,
        seconds: tuple[float, float] = (15.0, 30.0),
        motion_error_px: tuple[float, float] = (0.05, 0.4),
        diameter_error: float = 0.2,
        hardships: float = 0.0,
        sessions: None = None,
        **options: Any,
    ) -> None:
        super().__init__(["scenes"], **{"labels": True, "in_memory": True, **options})
        if scenes < 1 or not presets:
            raise InputError(f"data.scenes={scenes} of {len(presets)} presets: at least one of both")
        if not 0 <= renew <= scenes:
            raise InputError(f"data.renew={renew}: from 0 to data.scenes={scenes}")
        if not (self.labels and self.in_memory):
            raise InputError("data.labels, data.in_memory: both are true for scenes, which are their labels")
        self.presets = list(presets.values())
        self.scenes = scenes
        self.renew = renew
        self.side_px = side_px
        self.seconds = (float(seconds[0]), float(seconds[1]))
        self.motion_error_px = motion_error_px
        self.diameter_error = diameter_error
        if not 0 <= hardships <= 1:
            raise InputError(f"data.hardships={hardships}: a chance lies between 0 and 1")
        self.hardships = hardships
        self._held: list[Splits] = []
        self._numbers: list[int] = []
        self._ahead: dict[int, Future[Ready]] = {}
        self._maker: ThreadPoolExecutor | None = None

    def numbers(self, epoch: int) -> list[int]:
        """The scenes of an epoch, in the order of their places: most keep theirs."""
        first = epoch * self.renew
        return [first + (place - first) % self.scenes for place in range(self.scenes)]

    def _prepare(self) -> tuple[list[Prepared], list[Splits], Labelled]:
        """Make the scenes that are held out; those to learn from come with each epoch."""
        trainer: Any = self.trainer
        if self.renew and trainer is not None and trainer.reload_dataloaders_every_n_epochs != 1:
            raise InputError(
                f"data.renew={self.renew} takes trainer.reload_dataloaders_every_n_epochs=1 "
                "(or data.renew=0: the same scenes in every epoch)"
            )
        made, splits = [], []
        parts = {"validation": self.validation, "test": self.test}
        names = [(part, n) for part, share in parts.items() for n in range(math.ceil(share * self.scenes))]
        for part, number in track(names, "simulating held-out scenes", unit="scenes"):
            made.append(self._ready(part, number))
            frames = range(made[-1][0].shape[0])
            empty = frames[:0]
            splits.append(Splits(empty, *((frames, empty) if part == "validation" else (empty, frames))))
        return [scene for scene, _ in made], splits, Labelled([t for _, t in made], self.label_threshold)

    def train_dataloader(self) -> DataLoader[WindowBatch]:
        """Shuffled, augmented crops of the epoch's scenes."""
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        wanted = self.numbers(epoch)
        self._held = self._held or self.splits  # as setup left them
        known = dict(zip(self._numbers, self._pool(), strict=True))
        missing = [number for number in wanted if number not in known]
        known |= self._on_first_rank(lambda: self._make(missing, epoch))
        self._fill([known[number] for number in wanted])
        self._numbers = wanted
        return super().train_dataloader()

    def _pool(self) -> list[Ready]:
        """The scenes that are learned from now."""
        assert self._labelled is not None
        first = len(self._held)
        return list(zip(self.prepared[first:], self._labelled.tables[first:], strict=True))

    def _fill(self, pool: list[Ready]) -> None:
        """Put scenes to learn from behind those that are held out."""
        assert self._labelled is not None
        first = len(self._held)
        self.prepared = [*self.prepared[:first], *(scene for scene, _ in pool)]
        tables = [*self._labelled.tables[:first], *(table for _, table in pool)]
        self._labelled = Labelled(tables, self.label_threshold)
        frames = [range(scene.shape[0]) for scene, _ in pool]
        self.splits = [*self._held, *(Splits(part, part[:0], part[:0]) for part in frames)]

    def _make(self, missing: Sequence[int], epoch: int) -> dict[int, Ready]:
        """Make scenes, or take those that were made ahead; and begin with those of the next epoch."""
        for number in missing:
            self._begin(number)
        # While epochs follow each other Lightning's own bar is on the screen.
        waiting = missing if self._numbers else track(missing, "simulating", unit="scenes")
        made = {number: self._ahead.pop(number).result() for number in waiting}
        if self.trainer is None or epoch + 1 != self.trainer.max_epochs:
            for number in sorted({*self.numbers(epoch + 1)} - {*self.numbers(epoch)}):
                self._begin(number)
        return made

    def _begin(self, number: int) -> None:
        """Have a scene made in the background, unless that is under way."""
        if self._maker is None:
            # One thread of computing: it runs beside the training, which wants the others.
            self._maker = ThreadPoolExecutor(1, "scenes", initializer=torch.set_num_threads, initargs=(1,))
        if number not in self._ahead:
            self._ahead[number] = self._maker.submit(self._quietly, number)

    def _quietly(self, number: int) -> Ready:
        with quiet():
            return self._ready("train", number)

    def teardown(self, stage: str) -> None:
        """Make no more scenes."""
        self._give_up()
        super().teardown(stage)

    def on_exception(self, exception: BaseException) -> None:
        """Make no more scenes: Python would wait for all that were asked for before it ends."""
        self._give_up()

    def _give_up(self) -> None:
        if self._maker is not None:
            self._maker.shutdown(cancel_futures=True)
            self._maker = None
            self._ahead = {}

    def _ready(self, part: str, number: int) -> Ready:
        """A scene as the network sees it, all of it in memory, and its labels."""
        random = stream(self.seed, f"what is told of {part} scene {number}")
        wrong = math.exp(math.log1p(self.diameter_error) * random.uniform(-1, 1))
        device = self.trainer.strategy.root_device if self.trainer is not None else "cpu"
        with self._scene(part, number) as session:
            session.render()
            prepared = prepare(
                session, true_diameter(session) * wrong, self.preprocess, fps=self.fps, device=device
            ).in_memory()
            return prepared, label_table(prepared)

    def _scene(self, part: str, number: int) -> SceneSession:
        """A scene with an estimate of its motion that is wrong as real ones are."""
        random = stream(self.seed, f"{part} scene {number}")
        base = self.presets[number % len(self.presets)]
        seconds = random.uniform(*self.seconds)
        settings = random_settings(random, base.replace(height_px=self.side_px, width_px=self.side_px))
        harder = stream(self.seed, f"hardships of {part} scene {number}")
        settings = with_hardships(harder, settings, self.hardships)
        # Slow recordings last longer: as many frames to learn from.
        settings = settings.replace(seconds=seconds * max(1.0, 12.0 / settings.fps))
        seed = int(random.integers(1 << 31))
        error = None
        if not settings.motion_corrected:
            spread = random.uniform(self.motion_error_px[0], self.motion_error_px[1])
            error = spread * random.standard_normal((settings.n_frames, 2))
        return SceneSession(settings, seed, shift_error=error, name=f"{part}_{self.seed}_{number:05d}")
