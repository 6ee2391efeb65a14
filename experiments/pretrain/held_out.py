"""Localisation in single frames of simulated scenes that no training saw: the package's weights and others.

    python experiments/pretrain/held_out.py [NAME=CHECKPOINT ...] [--scenes 12] [--hardships 0.2]

Scenes are drawn as for pretraining (`+experiment=pretrain`), from a seed of their own. A cell counts in a
frame when it is brighter than half of a pixel's noise; a localisation counts within half a cell (3 network
pixels).
"""

from __future__ import annotations

import argparse

import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.command.schemas import SCHEMAS
from calcium_lightning.core.progress import track
from calcium_lightning.metrics.localization import FrameLocalization
from calcium_lightning.nn.checkpoint import load_network
from calcium_lightning.nn.coordinates import find_peaks
from calcium_lightning.sweeps.plugins import register
from calcium_lightning.training.fit import build_data

RADIUS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="*", metavar="NAME=CHECKPOINT")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--hardships", type=float, default=0.2)
    parser.add_argument("--steps", type=int, default=40, help="batches that are looked at")
    parser.add_argument("--threshold", type=float, default=0.5)
    options = parser.parse_args()
    networks = {"package": load_network()[0]}
    for item in options.checkpoints:
        name, _, path = item.partition("=")
        networks[name] = load_network(path)[0]
    register()
    ConfigStore.instance().store(name="train_schema", node=SCHEMAS["train"])
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        settings = ("renew=0", "scenes=1", f"validation={options.scenes}", f"hardships={options.hardships}")
        told = ["+experiment=pretrain", f"seed={options.seed}", *(f"data.{setting}" for setting in settings)]
        data = build_data(compose("train", [*told, f"data.validation_steps={options.steps}"]))
    data.setup("fit")
    scores = {name: FrameLocalization(RADIUS) for name in networks}
    with torch.inference_mode():
        for batch in track(list(data.val_dataloader()), "localising", unit="batches"):
            labels = batch.labels
            for name, network in networks.items():
                found = find_peaks(network(batch.windows, batch.extent).maps, options.threshold)
                scores[name].update(found.positions, labels.positions, found.valid, labels.valid)
    data.teardown("fit")
    print("| weights | precision | recall | F1 | RMSE, network px |\n| --- | --- | --- | --- | --- |")
    for name, score in scores.items():
        values = {key: float(value) for key, value in score.compute().items()}
        figures = (f"{values[key]:.3f}" for key in ("precision", "recall", "f1"))
        print(f"| {name} | {' | '.join(figures)} | {values['rmse']:.2f} |")


if __name__ == "__main__":
    main()
