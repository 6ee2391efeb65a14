"""A job: its identity, its folder, its past, and its end.

For: running a job once, going on where it was broken off, and telling how it ended.
Must not know: frames, networks, how a training goes.
"""
