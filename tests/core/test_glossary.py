"""Every quality that is measured has its words, and nothing else has."""

from __future__ import annotations

import inspect

import numpy as np

from calcium_lightning.core.glossary import QUALITIES, described
from calcium_lightning.localize.judge import judge
from calcium_lightning.localize.quality import measure
from calcium_lightning.localize.trace_statistics import TraceStatistics


def test_words_are_those_of_the_measures() -> None:
    one = np.ones(1)
    statistics = TraceStatistics(**{name: one for name in inspect.signature(TraceStatistics).parameters})
    shape = {name: one for name in ("width", "elongation", "compactness")}
    measures = measure(statistics, one, one, shape, one, one, 100, one, one)
    quality, _, _ = judge(
        {**measures, "revisits": one, "edge": one, "border": one}, np.zeros((1, 2)), None, np.zeros((0, 2))
    )
    assert set(quality) == set(QUALITIES)


def test_a_quality_of_another_package_keeps_its_name() -> None:
    assert described("SNR_comp") == "quality: SNR_comp"
    assert described("snr") == QUALITIES["snr"].title
