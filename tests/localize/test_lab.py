"""A lab's own decisions move the score: towards what it accepts, little by few, and for sessions it hasn't seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.example_cells import make_example

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.decisions import Entry, Merge, Verdict
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.standing import Standing
from calcium_lightning.io.cells_file import write_cells
from calcium_lightning.localize.judge import judge
from calcium_lightning.localize.lab import LabScore

NAMES = (
    "snr", "contrast", "evidence", "skewness", "moments", "asymmetry", "consistency", "focus", "width",
    "elongation", "compactness", "localizations", "localized", "coincidence",
    "seen", "vessel",
)  # fmt: skip


def session(seed: int, count: int = 60) -> tuple[Cells, np.ndarray]:
    """Candidates of a lab that takes round cells only, which the score doesn't mind."""
    rng = np.random.default_rng(seed)
    cells, _ = make_example(count=4, length=10)
    row = np.zeros(count, int)
    quality = {name: rng.uniform(2, 6, count) for name in NAMES}  # all other tests are passed
    quality |= {"fdr": np.full(count, 0.01), "width": rng.uniform(0.8, 1.2, count)}
    quality["elongation"] = rng.uniform(1, 3, count)
    quality["score"] = rng.uniform(0.3, 0.7, count)
    cells = replace(
        cells,
        centers=cells.centers[row],
        center_std=cells.center_std[row],
        footprints=cells.footprints[row],
        traces=cells.traces[row],
        denoised=cells.denoised[row],
        spikes=cells.spikes[row],
        accepted=quality["score"] > 0.5,
        baseline=cells.baseline[row],
        quality={name: values.astype(np.float32) for name, values in quality.items()},
        localizations=type(cells.localizations).empty(),
    )
    return cells, quality["elongation"] < 1.7


def decided(cells: Cells, good: np.ndarray, count: int) -> Cells:
    rows = np.random.default_rng(0).permutation(len(good))[:count]
    log = [
        Entry(number, "Ada", "", "", Verdict((int(row),), bool(good[row])))
        for number, row in enumerate(rows, 1)
    ]
    return replace(cells, curation=Standing.of(cells.accepted, log))


def test_what_was_learned_holds_in_a_session_that_was_not_decided_about() -> None:
    lab = LabScore.of([decided(*session(seed), 40) for seed in (1, 2, 3)])
    cells, good = session(9, 200)
    before, after = cells.quality["score"] >= 0.5, lab.rescored(cells.quality) >= 0.5
    assert (before == good).mean() < 0.65
    assert (after == good).mean() > 0.85
    assert (lab.accepted, lab.rejected) == tuple(
        sum(int((good[np.random.default_rng(0).permutation(60)[:40]] == kind).sum()) for good in goods)
        for kind, goods in (
            (True, [session(s)[1] for s in (1, 2, 3)]),
            (False, [session(s)[1] for s in (1, 2, 3)]),
        )
    )


def test_few_decisions_change_little_and_more_change_more() -> None:
    cells, good = session(1, 400)
    moved = [
        float(
            np.abs(
                LabScore.of([decided(cells, good, count)]).rescored(cells.quality) - cells.quality["score"]
            ).mean()
        )
        for count in (20, 80, 320)
    ]
    assert moved[0] < moved[1] < moved[2]
    assert moved[0] < 0.6 * moved[2]


def test_decisions_that_the_score_foresaw_leave_it() -> None:
    """As likely as the score says: what they teach doesn't hold for those left out."""
    left = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found = [session(10 * seed + number)[0] for number in range(4)]
        lab = LabScore.of([decided(cells, rng.random(60) < cells.quality["score"], 60) for cells in found])
        if not lab.learned:
            left += 1
            np.testing.assert_array_equal(lab.rescored(found[0].quality), found[0].quality["score"])
            assert lab.in_words().startswith("left as it is: ")
    assert left >= 8


def test_what_one_session_alone_would_teach_is_not_carried_to_others() -> None:
    """Four people who want different things: each session is learned, and tells nothing of the next."""
    parts = []
    for seed, (name, sign) in enumerate((n, s) for n in ("compactness", "snr") for s in (1, -1)):
        cells, _ = session(seed, 120)
        values = sign * cells.quality[name]
        parts.append(decided(cells, values > np.median(values), 120))
    assert all(LabScore.of([part]).learned for part in parts)
    assert not LabScore.of(parts).learned


def test_merged_cells_are_no_examples() -> None:
    cells, good = session(1, 60)
    whole = decided(cells, good, 60)
    log = [
        Entry(number, "Ada", "", "", Verdict((number - 1,), bool(good[number - 1])))
        for number in range(1, 61)
    ]
    merged = replace(
        whole, curation=Standing.of(cells.accepted, [*log, Entry(61, "Ada", "", "", Merge((0, 1)))])
    )
    lab = LabScore.of([replace(merged, quality={n: np.append(v, np.nan) for n, v in cells.quality.items()})])
    assert lab.accepted + lab.rejected == 58


def test_too_little_to_learn_from_is_said(tmp_path: Path) -> None:
    cells, good = session(1)
    for count, labels in ((10, good), (40, np.ones(60, bool))):
        with pytest.raises(InputError, match="are needed to learn from"):
            LabScore.of([decided(cells, labels, count)])
    write_cells(tmp_path / "c.h5", cells)
    with pytest.raises(InputError, match=r"c\.h5: nobody has accepted or rejected"):
        LabScore.read([tmp_path / "c.h5"])


def test_the_judge_listens() -> None:
    lab = LabScore.of([decided(*session(seed), 60) for seed in (1, 2, 3)])
    cells, good = session(9, 80)
    quality = {name: np.asarray(values, float) for name, values in cells.quality.items() if name != "score"}
    far = np.arange(160).reshape(80, 2) * 50.0
    before = judge(quality, far, None, np.zeros((0, 2)))[0]["score"]
    after = judge(quality, far, None, np.zeros((0, 2)), lab=lab)[0]["score"]
    assert np.mean(after[good] - before[good]) > np.mean(after[~good] - before[~good]) + 0.1
