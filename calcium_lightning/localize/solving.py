"""Deconvolution of traces by ``calab``, and a process that does nothing else.

:mod:`~calcium_lightning.localize.solvers` starts this file as a script, which imports NumPy and ``calab``
only. Must not know: anything else of the package.
"""

from __future__ import annotations

import pickle
import sys

import numpy as np
from calab._compute import PySolver

#: rise and decay of the calcium kernel (s), L1 penalty in units of the kernel's sum, Hz; most iterations
Problem = tuple[float, float, float, float, int]
#: spikes and fitted traces, float32 (K, T), and the level below each trace, float32 (K, 1)
Solution = tuple[np.ndarray, np.ndarray, np.ndarray]


def solve(traces: np.ndarray, problem: Problem) -> Solution:
    """Deconvolve traces, float32 (K, T), in units of their noise; none depends on another."""
    *parameters, iterations = problem
    fitted, spikes = np.zeros_like(traces), np.zeros_like(traces)
    level = np.zeros((len(traces), 1), np.float32)
    # Not calab's function for many traces at once, which takes a rolling percentile off them first: that of a
    # cell that is lit for long is its own activity.
    solver = PySolver()
    solver.set_conv_mode("banded")  # as long a time for each frame, however many there are
    solver.set_params(*parameters)
    for row, trace in enumerate(traces if traces.size else ()):
        solver.set_trace(np.ascontiguousarray(trace, np.float32))
        solver.step_batch(iterations)  # ``solve`` rounds up to hundreds
        spikes[row], fitted[row] = solver.get_solution(), solver.get_reconvolution()
        level[row] = solver.get_baseline()
    return spikes, fitted, level


def main() -> None:
    """Answer what is asked, until nothing more can be: whoever asks has ended, however it did."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            pickle.dump(solve(*pickle.load(questions)), answers, protocol=5)
            answers.flush()
        except (EOFError, BrokenPipeError):
            return


if __name__ == "__main__":
    main()
