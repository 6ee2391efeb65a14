"""What localises cells in windows of frames: the network, or a baseline to compare it with.

For: detectors that ``extract`` can choose from (config group ``detector``).
Must not know: how their localisations become cells.
"""
