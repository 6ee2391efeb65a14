"""Days of one animal as footprints, and what tracks of them are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcium_lightning.core.footprint_set import FootprintSet
from calcium_lightning.core.tracks import Tracks
from calcium_lightning.simulation.days import DaysSettings, DrawnDay, draw_days
from calcium_lightning.simulation.settings import SceneSettings

SIZE = (150, 180)


@dataclass(frozen=True)
class Drawn:
    """The days, and the same as what tracking takes."""

    days: list[DrawnDay]
    fields: list[FootprintSet]


def draw(days: int = 3, seed: int = 0, density: float = 5.0, name: str = "day", **changes: float) -> Drawn:
    """Days of one animal; `changes` are of :class:`DaysSettings`."""
    scene = SceneSettings(height_px=SIZE[0], width_px=SIZE[1], density_per_1000_px2=density)
    settings = {"drift_px": 15.0, "turnover": 0.3, "bending_px": 2.0, **changes}
    drawn = draw_days(scene, DaysSettings(count=days, **settings), seed)  # type: ignore[arg-type]
    fields = [
        FootprintSet(
            day.footprints,
            SIZE,
            np.arange(len(day.identity)),
            name=f"{name}{number}",
            sha256=f"{name}{seed}{number}",
            total=len(day.identity),
        )
        for number, day in enumerate(drawn)
    ]
    return Drawn(drawn, fields)


def pair_f1(tracks: Tracks, days: list[DrawnDay]) -> float:
    """F1 of all pairs of cells that are said to be the same, against those that are."""
    right = said = 0
    for a in range(len(days)):
        for b in range(a + 1, len(days)):
            both = tracks.cell[(tracks.cell[:, a] >= 0) & (tracks.cell[:, b] >= 0)]
            one, other = days[a].identity[both[:, a]], days[b].identity[both[:, b]]
            said += len(both)
            right += int(((one == other) & (one >= 0)).sum())
    names = np.concatenate([day.identity[day.identity >= 0] for day in days])
    count = np.unique(names, return_counts=True)[1]
    there = int((count * (count - 1) // 2).sum())
    return 2 * right / (said + there)
