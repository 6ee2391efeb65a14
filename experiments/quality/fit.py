"""Fit the score of cells on simulated sessions, and check that it is calibrated on others.

    python experiments/quality/fit.py [--scenes 18] [--held-out 6] [--detector network|bandpass]
    python experiments/quality/fit.py A.cells.h5=A.h5 B.cells.h5=B.h5 ... [--held-out 2]

The second form takes cells that were extracted already from sessions with a truth, of another simulator say,
the last ones to check. Prints the coefficients for ``calcium_lightning/localize/quality.py`` and a
reliability table of what was held out.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import cycle, product
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy.optimize import minimize

from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.data.labels import true_diameter
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.quality import features
from calcium_lightning.metrics.matching import match_after_offset, match_points
from calcium_lightning.pipeline import extract, load_model
from calcium_lightning.simulation import SceneSettings, write_session

#: raw sessions: what is accepted of ΔF/F is decided by its contrast
PRESETS = ("miniscope_ca1", "miniscope_cortex")
RADIUS = 0.5  # of a cell diameter
SEED = 500
#: durations over a preset's own: what a longer recording shows of what is no cell must not pass for one
DURATIONS = (1.0, 0.3, 4.0)


def settings_of(preset: str, duration: float) -> SceneSettings:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        node = compose(f"simulation/{preset}").simulation
    settings: SceneSettings = instantiate(node)
    return settings.replace(height_px=176, width_px=176, seconds=duration * min(settings.seconds, 90.0))


def candidates(
    preset: str, duration: float, seed: int, folder: Path, detector: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features of a scene's candidates, and which of them are cells."""
    import torch

    path = folder / f"{preset}_{seed}.h5"
    write_session(path, settings_of(preset, duration), seed)
    with Session(path) as session:
        found = (
            load_model(device="cpu")
            if detector == "network"
            else WindowDetector(BandpassDetector(), BandpassDetector.window)
        )
        cells = extract(session, detector=found, cell_diameter=true_diameter(session), device="cpu")
        truth = session.truth
        assert truth is not None
        assert truth.footprints is not None
        centers = footprint_centers(truth.footprints, session.shape[1:])
        radius = RADIUS * true_diameter(session)
    path.unlink()
    match = match_points(torch.from_numpy(cells.centers), torch.from_numpy(centers), radius)
    real = np.zeros(len(cells), bool)
    real[np.asarray(match.first)] = True
    print(
        f"{preset} x{duration:g} {seed}: {len(cells)} candidates, {real.sum()} of {len(centers)} cells",
        flush=True,
    )
    return features(cells.quality), real


def extracted(cells: Path, session: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features of the candidates of a cells file, and which of them are cells of the session's truth."""
    found = read_cells(cells)
    with Session(session) as recording:
        truth = recording.truth
        if truth is None or truth.footprints is None:
            raise SystemExit(f"{session}: no true footprints")
        centers = footprint_centers(truth.footprints, recording.shape[1:]).astype(np.float64)
    match, _ = match_after_offset(found.centers.astype(np.float64), centers, 6.0)
    real = np.zeros(len(found), bool)
    real[np.asarray(match.first)] = True
    print(f"{cells}: {len(found)} candidates, {real.sum()} of {len(centers)} cells", flush=True)
    return features(found.quality), real


def fit(table: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Logistic regression with a weak prior; the first coefficient is the intercept."""
    design = np.column_stack([np.ones(len(table)), table])

    def loss(weights: np.ndarray) -> float:
        margin = np.where(real, 1, -1) * (design @ weights)
        return float(np.logaddexp(0, -margin).sum() + 0.05 * (weights[1:] ** 2).sum())

    return minimize(loss, np.zeros(design.shape[1]), method="BFGS").x


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="*", metavar="CELLS=SESSION")
    parser.add_argument("--scenes", type=int, default=18)
    parser.add_argument("--held-out", type=int, default=6)
    parser.add_argument("--detector", choices=("network", "bandpass"), default="network")
    options = parser.parse_args()
    if options.pairs:
        parts = [extracted(*map(Path, pair.rsplit("=", 1))) for pair in options.pairs]
        options.scenes = len(parts) - options.held_out
    else:
        with tempfile.TemporaryDirectory() as folder:
            parts = [
                candidates(preset, duration, SEED + index, Path(folder), options.detector)
                for index, (duration, preset) in zip(
                    range(options.scenes + options.held_out),
                    cycle(product(DURATIONS, PRESETS)),
                    strict=False,
                )
            ]
    names = list(parts[0][0])
    tables = [np.column_stack([part[name] for name in names]) for part, _ in parts]
    reals = [real for _, real in parts]
    weights = fit(np.concatenate(tables[: options.scenes]), np.concatenate(reals[: options.scenes]))
    print({name: round(float(value), 3) for name, value in zip(["intercept", *names], weights, strict=True)})
    table, real = np.concatenate(tables[options.scenes :]), np.concatenate(reals[options.scenes :])
    score = 1 / (1 + np.exp(-(weights[0] + table @ weights[1:])))
    print("| score | candidates | share that are cells |\n| --- | --- | --- |")
    for low in np.arange(0, 1, 0.2):
        chosen = (score >= low) & (score < low + 0.2 + (low > 0.7))
        share = f"{real[chosen].mean():.2f}" if chosen.any() else "-"
        print(f"| {low:.1f} to {low + 0.2:.1f} | {chosen.sum()} | {share} |")


if __name__ == "__main__":
    main()
