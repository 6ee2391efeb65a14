"""Many jobs of one command: which settings, where they run, and what becomes of those that fail.

Knows Hydra, Optuna and jobs' results; knows nothing of trainings.
"""
