"""How much of a result hangs by rounding: the same recording, its pixels brighter by nothing to speak of.

    python experiments/benchmark/rounding.py RECORDING... [--runs 4] [--change 3e-7] [--peer MAX.npy]

Each run but the first multiplies every pixel, in all frames alike, by 1 plus a random number of that
standard deviation, a few times what float32 can tell. Told are the accepted cells of each run; how many of
one run's have none of another's within a third of a diameter, mean over all pairs; and how many of a peer's
peaks each finds (:mod:`real`). Where the second number is large, a single run tells little: judge a change
of the method by the mean over such runs.
"""

from __future__ import annotations

import argparse
from itertools import permutations
from pathlib import Path

import numpy as np
from real import agreement
from scipy.spatial import cKDTree

from calcium_lightning.io.array_session import ArraySession, as_session
from calcium_lightning.io.base_session import BaseSession
from calcium_lightning.pipeline import extract_streamed


def main() -> None:
    """Print a line for each recording."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--change", type=float, default=3e-7, help="of a pixel, relative")
    parser.add_argument("--peer", type=Path, help="a method's result as its maximum over time (H, W)")
    args = parser.parse_args()
    peer = np.load(args.peer) if args.peer else None
    for path in args.recordings:
        session = as_session(path)
        results = [accepted(session, args.change if seed else 0, seed) for seed in range(args.runs)]
        moved = [gone(one, other, diameter / 3) for (one, diameter), (other, _) in permutations(results, 2)]
        counts = [len(one) for one, _ in results]
        line = f"{path.stem}: accepted {counts}, without one in another run {np.mean(moved):.1f}"
        if peer is not None:
            found = [agreement(one, peer, diameter)["peer_found"] for one, diameter in results]
            line += f", peer's peaks found {found}"
        print(line, flush=True)


def accepted(session: BaseSession, change: float, seed: int) -> tuple[np.ndarray, float]:
    """Centres of the accepted cells (K, 2), pixels, and the diameter."""
    frames = session.frames(0, session.n_frames).astype(np.float32)
    frames *= 1 + change * np.random.default_rng(seed).normal(size=frames.shape[1:])
    changed = ArraySession(frames, session.fps, kind=session.kind, motion_corrected=session.motion_corrected)
    with extract_streamed(changed) as extraction:
        cells = extraction.cells
        return cells.centers[cells.accepted], extraction.prepared.cell_diameter


def gone(one: np.ndarray, other: np.ndarray, distance: float) -> int:
    """How many centres have none of the other's within a distance."""
    return int((cKDTree(other).query(one)[0] > distance).sum()) if len(other) else len(one)


if __name__ == "__main__":
    main()
