"""Colours of the page, seen with each kind of colour vision: verdicts stay apart, and never by colour alone."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from calcium_lightning.curation.server import FOLDERS, PAGES

#: linear RGB as it is seen without one kind of cones (Machado, Oliveira & Fernandes 2009, severity 1)
VISIONS = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}  # fmt: skip
#: CIEDE2000, of which 1 is just noticeable: verdicts; whatever else is marked by more than its colour
VERDICTS, APART = 40.0, 10.0
STYLE = (FOLDERS[""] / "page.css").read_text()
DRAWING = (PAGES / "drawing.js").read_text()


def seen(colour: str, vision: str) -> np.ndarray:
    """A colour "#rrggbb" as seen, CIELAB."""
    values = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    shown = np.clip(np.asarray(VISIONS[vision]) @ linear, 0, 1)
    lab: np.ndarray = rgb2lab(np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055))
    return lab


def distance(one: str, other: str, vision: str) -> float:
    return float(deltaE_ciede2000(seen(one, vision), seen(other, vision)))


@pytest.mark.parametrize("vision", VISIONS)
def test_verdicts_and_the_chosen_cell_are_told_apart(vision: str) -> None:
    field = dict(re.findall(r'(\w+): "(#\w{6})"', DRAWING.split("FIELD")[1].split("}")[0]))
    assert distance(field["accepted"], field["rejected"], vision) > VERDICTS
    for one, other in combinations(("accepted", "rejected", "chosen", "marked"), 2):
        assert distance(field[one], field[other], vision) > APART, (one, other)
    for theme in STYLE.split(":root")[1:3]:
        words = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for one, other in (("accepted", "rejected"), ("accepted", "card"), ("rejected", "card")):
            assert distance(words[one], words[other], vision) > VERDICTS, (one, other)
        assert distance(words["denoised"], words["trace"], vision) > APART


@pytest.mark.parametrize("vision", VISIONS)
def test_traces_of_neighbours_are_told_apart(vision: str) -> None:
    colours = re.findall(r"#\w{6}", DRAWING.split("NEIGHBOURS = [")[1].split("]")[0])[:4]
    for one, other in combinations(colours, 2):
        assert distance(one, other, vision) > APART, (one, other)
