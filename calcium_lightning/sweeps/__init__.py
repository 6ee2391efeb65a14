"""Many jobs of one command: which settings, where they run, and what becomes of those that fail.

For: Hydra's sweepers (a grid, a search with pruning), and the callback that gives hopeless runs up.
Must not know: what is trained.
"""
