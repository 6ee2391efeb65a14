"""The files that pages speak of: recordings in several formats, sessions, cells, masks, days of one animal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import tifffile
from helpers.drawn_days import SIZE, draw
from helpers.example_cells import make_example
from helpers.recordings import write_video
from PIL import Image

import calcium_lightning
from calcium_lightning.core.cells import Localizations, footprint_centers
from calcium_lightning.core.decisions import Verdict
from calcium_lightning.curation.ledger import open_ledger
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.simulation import Scene, SceneSettings

SCENE = SceneSettings(
    height_px=72,
    width_px=96,
    seconds=10,
    fps=10,
    cell_diameter_px=(11.0, 13.0),
    brightness=0.8,
    pixel_size_um=1.2,
)


def make_world(place: Path) -> None:
    """Make them in a folder."""
    for seed, names in ((1, ("session", "A", "mouse1", "mouse3", "day 1, mouse=7")), (2, ("B", "mouse2"))):
        made = _session(place / f"{names[0]}.h5", seed)
        for name in names[1:]:
            (place / f"{name}.h5").symlink_to(made)
    for name, of in (("day 1", "A"), ("day=2", "B"), ("data/x", "A"), ("data/y", "B")):
        link = place / f"{name}.h5"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to((place / f"{of}.h5").resolve())
    frames = Scene(SCENE, 1).frames()
    np.save(place / "frames.npy", frames)
    _recordings(place, frames)
    mask = np.zeros(frames.shape[1:], np.uint8)
    mask[4:-4, 4:-4] = 255
    Image.fromarray(mask).save(place / "mask.png")
    cells = calcium_lightning.extract(place / "session.h5", cell_diameter=12)
    assert cells.accepted.sum() > 3
    for name in ("cells", "anew", "old", "adapted", "default"):
        write_cells(place / f"{name}.h5", cells)
    with open_ledger(place / "old.h5", "somebody") as ledger:
        ledger.decide_all([Verdict((0,), False)])
    _days(place)


def _session(path: Path, seed: int) -> Path:
    scene = Scene(SCENE, seed)
    with SessionWriter(
        path, *scene.frames().shape[1:], "uint8", SCENE.fps, pixel_size_um=SCENE.pixel_size_um
    ) as writer:
        writer.append(scene.frames())
        writer.set_truth(scene.truth)
    return path


def _recordings(place: Path, frames: np.ndarray) -> None:
    few = frames[:24]
    for name in ("RECORDING", "raw/mouse1/day1", "raw/mouse2/day1"):
        (place / name).mkdir(parents=True)
        tifffile.imwrite(
            place / name / "frames.tif", frames, imagej=True, metadata={"axes": "TYX", "finterval": 0.1}
        )
    for name in ("trial1", "trial2", "trial3", "corrected", "both"):
        tifffile.imwrite(place / f"{name}.tif", few)
    with h5py.File(place / "dff.h5", "w") as file:
        file["mov"] = (few / few.mean(0) - 1).astype(np.float32)
    write_video(place / "recording.avi", few, rate=60)
    scope = place / "2026_03_04/14_30_12/Miniscope"
    scope.mkdir(parents=True)
    write_video(scope / "0.avi", few, rate=20)
    stamps = "".join(f"{k},{50 * k},0\n" for k in range(len(few)))
    (scope / "timeStamps.csv").write_text(f"Frame Number,Time Stamp (ms),Buffer Index\n{stamps}")
    (scope / "metaData.json").write_text(json.dumps({"deviceName": "Miniscope", "frameRate": "20FPS"}))
    (place / "BehavCam").mkdir()
    (place / "BehavCam/timeStamps.csv").write_text(f"Frame Number,Time Stamp (ms),Buffer Index\n{stamps}")
    (place / "lever.csv").write_text("time (s),state\n0.5,1\n0.7,0\n")


def _days(place: Path) -> None:
    """Cells of three days, whose footprints are drawn."""
    cells, _ = make_example(count=4, length=20, height=SIZE[0], width=SIZE[1])
    for number, field in enumerate(draw(days=3, seed=5, density=4.0).fields, 1):
        count = len(field)
        traces = np.random.default_rng(number).normal(0, 1, (count, 20)).astype(np.float32)
        day = replace(
            cells,
            centers=footprint_centers(field.footprints, SIZE),
            center_std=np.full((count, 2), 0.1, np.float32),
            footprints=field.footprints,
            **dict.fromkeys(("traces", "denoised", "spikes"), traces),
            accepted=np.ones(count, bool),
            baseline=np.ones(count, np.float32),
            quality={},
            localizations=Localizations.empty(),
            session=f"day{number}.h5",
        )
        write_cells(place / f"day{number}.h5", day)
