"""Where figures go: ``metrics.csv`` always, and W&B or TensorBoard beside it.

For: what a run tells of itself while it goes on, and what it leaves there.
Must not know: what is trained.
"""
