"""Windows of frames over sessions: blocks, crops, splits, samplers and the LightningDataModule.

For: batches of windows to learn from, the same ones for the same seed whatever the number of processes.
Must not know: networks, losses, Hydra.
"""
