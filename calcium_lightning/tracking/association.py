"""Who may be whom: probabilities of a one-to-one matching, from the odds of single pairs.

Knows a sparse bipartite graph with a weight on each edge. Rows and columns may stay alone, with weight 1.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

#: rounds of belief propagation, and the change at which it ends early
ROUNDS, CONVERGED = 100, 1e-4


def match_probabilities(
    rows: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    n_rows: int,
    n_columns: int,
    rounds: int = ROUNDS,
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


def best_matching(rows: np.ndarray, columns: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The one-to-one matching with the largest sum of gains; who gains nothing stays alone.

    Solved exactly, by the Hungarian method in each connected group of pairs.

    Parameters
    ----------
    rows, columns : ndarray, int (E,)
        The pairs, each once.
    gains : ndarray, float (E,)
        Of each.

    Returns
    -------
    ndarray, int64
        Indices of the pairs that are chosen.

    Examples
    --------
    >>> import numpy as np
    >>> best_matching(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([3.0, 2.0, 2.5]))
    array([1, 2])
    """
    kept = np.flatnonzero(gains > 0)
    if not len(kept):
        return kept
    row_ids, i = np.unique(rows[kept], return_inverse=True)
    column_ids, j = np.unique(columns[kept], return_inverse=True)
    size = len(row_ids) + len(column_ids)
    graph = coo_array((np.ones(len(kept), bool), (i, len(row_ids) + j)), shape=(size, size))
    group = connected_components(graph, directed=False)[1][i]
    order = np.argsort(group, kind="stable")
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(begins, append=len(order))
    chosen = [order[begins[sizes == 1]]]  # most have no rival
    for begin, count in zip(begins[sizes > 1], sizes[sizes > 1], strict=True):
        edges = order[begin : begin + count]
        _, a = np.unique(i[edges], return_inverse=True)
        _, b = np.unique(j[edges], return_inverse=True)
        value = np.zeros((a.max() + 1, b.max() + 1))
        edge = np.full(value.shape, -1, np.int64)
        value[a, b], edge[a, b] = gains[kept][edges], edges
        found = edge[linear_sum_assignment(value, maximize=True)]
        chosen.append(found[found >= 0])
    return np.sort(kept[np.concatenate(chosen)])
