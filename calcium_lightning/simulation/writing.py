"""From a scene to a session file, in a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calcium_lightning.core.progress import progress
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.simulation.scene import BLOCK_FRAMES, Scene
from calcium_lightning.simulation.settings import SceneSettings


def write_session(
    path: Path | str,
    settings: SceneSettings,
    seed: int = 0,
    *,
    overwrite: bool = False,
    compression: str | None = None,
) -> Scene:
    """Simulate a recording and stream it to a session file with its truth.

    Parameters
    ----------
    path : path-like
        The session file to make.
    settings : SceneSettings
        What the scene is like.
    seed : int
        The same seed and settings give the same file.
    overwrite : bool
        Replace an existing file.
    compression : {None, "gzip", "lz4"}
        Of the frames.

    Returns
    -------
    Scene
        The scene that was written.

    Raises
    ------
    InputError
        If the file exists.
    """
    scene = Scene(settings, seed)
    write_scene(path, scene, overwrite=overwrite, compression=compression)
    return scene


def write_scene(
    path: Path | str, scene: Scene, *, overwrite: bool = False, compression: str | None = None
) -> None:
    """Stream a scene to a session file with its truth.

    Raises
    ------
    InputError
        If the file exists.
    """
    settings = scene.settings
    with SessionWriter(
        path,
        settings.height_px,
        settings.width_px,
        settings.dtype,
        settings.fps,
        pixel_size_um=settings.pixel_size_um,
        kind=settings.kind,
        motion_corrected=settings.motion_corrected,
        overwrite=overwrite,
        compression=compression,
    ) as writer:
        with progress("simulating", settings.n_frames) as advance:
            for start in range(0, settings.n_frames, BLOCK_FRAMES):
                frames = scene.frames(start, start + BLOCK_FRAMES)
                writer.append(frames)
                advance(len(frames))
        writer.set_timestamps(np.arange(settings.n_frames) / settings.fps)
        writer.set_truth(scene.truth)
