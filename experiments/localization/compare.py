"""Localisation in single frames: detectors against the truth of a simulated session.

    python experiments/localization/compare.py SESSION.h5 [NAME=CHECKPOINT ...]

The band-pass baseline and the weights of the package are always there. A cell counts in a frame when it is
brighter than --brightness standard deviations of a pixel's noise; a localisation counts within half a cell (3
network pixels).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from calcium_lightning.data.labels import label_table, true_diameter
from calcium_lightning.io.session import Session
from calcium_lightning.localize.detect import Detector, detect
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.metrics.localization import FrameLocalization
from calcium_lightning.nn.checkpoint import load_network
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.pipeline import write_foreground
from calcium_lightning.preprocess.prepare import prepare

RADIUS = 3.0
SHARE = 0.1  # the last frames of the session, which a training on it didn't see


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("session")
    parser.add_argument("checkpoints", nargs="*", metavar="NAME=CHECKPOINT")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--brightness", type=float, default=0.5)
    options = parser.parse_args()
    detectors: dict[str, tuple[Detector, WindowSettings]] = {
        "band-pass": (BandpassDetector(), WindowSettings(11, 0.5)),
        "package": load_network(),
    }
    for item in options.checkpoints:
        name, _, path = item.partition("=")
        detectors[name] = load_network(path)
    session = Session(options.session)
    prepared = prepare(session, true_diameter(session))
    count, height, width = prepared.shape
    first = round(count * (1 - SHARE))
    labels = label_table(prepared).lit(first, count - first, (0, height, 0, width), options.brightness)
    print("| detector | precision | recall | F1 | RMSE, session px |\n| --- | --- | --- | --- | --- |")
    with ScratchMovie(prepared.scale.size) as movie:
        write_foreground(prepared, movie)
        for name, (detector, window) in detectors.items():
            found = detect(movie, detector, window, prepared.fps, threshold=options.threshold)
            localizations = np.concatenate(list(StoredLocalizations(movie.size).extend(found).blocks()))
            localizations = localizations[localizations["frame"] >= first]
            frame = torch.from_numpy(localizations["frame"] - first)
            places = torch.from_numpy(np.stack([localizations["y"], localizations["x"]], 1))
            scores = FrameLocalization(RADIUS)
            for index in range(count - first):
                scores.update(
                    places[frame == index][None], labels.positions[index][labels.valid[index]][None]
                )
            values = {key: float(value) for key, value in scores.compute().items()}
            rmse = values["rmse"] / float(np.mean(prepared.scale.factor))
            figures = " | ".join(f"{values[key]:.3f}" for key in ("precision", "recall", "f1"))
            print(f"| {name} | {figures} | {rmse:.2f} |")


if __name__ == "__main__":
    main()
