"""Who may be whom: probabilities of a one-to-one matching, from the odds of single pairs.

Knows a sparse bipartite graph with a weight on each edge. Rows and columns may stay alone, with weight 1.
"""

from __future__ import annotations

import numpy as np

#: rounds of belief propagation, and the change at which it ends early
ROUNDS, CONVERGED = 100, 1e-4


def match_probabilities(
    rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, n_rows: int, n_columns: int, rounds: int = ROUNDS
) -> np.ndarray:
    """Probability of each pair under all matchings in which nobody is taken twice.

    Sums over the matchings by belief propagation, which converges to the one fixed point (Williams & Lau
    2014, "Approximate evaluation of marginal association probabilities with belief propagation").

    Parameters
    ----------
    rows, columns : ndarray, int (E,)
        The pairs.
    weights : ndarray, float (E,)
        Odds of each pair against both staying alone.
    n_rows, n_columns : int
        How many there are of each.
    rounds : int
        The most rounds.

    Returns
    -------
    ndarray, float64 (E,)

    Examples
    --------
    >>> import numpy as np
    >>> match_probabilities(np.array([0]), np.array([0]), np.array([3.0]), 1, 1)
    array([0.75])
    """
    back = np.ones(len(rows))
    mine = np.zeros(len(rows))
    for _ in range(rounds):
        mine = weights * back
        to_column = weights / (1 + np.bincount(rows, mine, n_rows)[rows] - mine)
        after = 1 / (1 + np.bincount(columns, to_column, n_columns)[columns] - to_column)
        change = np.abs(after - back).max(initial=0.0)
        back = after
        if change < CONVERGED:
            break
    mine = weights * back
    return mine / (1 + np.bincount(rows, mine, n_rows)[rows])
