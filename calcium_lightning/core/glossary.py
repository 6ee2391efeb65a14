"""What the words of a cell's quality mean: one source for pages, exports and docs.

Knows words only; what measures them is in :mod:`calcium_lightning.localize.quality`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QualityWord:
    """A property of a cell, in words.

    Attributes
    ----------
    title : str
        A few words, as a column's tooltip or a field's description.
    meaning : str
        One or two sentences: how it is measured, and what high and low values say.
    """

    title: str
    meaning: str


#: quality -> its words; those that decide first
QUALITIES = {
    "score": QualityWord(
        "probability of being a cell (0 to 1)",
        "Whether it is real, by the recording's twin, times whether it looks like a cell, by a regression "
        "fitted on simulated sessions.",
    ),
    "fdr": QualityWord(
        "least false-discovery rate at which the cell is accepted",
        "The share of false cells that is expected among all cells at least as good as this one, told by "
        "what is found in the same recording upside down.",
    ),
    "snr": QualityWord(
        "peak of the denoised trace over the noise",
        "The largest value of the denoised trace, in standard deviations of the trace's noise.",
    ),
    "contrast": QualityWord(
        "brightest moment over the darkest of a typical cell",
        "Cells only brighten, noise and motion go both ways: about 1 for noise, more for a cell. Where cells "
        "are lit most of the time, what noise goes down by counts. Traces are smoothed over 0.2 s before.",
    ),
    "consistency": QualityWord(
        "likeness of the footprint and the frames",
        "Correlation between the footprint and the picture of the cell that its activity explains in the "
        "frames; 1 where they agree.",
    ),
    "width": QualityWord(
        "width of the footprint, in cell diameters",
        "Diameter of the disc as large as the footprint's part above half of its peak, over the session's "
        "cell diameter.",
    ),
    "localizations": QualityWord(
        "localisations that the cell claims",
        "In how many frames the detector saw it there. What is seen in no frame is mostly what cells leave "
        "unexplained.",
    ),
    "evidence": QualityWord(
        "signal over noise of the whole trace",
        "Root of the denoised trace's energy over the noise's variance: grows with the size and the "
        "number of events.",
    ),
    "asymmetry": QualityWord(
        "brightest over darkest moment of the trace",
        "About 1 for noise, more for what brightens only.",
    ),
    "skewness": QualityWord(
        "skewness of the smoothed trace",
        "Above 0 for what brightens now and then, 0 for noise, below 0 for what darkens.",
    ),
    "moments": QualityWord(
        "different seconds that hold the trace's energy",
        "About 1 for a cell that was lit once. A single jump of the field looks so, too.",
    ),
    "lasting": QualityWord(
        "how long bright moments last, over what a transient would",
        "What bright moments keep of their brightness for 0.15 s, over what the fitted transients keep: "
        "about 1 for a cell, 0 for a flash of a frame or two.",
    ),
    "falling": QualityWord(
        "steepest fall over steepest rise of the trace",
        "Within 0.15 s each: below 1 for calcium, which falls more slowly than it rises; about 1 for noise, "
        "and for what a codec leaves behind.",
    ),
    "focus": QualityWord(
        "strength within the cell over that around it",
        "Of the picture that the cell's activity explains in the frames: low for glow from outside the focal "
        "plane.",
    ),
    "elongation": QualityWord(
        "length over width of the footprint",
        "Ratio of its principal standard deviations: 1 if round, large along vessels and processes.",
    ),
    "compactness": QualityWord(
        "likeness of the footprint to a round cell",
        "Cosine between the footprint and a Gaussian of a typical cell's size at the same place; 1 if they "
        "are alike.",
    ),
    "localized": QualityWord(
        "localisations per frame",
        "The localisations that the cell claims, over the number of frames.",
    ),
    "coincidence": QualityWord(
        "share of the activity that single frames show",
        "Of the denoised trace's energy, what lies in seconds in which the detector saw the cell in its "
        "place. Low for haze, and for what a regression finds between cells.",
    ),
    "revisits": QualityWord(
        "how much of the trace comes back with the place of the tissue",
        "Correlation of the trace with its mean at other times when the tissue lay in the same place, where "
        "frames were coded in blocks that stand still. About 0 for a cell.",
    ),
    "companion": QualityWord(
        "1 where it is what a stronger cell beside it leaves",
        "An accepted, stronger cell touches it (three quarters of a diameter), and single frames don't show "
        "this one by itself.",
    ),
    "edge": QualityWord(
        "distance from the lens's edge, cell diameters",
        "Of its place in half of the frames at least, where the recording shows a lens: nearer than half a "
        "diameter the lens's shade cuts footprints off and moves against the tissue. An edge that leaves the "
        "frames for a while goes on just beyond them.",
    ),
    "border": QualityWord(
        "share of the activity in frames whose border cuts the cell",
        "Where the field drifts by half a diameter and more, the frames' border passes over tissue: what "
        "is bright only while it cuts the place is a part of a cell further in or out. 0 within the field.",
    ),
    "seen": QualityWord(
        "share of the frames in which the cell's centre was on the sensor",
        "Below 1 near the border of a recording that moves.",
    ),
    "vessel": QualityWord(
        "share of the footprint that lies on a vessel",
        "Vessels are dark strands of the mean image; flow and motion flicker along them as cells do.",
    ),
}


#: what exports add
ADDED = {
    "track": "number of the cell over days; -1 for none",
    "track_probability": "probability that the cell belongs to its track",
}


def described(name: str) -> str:
    """A quality in a few words; its name, where it is another package's."""
    if name in ADDED:
        return ADDED[name]
    return QUALITIES[name].title if name in QUALITIES else f"quality: {name}"
