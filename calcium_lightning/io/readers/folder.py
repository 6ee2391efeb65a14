"""What a folder holds: single frames, TIFF stacks, or videos of a Miniscope-DAQ."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from calcium_lightning.core.errors import InputError
from calcium_lightning.io.readers.base import PICTURE_ENDINGS, TIFF_ENDINGS, VIDEO_ENDINGS, Recording

_KIND = {**{ending: "TIFF" for ending in TIFF_ENDINGS}, ".jpg": "JPG", ".jpeg": "JPG", ".png": "PNG"}


def open_folder(path: Path) -> Recording:
    """Open a folder as one recording.

    Raises
    ------
    InputError
        If it is empty, holds nothing known, or several things at once.
    """
    from natsort import natsorted

    files = [item for item in path.iterdir() if item.is_file() and not item.name.startswith(".")]
    pictures = natsorted(
        (file for file in files if file.suffix.lower() in PICTURE_ENDINGS), key=lambda file: file.name
    )
    videos = [file for file in files if file.suffix.lower() in VIDEO_ENDINGS]
    if videos or any(
        (path / name).is_file() for name in ("metaData.json", "timeStamps.csv", "timestamp.dat")
    ):
        from calcium_lightning.io.readers.miniscope import open_miniscope

        return open_miniscope(path)
    if not pictures:
        from calcium_lightning.io.readers.miniscope import find_miniscope

        inner = find_miniscope(path)
        if inner is not None:
            return open_folder(inner)
        what = "is empty" if not any(path.iterdir()) else "holds no frames"
        folders = natsorted(item.name for item in path.iterdir() if item.is_dir())[:5]
        hint = f" (but folders: {', '.join(folders)})" if folders else ""
        raise InputError(
            f"{path}: the folder {what}{hint}; expected JPG, PNG or TIFF frames, or numbered videos"
        )
    kinds = Counter(_KIND[file.suffix.lower()] for file in pictures)
    if len(kinds) > 1:
        found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        raise InputError(
            f"{path}: holds frames of different formats ({found}); keep the recording's in a folder of their "
            "own"
        )
    if "TIFF" in kinds:
        from calcium_lightning.io.readers.sequence import Sequenced
        from calcium_lightning.io.readers.tiff import TiffRecording, is_stack

        if is_stack(pictures[0]):
            return Sequenced(path, pictures, TiffRecording)
    from calcium_lightning.io.readers.images import ImageFolder

    return ImageFolder(path, pictures)
