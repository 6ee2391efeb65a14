"""The tasks that CoordConv was made for (Liu et al. 2018, arXiv:1807.03247): coordinates to pixels and back.

For: their positions, splits, questions and training, so that layers can be compared where the answer is
known.
Must not know: recordings, cells, or how the networks are built.
"""
