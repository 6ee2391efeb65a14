"""Folders as runs leave them, without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave
from omegaconf import OmegaConf

from calcium_lightning.runs.jobs import Job, write_job

#: a name that a page must show and never obey
HOSTILE = "<script>alert('&\"')</script>"


def make_run(
    folder: Path,
    overrides: Sequence[str] = (),
    course: Sequence[float] = (),
    status: str | None = "finished",
    settings: Mapping[str, Any] | None = None,
    command: str = "train",
    **job: Any,
) -> Path:
    """A run's folder; ``status=None`` leaves no job.json, as older versions did."""
    hydra = {
        "job": {"name": command, "num": int(folder.name) if folder.name.isdigit() else "???"},
        "overrides": {"task": list(overrides)},
        "runtime": {"cwd": str(folder.parent), "choices": {"encoder": "u_shape"}, "config_sources": []},
    }
    config = {
        "seed": 0,
        "encoder": {"features": [8, 12]},
        "callbacks": {"best": {"monitor": "val/reconstruction", "mode": "min"}},
        "optimizer": {"lr": 0.002},
        **(settings or {}),
    }
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save({"hydra": hydra}, folder / ".hydra/hydra.yaml")
    OmegaConf.save(config, folder / ".hydra/config.yaml")
    if len(course):
        lines = ["epoch,step,lr-AdamW,val/loss,val/reconstruction,train/loss", ",0,0.002,,,"]
        for epoch, value in enumerate(course):
            lines += [f"{epoch},{9 * epoch},,{value / 10},{value},", f"{epoch},{9 * epoch},,,,{value / 9}"]
        (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
        (folder / "figures").mkdir()
        for epoch in (9, 10):
            imsave(folder / f"figures/epoch_{epoch:04d}.png", np.full((20, 60, 3), epoch / 10))
    if status == "finished" and len(course):
        summary = {"val/reconstruction": min(course), "epochs": len(course), "checkpoint": "best.ckpt"}
        (folder / "summary.json").write_text(json.dumps(summary))
    if status is not None:
        times = {"started": "2026-01-01T10:00:00+00:00", "finished": "2026-01-01T10:02:30+00:00"}
        about = {"overrides": list(overrides), "status": status, "data": {"a.h5": "ab" * 32}, **times, **job}
        write_job(folder, Job(hash="0" * 64, id="x", **about))
    return folder


def make_sweep(folder: Path, count: int = 60) -> Path:
    """Many runs over six settings, some pruned, one failed."""
    rng = np.random.default_rng(0)
    for number in range(count):
        rate = float(10 ** rng.uniform(-4, -1.5))
        chosen = {
            "optimizer.lr": f"{rate:.3g}",
            "encoder": rng.choice(["u_shape", "u_shape_tiny"]),
            "decoder.shape": rng.choice(["anisotropic", "isotropic", "fixed"]),
            "window.blind_spot": rng.choice(["true", "false"]),
            "seed": number % 3,
            "loss.evidence.coordinate_cost": rng.integers(1, 9),
        }
        last = 1 + abs(np.log10(rate) + 2.7) / 2 + rng.uniform(0, 0.2)
        length = 4 if number % 9 == 5 else 30
        course = last + 3 * np.exp(-np.arange(length) / 6) + rng.normal(0, 0.02, length)
        status = "pruned" if length == 4 else "finished"
        fails = {"course": (), "status": "failed", "error": f"data.crop=7: {HOSTILE}"} if number == 7 else {}
        overrides = ["+experiment=unsupervised", *(f"{key}={value}" for key, value in chosen.items())]
        make_run(folder / str(number), overrides, **{"course": course, "status": status, **fails})
    return folder
