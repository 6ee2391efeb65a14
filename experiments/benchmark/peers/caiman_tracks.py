"""CaImAn's `register_multisession` on footprints, in CaImAn's own environment.

    CAIMAN_ENV/bin/python peers/caiman_tracks.py FOOTPRINTS.npz ASSIGNMENTS.npy

Templates are each session's largest footprint at each pixel, which its optical flow aligns; everything else
is its default. Prints the seconds that it took, and those of the processor.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from caiman.base.rois import register_multisession
from scipy.sparse import csr_matrix


def main(source: str, target: str) -> None:
    with np.load(source) as content:
        height, width = content["shape"].tolist()
        sessions = [
            csr_matrix(
                (content[f"data{n}"], content[f"indices{n}"], content[f"indptr{n}"]),
                shape=(k, height * width),
            )
            for n, k in enumerate(content["counts"].tolist())
        ]
    images = [one.toarray().reshape(-1, height, width) for one in sessions]
    fortran = [image.transpose(0, 2, 1).reshape(len(image), -1).T for image in images]
    templates = [image.max(0) for image in images]
    begin, cpu = time.perf_counter(), time.process_time()
    _, assignments, _ = register_multisession(A=fortran, dims=(height, width), templates=templates)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    np.save(target, np.where(np.isnan(assignments), -1, assignments).astype(int))
    print(seconds, cpu)


if __name__ == "__main__":
    main(*sys.argv[1:])
