"""Real recordings, of which nobody knows the cells: what can be measured of them without.

    python experiments/benchmark/real.py RECORDING... --output OUT [--pictures FOLDER] [--peer NAME=MAX.npy]

``RECORDING`` is a session file, any recording that ``ingest`` reads, or a folder of session files. For each,
from frames to cells with nothing told:

- **accepted**, how many of them are expected to be false, and the time that it took;
- **twin**: the same frames upside down, extracted anew, with the same diameter; cells only brighten, so what
  is accepted there is chance;
- **planted**: cells of known activity, added to what the frames were before anything was done to them; how
  many are accepted with r > 0.8, and how many could be: with that r where footprints are given
  (:mod:`planting`). Some lie upon real cells, and more the more crowded a field is. Little can be told where
  frames were denoised: the noise, which sets the brightness, is gone, and they are far dimmer than what is
  there. The second number says how much;
- **peer**: a method's result as its maximum over time (H, W), footprints times traces; how many of its peaks
  have an accepted cell beside them;
- **copies**: accepted cells with another one closer than half a diameter;
- **visible**: cells that the peak to noise shows by themselves, and how many of them lie inside exactly one
  accepted outline, in none, in several (:mod:`visible`).

A session file with a truth, a made-up recording, needs none of these: how many of the true cells are
accepted, and how far off the motion is, is told instead.

Writes ``OUT/real.md``, ``real.json`` and ``FOLDER/NAME.png`` (outlines over the peak to noise: to be
looked at before a figure is believed; of recordings whose licence doesn't allow it, they stay where they
are). Of a recording whose figures are there already, nothing is run again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from overlays import contours
from planting import found_of, plant, possible_of
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import cKDTree
from skimage.morphology import h_maxima
from visible import COUNTED, outlines_over, told, visible

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells, footprint_centers
from calcium_lightning.core.truth import Truth
from calcium_lightning.io.array_session import ArraySession, as_session
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.io.readers.session import SessionRecording
from calcium_lightning.metrics.matching import match_after_offset
from calcium_lightning.metrics.motion import MotionError
from calcium_lightning.pipeline import extract_streamed
from calcium_lightning.preprocess.prepared import Prepared
from calcium_lightning.preprocess.repaired import kept_frames

#: pixels within which an accepted cell is a true one of a made-up recording
TRUE_RADIUS = 4.0

COLUMNS = {
    "accepted": "accepted",
    "expected_false": "expected false",
    "twin": "twin",
    "copies": "copies",
    "planted": "planted",
    "planted_possible": "possible of them",
    "planted_found": "found of them",
    "peer": "peer's peaks",
    "peer_found": "found of them",
    **COUNTED,
    "diameter": "diameter px",
    "seconds": "CPU s",
}
MADE_UP = {
    "true": "true cells",
    "accepted": "accepted",
    "true_found": "true ones of them",
    "moved": "motion px",
    "motion": "its error px",
    "diameter": "diameter px",
    "seconds": "CPU s",
}
PAGE = """# Real recordings

What is told, and how, is in the first lines of `experiments/benchmark/real.py`, which has made this page:

    python experiments/benchmark/real.py RECORDING... --output experiments/benchmark/results

## Real ones

Nobody knows their cells. Nothing was told but the files.

{real}
## Made-up ones

Their cells are known. Motion: standard deviation of the true one, and the root mean square of the difference,
per axis.

{made_up}"""


def main() -> None:
    """Measure what isn't measured yet, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, help="where pictures go; default: the same folder")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=MAX.npy")
    parser.add_argument("--diameter", action="append", default=[], metavar="NAME=PIXELS")
    parser.add_argument("--fps", type=float, help="of recordings that don't know their own")
    parser.add_argument("--only", choices=["plain"], help="neither twin nor planted cells")
    args = parser.parse_args()
    peers, given = (dict(text.split("=", 1) for text in texts) for texts in (args.peer, args.diameter))
    pictures = args.pictures or args.output
    for folder in (args.output, pictures):
        folder.mkdir(parents=True, exist_ok=True)
    store = args.output / "real.json"
    rows: dict[str, dict[str, Any]] = json.loads(store.read_text()) if store.is_file() else {}
    for path in _listed(args.recordings):
        name = path.stem
        if name not in rows:
            recording = open_recording(path)
            session = as_session(recording, args.fps)
            truth = recording.truth if isinstance(recording, SessionRecording) else None
            diameter = float(given[name]) if name in given else None
            peer = np.load(peers[name]) if name in peers else None
            picture = pictures / f"{name}.png"
            rows[name] = measure(session, truth, picture, diameter, peer, args.only is None)
            with atomic_path(store, overwrite=True) as temporary:
                temporary.write_text(json.dumps(rows, indent=1))
        print(name, rows[name], flush=True)
    with atomic_path(args.output / "real.md", overwrite=True) as temporary:
        temporary.write_text(page(rows))


def measure(
    session: BaseSession,
    truth: Truth | None,
    picture: Path,
    diameter: float | None,
    peer: np.ndarray | None,
    everything: bool,
) -> dict[str, Any]:
    """All figures of one recording."""
    begin = time.process_time()
    cells, prepared = _extract(session, diameter)
    seconds, diameter = time.process_time() - begin, prepared.cell_diameter
    centers = cells.centers[cells.accepted]
    expected = cells.false_discovery.expected_false if cells.false_discovery else None
    row: dict[str, Any] = {"accepted": len(centers), "expected_false": expected}
    row |= {"copies": copies(centers, diameter / 2), "diameter": diameter, "seconds": seconds}
    draw(picture, cells)
    row |= told(outlines_over(cells, visible(cells.lit_image, diameter)))
    if peer is not None:
        row |= agreement(centers, peer, diameter)
    if truth is not None and truth.footprints is not None:
        return row | of_truth(cells, truth, session.shape[1:])
    if everything:
        frames = session.frames(0, session.n_frames)
        twin, _ = _extract(_like(session, frames.max() - frames), diameter)
        row["twin"] = int(twin.accepted.sum())
        gain = np.ones(session.n_frames)
        gain[kept_frames(prepared.session)] = prepared.gain
        planted = plant(frames, session.fps, diameter, np.nan_to_num(cells.shifts), gain)
        found, prepared = _extract(_like(session, planted.frames), diameter)
        row["planted"] = len(planted.places)
        row["planted_found"] = found_of(found, planted, diameter)
        row["planted_possible"] = possible_of(cells, prepared, planted, diameter)
    return row


def of_truth(cells: Cells, truth: Truth, frame_shape: tuple[int, int]) -> dict[str, Any]:
    """How many true cells there are and are accepted, and how far off the motion is."""
    true = footprint_centers(truth.footprints, frame_shape)
    match, _ = match_after_offset(cells.centers[cells.accepted], true, TRUE_RADIUS)
    row: dict[str, Any] = {"true": len(true), "true_found": len(match.first)}
    if truth.shifts is not None:
        known = np.isfinite(cells.shifts).all(1)
        if cells.bad_frames is not None:  # nobody can tell where what has no picture is
            known &= ~cells.bad_frames
        error = MotionError()
        error.update(cells.shifts[known], truth.shifts[known])
        off = error.compute()
        row["moved"] = float(np.sqrt(truth.shifts.var(0).mean()))
        row["motion"] = float(np.sqrt((off["y"] ** 2 + off["x"] ** 2) / 2))
    return row


def agreement(centers: np.ndarray, peer: np.ndarray, diameter: float) -> dict[str, int]:
    """Peaks of a peer's maximum over time (H, W), and how many have a cell within half a diameter."""
    smooth = gaussian_filter(peer.astype(float), diameter / 8)
    least = 0.1 * (np.percentile(smooth, 99.5) - np.median(smooth))
    top = h_maxima(smooth, least) & (smooth == maximum_filter(smooth, int(diameter) | 1))
    peaks = np.argwhere(top & (smooth > np.median(smooth) + least))
    near = cKDTree(centers).query(peaks)[0] if len(centers) else np.full(len(peaks), np.inf)
    return {"peer": len(peaks), "peer_found": int((near < diameter / 2 + 2).sum())}


def copies(centers: np.ndarray, distance: float) -> float:
    """Share of centres (K, 2) with another one closer than this."""
    if len(centers) < 2:
        return 0.0
    return float((cKDTree(centers).query(centers, k=2)[0][:, 1] < distance).mean())


def draw(target: Path, cells: Cells) -> None:
    """The peak to noise by itself, and with the accepted cells' outlines."""
    lit = cells.lit_image
    low, high = np.percentile(lit, [20, 98.5])
    height, width = lit.shape
    figure = Figure(figsize=(20, 10 * height / width), layout="constrained")
    lines = contours(cells.footprints, np.flatnonzero(cells.accepted), width, np.zeros(2))
    for axes, shown in zip(figure.subplots(1, 2), ([], lines), strict=True):
        axes.imshow(lit, cmap="gray", vmin=low, vmax=high)
        for line in shown:
            axes.plot(*line.T, color="#56b4e9", linewidth=1)
        axes.set_axis_off()
    with atomic_path(target, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=80, format="png")


def page(rows: dict[str, dict[str, Any]]) -> str:
    """All that was measured, Markdown."""
    made_up = {name: row for name, row in rows.items() if "true" in row}
    real = {name: row for name, row in rows.items() if name not in made_up}
    return PAGE.format(real=table(real, COLUMNS), made_up=table(made_up, MADE_UP))


def table(rows: dict[str, dict[str, Any]], columns: dict[str, str]) -> str:
    """A line for each recording, Markdown."""
    lines = [["recording", *columns.values()], ["---"] * (1 + len(columns))]
    lines += [[name, *(_shown(row.get(column)) for column in columns)] for name, row in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def _extract(session: BaseSession, diameter: float | None) -> tuple[Cells, Prepared]:
    with extract_streamed(session, cell_diameter=diameter) as extraction:
        return extraction.cells.in_memory(), extraction.prepared


def _like(session: BaseSession, frames: np.ndarray) -> ArraySession:
    """Other frames, of which the same is known."""
    return ArraySession(
        frames,
        session.fps,
        kind=session.kind,
        motion_corrected=session.motion_corrected,
        pixel_size_um=session.pixel_size_um,
        field=session.field if session.field_given else None,
    )


def _listed(paths: Iterable[Path]) -> list[Path]:
    """Files, and the session files in folders that hold some."""
    listed: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.h5")) if path.is_dir() else []
        listed += inside or [path]
    return listed


if __name__ == "__main__":
    main()
