"""Windows of frames over sessions: blocks, crops, splits, samplers and the LightningDataModule.

Knows sessions, what preprocessing makes of them, and tensors; knows no network, no loss and no Hydra.
"""
