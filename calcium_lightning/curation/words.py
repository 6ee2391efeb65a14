"""What the tests of acceptance say of a cell, in words: for the page, and for who can't see it.

Knows qualities and thresholds; must not know how either came about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from calcium_lightning.core.cells import CellTable
from calcium_lightning.core.glossary import described
from calcium_lightning.localize.quality import LEAST_CONTRAST, QualitySettings, least_contrast


@dataclass(frozen=True)
class Test:
    """One test of acceptance of one cell.

    Attributes
    ----------
    name : str
        The quality.
    value : float
        Measured; ``nan`` where it isn't known.
    passed : bool
        Whether it suffices.
    words : str
        What was found, and what was wanted.
    """

    name: str
    value: float
    passed: bool
    words: str


def tests_of(cells: CellTable, row: int, settings: QualitySettings) -> list[Test]:
    """What the tests say of one cell, those that it fails first."""
    low, high = settings.width
    # Of all that is known of this cell.
    quality = {name: np.asarray(values[row : row + 1]) for name, values in cells.quality.items()}
    contrast = settings.contrast or 0.0
    if "contrast" in quality and cells.kind in LEAST_CONTRAST:
        contrast = float(least_contrast(quality, settings, cells.kind)[0])
    limits: dict[str, tuple[float, float]] = {
        "fdr": (-np.inf, settings.fdr),
        "score": (settings.score, np.inf),
        "contrast": (contrast, np.inf),
        "snr": (settings.snr, np.inf),
        "consistency": (settings.consistency, np.inf),
        "focus": (settings.focus, np.inf),
        "width": (low, high),
        "compactness": (settings.compactness, np.inf),
        "localizations": (settings.localizations, np.inf),
        "revisits": (-np.inf, settings.revisits),
        "companion": (-np.inf, 0.0),
        "edge": (settings.edge, np.inf),
        "border": (-np.inf, settings.border),
        "lasting": (settings.lasting, np.inf),
    }
    found = [
        _test(name, float(cells.quality[name][row]), *limit)
        for name, limit in limits.items()
        if name in cells.quality
    ]
    return sorted(found, key=lambda test: test.passed)


def _test(name: str, value: float, least: float, most: float) -> Test:
    meaning = described(name)
    if not np.isfinite(value):
        return Test(name, value, True, f"{meaning}: not known")
    # Single precision keeps what the double was tested with.
    passed = bool(least - 1e-6 <= value <= most + 1e-6)
    wanted = f"at most {most:.3g}" if value > most or not np.isfinite(least) else f"at least {least:.3g}"
    return Test(name, value, passed, f"{meaning}: {value:.3g}; {wanted} is wanted")


def in_words(cells: CellTable, row: int, settings: QualitySettings) -> str:
    """One sentence: whether a cell counts, by whom, and why not."""
    standing = cells.curation
    verdict = 0 if standing is None else int(standing.verdict[row])
    if standing is not None and standing.replaced_by[row] >= 0:
        return f"Replaced by cell {standing.replaced_by[row]}."
    failed = [test.words for test in tests_of(cells, row, settings) if not test.passed]
    if verdict:
        who = standing.who[row] if standing is not None else ""
        by = f" by {who}" if who else " by hand"
        return f"{'Accepted' if verdict > 0 else 'Rejected'}{by}."
    if standing is not None and standing.origin[row] > 0:
        doubt = f" The tests would reject it: {'; '.join(failed)}." if failed else ""
        return f"Made by hand, and accepted for that.{doubt}"
    if cells.accepted[row]:
        return "Accepted by the tests."
    why = "; ".join(failed) if failed else "it lies where no tissue shows, or too little is known of it"
    return f"Rejected by the tests: {why}."


def as_json(tests: list[Test]) -> list[dict[str, Any]]:
    """Plain values."""
    return [
        {
            "name": test.name,
            "value": test.value if np.isfinite(test.value) else None,
            "passed": test.passed,
            "words": test.words,
        }
        for test in tests
    ]
