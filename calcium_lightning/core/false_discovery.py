"""How many of the accepted cells are expected to be false, and why none is accepted; in words for people.

Knows counts; nothing of cells, nor of how they were judged.
"""

from __future__ import annotations

from dataclasses import dataclass

#: upside down, a negative holds so many times as many candidates as it is
NEGATIVE = 2


@dataclass(frozen=True)
class FalseDiscovery:
    """How many of the accepted cells are expected to be false, and how that is known.

    Attributes
    ----------
    fdr : float
        The false-discovery rate that was asked for.
    expected_false : float
        Accepted cells that are expected to be none.
    basis : {"learned", "twin", "simulations"}
        By a score learned from the recording and its twin, by the fitted score and the twin, or by the fitted
        score alone: too little was found in the twin to learn from.
    targets, decoys : int
        Candidates of the recording, and of the twin.
    """

    fdr: float
    expected_false: float
    basis: str
    targets: int
    decoys: int

    def in_words(self, accepted: int) -> str:
        """One line about so many accepted cells."""
        about = "fewer than 1" if self.expected_false < 1 else f"about {self.expected_false:.0f}"
        by = {
            "learned": "learned from this recording and its twin, upside down",
            "twin": "by this recording's twin, upside down",
            "simulations": "by a score fitted on simulations: too few candidates to learn from",
        }
        return f"{about} of {accepted} expected to be false ({by.get(self.basis, self.basis)})"

    def why_none(self, real: int) -> str:
        """Why none of the candidates is accepted, so many of which are more than chance: one line."""
        if real:
            return f"{real} stand out from chance, but none passes the tests of what looks like a cell"
        if self.basis == "simulations":
            return "none is enough like a simulated cell"
        if self.decoys >= NEGATIVE * self.targets:
            return (
                f"upside down, the frames hold {self.decoys} candidates: if they are a negative, swap bright "
                "and dark before they are ingested"
            )
        return f"none stands out from the {self.decoys} that the frames hold upside down, where no cell is"
