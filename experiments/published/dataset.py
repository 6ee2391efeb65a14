"""The published dataset's folder: which sessions there are, their masks, and what the paper says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

SUFFIX = "_preprocessed_dF"
#: (month, day) of the session that the paper holds out
TEST = (7, 16)


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper's Table II."""

    name: str
    tp: int
    fp: int
    precision: float
    improvement: float


PAPER = {
    (8, 3): PaperRow("DG-13-3-08-17", 192, 185, 0.51, 0.14),
    (7, 12): PaperRow("DG-13-7-12-17", 82, 194, 0.30, 0.10),
    (8, 11): PaperRow("DG-13-8-11-17", 147, 149, 0.50, 0.01),
    (8, 16): PaperRow("DG-13-8-16-17", 146, 126, 0.54, 0.01),
    (8, 8): PaperRow("DG-13-8-08-17", 110, 151, 0.42, -0.01),
    (8, 18): PaperRow("DG-13-8-18-17", 122, 119, 0.51, 0.01),
    (7, 16): PaperRow("DG-13-7-16-17", 404, 962, 0.30, 0.03),
}
ORDER = list(PAPER)


@dataclass(frozen=True)
class PublishedSession:
    """A session of the dataset.

    Attributes
    ----------
    name : str
        Month-day-year, as its folder says.
    frames : Path
        Folder of ``frame_*.jpg``.
    mask : Path
        The annotators'.
    painted : Path or None
        Pixels that the paper's picture shows a coordinate on (they hide the mask there), where we have them.
    """

    name: str
    frames: Path
    mask: Path
    painted: Path | None

    @property
    def day(self) -> tuple[int, int]:
        month, day, *_ = self.name.split("-")
        return int(month), int(day)

    @property
    def test(self) -> bool:
        return self.day == TEST

    @property
    def paper(self) -> PaperRow | None:
        return PAPER.get(self.day)


def find_sessions(folder: Path) -> list[PublishedSession]:
    """Sessions in the paper's order, others after them; the test session comes last."""
    found = []
    for frames in folder.glob(f"*{SUFFIX}"):
        if not any(frames.glob("frame_*.jpg")):
            raise SystemExit(f"{frames}: no frame_*.jpg")
        name = frames.name.removesuffix(SUFFIX)
        masks = [
            path
            for pattern in (f"masks/{name}", f"{name}_mask", f"{name}{SUFFIX}_mask")
            for ending in (".npy", ".png")
            if (path := folder / f"{pattern}{ending}").is_file()
        ]
        if not masks:
            raise SystemExit(f"{folder}: no mask of {name}; expected masks/{name}.npy or .png")
        painted = folder / f"masks/{name}_occluded.npy"
        found.append(PublishedSession(name, frames, masks[0], painted if painted.is_file() else None))
    if not found:
        raise SystemExit(f"{folder}: no folders named *{SUFFIX}")
    return sorted(found, key=lambda part: (ORDER.index(part.day) if part.day in ORDER else 99, part.name))


def read_mask(path: Path) -> np.ndarray:
    """Bool (H, W)."""
    if path.suffix == ".npy":
        return np.load(path) > 0
    from calcium_lightning.io.readers.images import read_picture

    picture = read_picture(path)
    return (picture if picture.ndim == 2 else picture.max(2)) > picture.max() / 2
