"""Readers of recordings in other people's formats: one file a format, one table that chooses.

For: frames, frame rate, time stamps and scale, exactly as the file has them.
Must not know: what becomes of the frames. Each loads its format's library when a file of its kind is opened.
"""
