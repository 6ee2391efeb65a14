"""Sparse matrices that a stranger's file describes: SciPy believes their indices and writes where they say.

Knows SciPy's matrices; no file.
"""

from __future__ import annotations

from typing import Any, TypeVar

from calcium_lightning.core.errors import InputError

Matrix = TypeVar("Matrix", bound=Any)


def checked(matrix: Matrix, where: object) -> Matrix:
    """The same matrix, by rows or by columns, once all its indices were seen to lie in it.

    Raises
    ------
    InputError
        After ``where``.
    """
    try:
        starts = matrix.indptr  # SciPy looks at these only where the last isn't 0
        if len(starts) and (starts[0] != 0 or (starts[1:] < starts[:-1]).any()):
            raise ValueError("its rows or columns don't follow each other")
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise InputError(
            f"{where}: a sparse matrix of parts that don't fit ({error}); make it anew"
        ) from error
    return matrix
