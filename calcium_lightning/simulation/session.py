"""A scene as a session: rendered as it is read, nothing written.

For: learning from simulated recordings, and trying the method on them, without files between.
Must not know: how cells are found again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from calcium_lightning.core.truth import Truth
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.simulation.scene import BLOCK_FRAMES, Scene
from calcium_lightning.simulation.settings import SceneSettings


class SceneSession(BaseSession):
    """A simulated recording with its truth.

    It is small, and small when pickled: the scene is drawn from its seed when it is first needed, and again
    after :meth:`close`.

    Parameters
    ----------
    settings : SceneSettings
        What the scene is like.
    seed : int
        Everything random follows from it.
    shift_error : ndarray (T, 2), optional
        By how much the motion that the session tells is wrong, pixels; without it, it tells none.
    name : str
        What messages and the cells call it.

    Examples
    --------
    >>> session = SceneSession(SceneSettings(height_px=32, width_px=48, seconds=1.0), seed=1)
    >>> session.frames(0, 4).shape
    (4, 32, 48)
    """

    def __init__(
        self,
        settings: SceneSettings,
        seed: int = 0,
        *,
        shift_error: np.ndarray | None = None,
        name: str = "scene",
    ) -> None:
        self.settings, self.seed, self._shift_error = settings, seed, shift_error
        self.path = Path(name)
        self.shape = (settings.n_frames, settings.height_px, settings.width_px)
        self.dtype = np.dtype(settings.dtype)
        self.fps = settings.fps
        self.pixel_size_um = settings.pixel_size_um
        self.kind = settings.kind
        self.motion_corrected = settings.motion_corrected
        self.chunk_frames = BLOCK_FRAMES
        self._scene: Scene | None = None
        self._rendered: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scene": None, "_rendered": None}

    @property
    def scene(self) -> Scene:
        """The drawn scene."""
        if self._scene is None:
            self._scene = Scene(self.settings, self.seed)
        return self._scene

    @property
    def shifts(self) -> np.ndarray | None:
        """The motion that the session tells, with its error, float32 (T, 2)."""
        return None if self._shift_error is None else self.scene.shifts + self._shift_error.astype(np.float32)

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds, float64 (T,)."""
        return np.arange(self.n_frames) / self.fps

    @property
    def truth(self) -> Truth:
        """Cells that can be seen, and the motion."""
        return self.scene.truth

    def render(self) -> None:
        """Render all frames now and keep them until :meth:`close`: they will be read several times."""
        self._rendered = self.scene.frames()

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Render the frames from ``start`` on into ``out`` (n, H, W)."""
        stop = start + len(out)
        out[:] = self.scene.frames(start, stop) if self._rendered is None else self._rendered[start:stop]

    def close(self) -> None:
        """Forget what was drawn; it is drawn again when it is needed."""
        self._scene = self._rendered = None

    def sha256(self) -> str:
        """Of what everything follows from: the settings, the seed, what is told of the motion."""
        told = b"" if self._shift_error is None else np.ascontiguousarray(self._shift_error).tobytes()
        return hashlib.sha256(f"{self.settings!r} {self.seed} ".encode() + told).hexdigest()
