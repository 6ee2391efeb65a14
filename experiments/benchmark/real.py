"""Real recordings, of which nobody knows the cells: what can be measured of them without.

    python experiments/benchmark/real.py RECORDING... --output OUT [--peer NAME=MAX.npy] [--diameter NAME=9]

``RECORDING`` is a session file, any recording that ``ingest`` reads, or a folder of session files. For each,
from frames to cells with nothing told:

- **accepted**, how many of them are expected to be false, and the time that it took;
- **twin**: the same frames upside down, extracted anew, with the same diameter; cells only brighten, so what
  is accepted there is chance;
- **planted**: cells of known activity, added to the frames; how many are accepted with r > 0.8. Little can be
  told where frames were denoised (their noise, which sets the brightness, is gone: they are far dimmer than
  what is there) or stretched one by one (noise is as large as the range, and what is added is clipped);
- **peer**: a method's result as its maximum over time (H, W), footprints times traces; how many of its peaks
  have an accepted cell beside them;
- **copies**: accepted cells with another one closer than half a diameter.

Writes ``OUT/real.md``, ``real.json`` and ``NAME.png`` (outlines over the band-passed maximum: to be looked
at before a figure is believed). Of a recording whose figures are there already, nothing is run again.
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
from scipy.ndimage import gaussian_filter, maximum_filter, median_filter
from scipy.spatial import cKDTree
from skimage.morphology import h_maxima

from calcium_lightning.core.atomic import atomic_path
from calcium_lightning.core.cells import Cells
from calcium_lightning.core.scale import FWHM, MAD_TO_STD
from calcium_lightning.io.array_session import ArraySession, as_session
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.io.readers.formats import open_recording
from calcium_lightning.pipeline import extract_streamed

#: planted cells: how many, transients a minute, decay (seconds), least and greatest peak over the noise
PLANTED, PER_MINUTE, DECAY_S, LOW, HIGH = 40, 4.0, 0.5, 2.0, 8.0
COLUMNS = {
    "accepted": "accepted",
    "expected_false": "expected false",
    "twin": "twin",
    "planted": "planted",
    "planted_found": "found of them",
    "peer": "peer's peaks",
    "peer_found": "found of them",
    "copies": "copies",
    "diameter": "diameter px",
    "seconds": "CPU s",
}


def main() -> None:
    """Measure what isn't measured yet, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=MAX.npy")
    parser.add_argument("--diameter", action="append", default=[], metavar="NAME=PIXELS")
    parser.add_argument("--fps", type=float, help="of recordings that don't know their own")
    parser.add_argument("--only", choices=["plain"], help="neither twin nor planted cells")
    args = parser.parse_args()
    peers, told = (dict(text.split("=", 1) for text in texts) for texts in (args.peer, args.diameter))
    args.output.mkdir(parents=True, exist_ok=True)
    store = args.output / "real.json"
    rows: dict[str, dict[str, Any]] = json.loads(store.read_text()) if store.is_file() else {}
    for path in _listed(args.recordings):
        name = path.stem
        if name not in rows:
            session = as_session(open_recording(path), args.fps)
            diameter = float(told[name]) if name in told else None
            peer = np.load(peers[name]) if name in peers else None
            rows[name] = measure(session, args.output / f"{name}.png", diameter, peer, args.only is None)
            with atomic_path(store, overwrite=True) as temporary:
                temporary.write_text(json.dumps(rows, indent=1))
        print(name, rows[name], flush=True)
    with atomic_path(args.output / "real.md", overwrite=True) as temporary:
        temporary.write_text(table(rows))


def measure(
    session: BaseSession, picture: Path, diameter: float | None, peer: np.ndarray | None, everything: bool
) -> dict[str, Any]:
    """All figures of one recording."""
    begin = time.process_time()
    cells, diameter = _extract(session, diameter)
    seconds = time.process_time() - begin
    centers = cells.centers[cells.accepted]
    expected = cells.false_discovery.expected_false if cells.false_discovery else None
    row: dict[str, Any] = {"accepted": len(centers), "expected_false": expected}
    row |= {"copies": copies(centers, diameter / 2), "diameter": diameter, "seconds": seconds}
    draw(picture, cells, diameter)
    if peer is not None:
        row |= agreement(centers, peer, diameter)
    if everything:
        frames = session.frames(0, session.n_frames)
        twin = _extract(_like(session, frames.max() - frames), diameter)[0]
        row["twin"] = int(twin.accepted.sum())
        planted, places, traces = plant(frames, session.fps, diameter)
        found = _extract(_like(session, planted), diameter)[0]
        row |= {"planted": len(places), "planted_found": found_of(found, places, traces, diameter)}
    return row


def plant(
    frames: np.ndarray, fps: float, diameter: float, seed: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames (T, H, W) with round cells added, their places (K, 2), and what they do (K, T)."""
    random = np.random.default_rng(seed)
    size, sigma, radius = np.array(frames.shape[1:]), diameter / FWHM, int(np.ceil(1.5 * diameter))
    places: list[np.ndarray] = []
    for place in random.uniform(radius, size - radius - 1, (20_000, 2)):
        if len(places) < PLANTED and all(np.hypot(*(place - other)) > 2 * diameter for other in places):
            places.append(place)
    seconds = np.arange(len(frames)) / fps
    planted, traces = frames.astype(np.float32), []
    for place in places:
        corner = place.round().astype(int) - radius
        part = np.s_[:, corner[0] : corner[0] + 2 * radius + 1, corner[1] : corner[1] + 2 * radius + 1]
        y, x = np.mgrid[: 2 * radius + 1, : 2 * radius + 1]
        spot = np.exp(-0.5 * ((y + corner[0] - place[0]) ** 2 + (x + corner[1] - place[1]) ** 2) / sigma**2)
        mean = np.tensordot(frames[part], spot, 2) / spot.sum()
        wander = MAD_TO_STD * np.median(np.abs(mean - median_filter(mean, max(3, round(4 * fps)))))
        count = max(2, random.poisson(PER_MINUTE * seconds[-1] / 60))
        after = np.maximum(seconds - random.uniform(0, seconds[-1], (count, 1)), 0)
        trace = (
            random.lognormal(0, 0.3, (count, 1)) * -np.expm1(-after / 0.05) * np.exp(-after / DECAY_S)
        ).sum(0)
        height = random.uniform(LOW, HIGH) * max(wander, 1e-3) * spot.sum() / np.square(spot).sum()
        traces.append(height * trace / trace.max())
        planted[part] += traces[-1][:, None, None].astype(np.float32) * spot.astype(np.float32)
    if frames.dtype.kind == "u":
        planted = planted.round().clip(0, np.iinfo(frames.dtype).max)
    return planted.astype(frames.dtype), np.array(places), np.array(traces)


def found_of(cells: Cells, places: np.ndarray, traces: np.ndarray, diameter: float) -> int:
    """How many planted cells (places (K, 2), traces (K, T)) are accepted with r > 0.8."""
    number, centers = 0, cells.centers[cells.accepted]
    denoised = np.asarray(cells.denoised)[cells.accepted]
    for near, trace in zip(cKDTree(centers).query_ball_point(places, 0.7 * diameter), traces, strict=True):
        known = [row for row in denoised[near] if np.nanstd(row) > 0]
        number += any(
            np.corrcoef(row[np.isfinite(row)], trace[np.isfinite(row)])[0, 1] > 0.8 for row in known
        )
    return number


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


def draw(target: Path, cells: Cells, diameter: float) -> None:
    """The band-passed maximum by itself, and with the accepted cells' outlines."""
    lit, sigma = cells.max_image - cells.mean_image, diameter / FWHM
    band = gaussian_filter(lit, sigma / 2) - gaussian_filter(lit, 3 * sigma)
    low, high = np.percentile(band, [20, 99.7])
    height, width = band.shape
    figure = Figure(figsize=(20, 10 * height / width), layout="constrained")
    lines = contours(cells.footprints, np.flatnonzero(cells.accepted), width, np.zeros(2))
    for axes, shown in zip(figure.subplots(1, 2), ([], lines), strict=True):
        axes.imshow(band, cmap="gray", vmin=low, vmax=high)
        for line in shown:
            axes.plot(*line.T, color="#56b4e9", linewidth=1)
        axes.set_axis_off()
    with atomic_path(target, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=80, format="png")


def table(rows: dict[str, dict[str, Any]]) -> str:
    """A line for each recording, Markdown."""
    lines = [["recording", *COLUMNS.values()], ["---"] * (1 + len(COLUMNS))]
    lines += [[name, *(_shown(row.get(column)) for column in COLUMNS)] for name, row in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def _extract(session: BaseSession, diameter: float | None) -> tuple[Cells, float]:
    with extract_streamed(session, cell_diameter=diameter) as extraction:
        return extraction.cells.in_memory(), extraction.prepared.cell_diameter


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
