"""The published system as experiments of this package (Teng, Putti, Schneider 2021).

For: its frames, losses, optimisers, pretraining, coordinates as cells, and what it was asked by its authors.
Must not know: the package's own method; both meet in sessions, cells files and metrics.
"""
