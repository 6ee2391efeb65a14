"""How long does a frame take while recording, and how like the offline result is what it tells?

    python experiments/benchmark/online.py SESSION.h5 [--fps 30] [--beginning 60] [--search 60] [--frames N]

Plays a session at its frame rate (frames come when they are due; a late one delays those behind it), and
extracts it afterwards. The offline cells and traces are the reference, in the same run. The session must go
on for as long as its beginning is looked at, and longer. ``--playback`` gives the next frame as soon as the
one before is done, and frames wait for searches: what a frame takes by itself.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from calcium_lightning.io.session import Session
from calcium_lightning.online.extractor import OnlineExtractor


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("session", type=Path)
    parser.add_argument("--fps", type=float, help="at which it is played; default: the session's")
    parser.add_argument("--beginning", type=float, default=60.0, help="seconds")
    parser.add_argument("--search", type=float, default=60.0, help="seconds")
    parser.add_argument("--frames", type=int, help="of the session; default: all")
    parser.add_argument("--playback", action="store_true", help="as fast as it goes")
    options = parser.parse_args()
    with Session(options.session) as session:
        rate = options.fps or session.fps
        count = min(options.frames or session.n_frames, session.n_frames)
        online = OnlineExtractor(
            rate,
            beginning_s=options.beginning,
            search_s=options.search,
            behind=not options.playback,
            device="cpu",
        )
        told, start = [], time.perf_counter()
        with online:
            for number in range(count):
                frame = session.frames(number, number + 1)[0]
                if not options.playback:
                    time.sleep(max(0.0, start + number / rate - time.perf_counter()))
                told.append(online.add(frame))
            followed = [item for item in told if len(item.activity)]
            if not followed:
                raise SystemExit("the session ended before its beginning had been looked at")
            centers, cells = online.centers, online.finish()
    milliseconds = 1e3 * np.array([item.seconds for item in followed])
    known = len(followed[0].activity)
    activity = np.stack([item.activity[:known] for item in followed], 1)
    accepted = np.flatnonzero(cells.accepted)
    distance = cdist(cells.centers[accepted], centers)
    near = distance.min(1) < 4
    r = [
        np.corrcoef(activity[j], cells.traces[i, followed[0].frame :])[0, 1]
        for i, j in zip(accepted[near], distance.argmin(1)[near], strict=True)
        if j < known
    ]
    f1 = 2 * near.sum() / (len(accepted) + len(centers))
    print(
        f"{session.height} x {session.width} at {rate:g} Hz, {len(centers)} cells, from frame "
        f"{followed[0].frame}: a frame takes {np.median(milliseconds):.1f} ms, 99 % of them at most "
        f"{np.quantile(milliseconds, 0.99):.1f} ms; of {len(accepted)} offline cells F1 {f1:.3f}, activity r "
        f"{np.mean(r):.3f} (median {np.median(r):.3f})"
    )


if __name__ == "__main__":
    main()
