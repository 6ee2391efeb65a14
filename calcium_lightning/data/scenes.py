"""Simulated sessions to pretrain on, drawn at random around presets and made when they are needed.

Beside :class:`~calcium_lightning.data.datamodule.SessionData` this knows the simulator, and nothing of
networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.errors import InputError
from calcium_lightning.progress import track
from calcium_lightning.session import Session, SessionWriter
from calcium_lightning.simulation import Scene, SceneSettings
from calcium_lightning.simulation.randomize import random_settings

#: frames that are rendered at a time
CHUNK = 64


class SceneData(SessionData):
    """Windows of simulated sessions, with their truth as labels.

    Every scene differs in whatever a detector could come to rely on: cells, brightness, frame rate,
    background, vessels, noise, and how well its motion and its cells' diameter are known. The same seed gives
    the same scenes.

    Parameters
    ----------
    presets : mapping of str to SceneSettings
        What is varied; scenes take turns.
    scenes : int
        How many are drawn.
    folder : path-like, optional
        Where they are kept and found again; default ``scenes`` in the run's folder.
    side_px : int
        Height and width of the scenes, session pixels.
    seconds : (float, float)
        Shortest and longest scene.
    motion_error_px : (float, float)
        Least and greatest error of the motion that preprocessing is told, standard deviation.
    diameter_error : float
        How wrong the told cell diameter may be, relative.
    sessions : None
        There are none; the key is that of the other data.
    **options
        Of :class:`SessionData`.
    """

    def __init__(
        self,
        presets: dict[str, SceneSettings],
        scenes: int = 64,
        folder: Path | str | None = None,
        side_px: int = 160,
        seconds: tuple[float, float] = (15.0, 30.0),
        motion_error_px: tuple[float, float] = (0.05, 0.4),
        diameter_error: float = 0.2,
        sessions: None = None,
        **options: Any,
    ) -> None:
        super().__init__(["scenes"], **{"labels": True, "in_memory": True, **options})
        if scenes < 1 or not presets:
            raise InputError(f"data.scenes={scenes} of {len(presets)} presets: at least one of both")
        self.presets = list(presets.values())
        self.scenes = scenes
        self.folder = folder
        self.side_px = side_px
        self.seconds = (float(seconds[0]), float(seconds[1]))
        self.motion_error_px = motion_error_px
        self.diameter_error = diameter_error

    def _prepare(self) -> Any:
        root = Path(self.trainer.default_root_dir) if self.trainer is not None else Path()
        folder = Path(self.folder) if self.folder is not None else root / "scenes"
        self.paths = [
            self._scene(folder, index) for index in track(range(self.scenes), "simulating", unit="scenes")
        ]
        return super()._prepare()

    def _scene(self, folder: Path, index: int) -> Path:
        """Make one scene, unless it is there."""
        path = folder / f"scene_{self.seed}_{index:04d}.h5"
        if path.is_file():
            return path
        random = np.random.default_rng([self.seed, index])
        base = self.presets[index % len(self.presets)]
        seconds = random.uniform(*self.seconds)
        settings = random_settings(random, base.replace(height_px=self.side_px, width_px=self.side_px))
        # Slow recordings last longer: as many frames to learn from.
        settings = settings.replace(seconds=seconds * max(1.0, 12.0 / settings.fps))
        write_scene(path, Scene(settings, int(random.integers(1 << 31))), random, self.motion_error_px)
        return path

    def _diameter(self, session: Session) -> float:
        error = np.random.default_rng([self.seed, self.paths.index(session.path), 1]).uniform(-1, 1)
        return super()._diameter(session) * float(np.exp(np.log1p(self.diameter_error) * error))


def write_scene(
    path: Path, scene: Scene, random: np.random.Generator, motion_error_px: Sequence[float]
) -> None:
    """Write a scene with an estimate of its motion that is wrong as real ones are."""
    settings = scene.settings
    height, width = scene.size
    with SessionWriter(
        path,
        height,
        width,
        scene.frames(0, 1).dtype,
        settings.fps,
        pixel_size_um=settings.pixel_size_um,
        kind=settings.kind,
        motion_corrected=settings.motion_corrected,
    ) as writer:
        for start in range(0, scene.n_frames, CHUNK):
            writer.append(scene.frames(start, min(start + CHUNK, scene.n_frames)))
        if not settings.motion_corrected:
            error = random.uniform(motion_error_px[0], motion_error_px[1]) * random.standard_normal(
                scene.shifts.shape
            )
            writer.set_shifts(scene.shifts + error.astype(np.float32))
        writer.set_truth(scene.truth)
