"""A training run: its folder, its metrics, its checkpoints, its processes.

Knows Lightning and a composed config; knows neither frames nor networks, and nothing of Hydra's command line.
"""
