"""Why the tests reject a cell, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.example_cells import make_example

from calcium_lightning.core.glossary import described
from calcium_lightning.core.selection import select
from calcium_lightning.curation import words
from calcium_lightning.localize.quality import QualitySettings, accept


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("fdr", 0.2, "raw"),
        ("score", 0.1, "raw"),
        ("contrast", 1.4, "raw"),
        ("contrast", 2.0, "dff"),
        ("snr", 0.5, "raw"),
        ("consistency", 0.1, "raw"),
        ("focus", 1.0, "raw"),
        ("width", 3.0, "raw"),
        ("compactness", 0.6, "raw"),
        ("localizations", 0.0, "raw"),
        ("revisits", 0.5, "raw"),
        ("companion", 1.0, "raw"),
        ("edge", 0.4, "raw"),
        ("border", 0.8, "raw"),
        ("lasting", 0.1, "raw"),
    ],
)
def test_each_test_that_rejects_a_cell_is_told(name: str, value: float, kind: str) -> None:
    """Whatever :func:`accept` looks at, with its own thresholds."""
    fine = {"fdr": 0.0, "score": 0.9, "contrast": 3.0, "snr": 9.0, "consistency": 0.9, "focus": 4.0}
    fine |= {"width": 1.0, "localizations": 9.0, "revisits": 0.0, "companion": 0.0, "coincidence": 0.9}
    fine |= {"compactness": 0.9, "lasting": 1.0, "edge": 0.6, "border": 0.1}
    quality = {key: np.array([good, value if key == name else good]) for key, good in fine.items()}
    example = select(make_example()[0], np.arange(2))
    cells = replace(example, quality=quality, kind=kind, accepted=accept(quality, kind=kind), curation=None)
    settings = QualitySettings()

    assert cells.accepted.tolist() == [True, False]
    assert [test.name for test in words.tests_of(cells, 1, settings) if not test.passed] == [name]
    assert all(test.passed for test in words.tests_of(cells, 0, settings))
    assert described(name) in words.in_words(cells, 1, settings)
