"""The verdict over candidates: how many are false, how certain each is, and which are accepted.

Puts together what the recording's twin tells (is it real?) and what simulations tell (does it look like a
cell, rather than something else that brightens?). Knows properties of candidates.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calcium_lightning.core.false_discovery import FalseDiscovery
from calcium_lightning.localize.companions import unseen_companions
from calcium_lightning.localize.discovery import LEAST_TAIL, Candidates, Discovery, compete, discover
from calcium_lightning.localize.lab import LabScore
from calcium_lightning.localize.plain import wanders
from calcium_lightning.localize.quality import (
    QualitySettings,
    accept,
    evidence_features,
    likeness,
    prominence,
)

#: a target and a decoy closer than this compete, network pixels: half a cell
REACH = 3.0
#: a footprint with this share of it on a vessel flickers as vessels do, if so many decoys do
ON_VESSEL = 0.25
#: what lies so near a lens's edge, cell diameters and standard deviations of the motion, competes by itself
AT_EDGE, EDGE_MOTION = 0.5, 2.0
#: ... unless of all of them no more than so many may be false
FEW = 2.0
#: what the place of the tissue tells is chance that the twin doesn't hold, if there are so many
LEAST_BY_PLACE = 10
Quality = dict[str, np.ndarray]
#: candidates: properties (N,), and places (N, 2) in network pixels
Found = tuple[Quality, np.ndarray]


def judge(
    quality: Quality,
    centers: np.ndarray,
    decoys: Quality | None,
    decoy_centers: np.ndarray,
    settings: QualitySettings | None = None,
    kind: str = "raw",
    shown: np.ndarray | None = None,
    lab: LabScore | None = None,
    scatter: float = 1.0,
    wander: float = 1.0,
    motion: float = 0.0,
) -> tuple[Quality, np.ndarray, FalseDiscovery]:
    """Add ``fdr``, ``score`` and ``companion`` to the properties of N candidates, and accept.

    Parameters
    ----------
    quality : dict of str to ndarray (N,)
        :func:`~calcium_lightning.localize.quality.measure` of the candidates.
    centers : ndarray (N, 2)
        Their places, network pixels.
    decoys : dict of str to ndarray (M,), optional
        The same of what was found in the twin; None where it wasn't searched.
    decoy_centers : ndarray (M, 2)
        Places of those.
    settings : QualitySettings, optional
        The tests.
    kind : {"raw", "dff"}
        Of the session.
    shown : ndarray, bool (N,), optional
        Which candidates lie where tissue shows: no other one is accepted. All of them where it isn't given.
    lab : LabScore, optional
        What a lab's own decisions have taught.
    scatter : float
        How many times farther than usual localisations lie from their places.
    wander : float
        What neighbouring frames miss of the noise: a factor, 1 for white noise.
    motion : float
        Of the tissue, standard deviation, cell diameters: so much farther does a lens's edge reach.

    Returns
    -------
    quality : dict of str to ndarray, float32 (N,)
    accepted : ndarray, bool (N,)
    false_discovery : FalseDiscovery
        What is expected to be false among the accepted, and how it is known.
    """
    settings = settings or QualitySettings()
    cell = 1 / (1 + np.exp(-likeness(quality)))
    twin = None if decoys is None else (decoys, decoy_centers)
    reach = AT_EDGE + EDGE_MOTION * motion
    found, basis = _discover((quality, centers), twin, settings, wander, reach)
    quality = {**quality, "fdr": found.rate, "score": (1 - found.local_rate) * cell}
    if lab is not None:
        quality["score"] = lab.rescored(quality)
    accepted = accept(quality, settings, kind)
    if shown is not None:
        accepted &= shown
    companion = unseen_companions(quality, centers, accepted, scatter)
    quality["companion"] = companion.astype(float)
    accepted &= ~companion
    parts = [found.expected_false[accepted & (found.group == group)] for group in np.unique(found.group)]
    expected = sum(float(part.max(initial=0.0)) for part in parts)
    false_discovery = FalseDiscovery(settings.fdr, expected, basis, found.targets, found.decoys)
    return (
        {name: np.asarray(values, np.float32) for name, values in quality.items()},
        accepted,
        false_discovery,
    )


def _discover(
    found: Found, twin: Found | None, settings: QualitySettings, wander: float, edge: float
) -> tuple[Discovery, str]:
    """How false candidates are, and what tells it: those within ``edge`` of a lens's compete by themselves.

    What an edge does while the tissue moves is like nothing else.
    """
    whole, basis = _compete(found, twin, settings, wander)
    at_edge = _at_edge(found, edge)
    if not at_edge.any() or twin is None:
        return whole, basis
    zones = (~at_edge, ~_at_edge(twin, edge)), (at_edge, _at_edge(twin, edge))
    told = [_compete(_rows(found, mine), _rows(twin, theirs), settings, wander) for mine, theirs in zones]
    parts = [(mine, part) for (mine, _), (part, _) in zip(zones, told, strict=True)]
    apart = Discovery.of_parts(parts, whole.targets, whole.decoys)
    # Of few, among whom a false one is more than is asked for, the whole recording tells more.
    if at_edge.sum() * settings.fdr < FEW:
        rest = at_edge & (apart.expected_false <= 1)
        apart = replace(apart, rate=np.where(rest, np.minimum(apart.rate, whole.rate), apart.rate))
    _, basis = max(told, key=lambda one: one[0].targets)
    return apart, basis


def _at_edge(found: Found, reach: float) -> np.ndarray:
    """Which candidates lie so near a lens's edge, bool (N,)."""
    quality, centers = found
    return quality["edge"] < reach if "edge" in quality else np.zeros(len(centers), bool)


def _rows(found: Found, rows: np.ndarray) -> Found:
    quality, centers = found
    return {name: values[rows] for name, values in quality.items()}, centers[rows]


def _compete(
    found: Found, twin: Found | None, settings: QualitySettings, wander: float
) -> tuple[Discovery, str]:
    """How false candidates are, and what tells it: those that the place of the tissue tells are decoys, too.

    The twin doesn't hold what a codec does to tissue that moves. Where it shows in so many, as many more may
    look as if they didn't come back with the place.
    """
    quality, centers = found
    by_place = quality.get("revisits", np.zeros(len(centers))) > settings.revisits
    rest = ~by_place
    score = _known(quality, wander)
    # Beside a better one, which the place doesn't tell, it is a piece of a cell.
    _, alone = compete(centers[rest], centers[by_place], score[rest], score[by_place], 2 * REACH)
    if twin is None or alone.sum() < LEAST_BY_PLACE:
        return _told(found, twin, settings, wander)
    chance = _rows(_rows(found, by_place), alone)
    part, basis = _told(_rows(found, rest), _joined(twin, chance), settings, wander)
    return Discovery.of_parts([(rest, part)], len(rest), len(twin[1])), basis


def _joined(first: Found, second: Found) -> Found:
    (properties, centers), (others, other_centers) = first, second
    return (
        {name: np.concatenate([values, others[name]]) for name, values in properties.items()},
        np.concatenate([centers, other_centers]),
    )


def _told(
    found: Found, twin: Found | None, settings: QualitySettings, wander: float
) -> tuple[Discovery, str]:
    """What the twin tells of candidates, or simulations where it tells too little, and which of them."""
    (quality, centers), (decoys, decoy_centers) = found, twin or ({}, np.zeros((0, 2)))
    count = len(decoy_centers)
    # Of fewer candidates than 1 / fdr, one false one is more than is asked for: no twin can tell so little.
    if count < LEAST_TAIL or len(centers) * settings.fdr < 1:
        return _from_simulations(1 / (1 + np.exp(-likeness(quality))), count), "simulations"
    on_vessel, flickers = (part["vessel"] > ON_VESSEL for part in (quality, decoys))
    # Of fewer candidates than that, a group of its own can't tell the rate that is asked for.
    number = min(int(on_vessel.sum()), int((~on_vessel).sum()))
    if flickers.sum() < LEAST_TAIL or number * settings.fdr < 1:
        on_vessel, flickers = np.zeros_like(on_vessel), np.zeros_like(flickers)
    told = discover(
        Candidates(centers, evidence_features(quality), _known(quality, wander), on_vessel.astype(int)),
        Candidates(decoy_centers, evidence_features(decoys), _known(decoys, wander), flickers.astype(int)),
        REACH,
        # Decoys of noise that wanders are poorer than false targets, which a score that they teach takes
        # for cells.
        teach=not wanders(wander),
    )
    return told, "learned" if told.learned else "twin"


def _known(quality: Quality, wander: float) -> np.ndarray:
    """What is known of candidates before they compete, (N,)."""
    return likeness(quality) + (prominence(quality) if wanders(wander) else 0.0)


def _from_simulations(cell: np.ndarray, decoys: int) -> Discovery:
    """What the fitted score alone expects: the best first, the mean of how doubtful they are."""
    order = np.argsort(-cell, kind="stable")
    expected, rate = np.empty(len(cell)), np.empty(len(cell))
    expected[order] = np.cumsum(1 - cell[order])
    rate[order] = expected[order] / np.arange(1, len(cell) + 1)
    return Discovery(rate, np.zeros(len(cell)), expected, False, len(cell), decoys, np.zeros(len(cell), int))
