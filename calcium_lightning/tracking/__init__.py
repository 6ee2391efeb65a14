"""The same cells across sessions: fields brought onto each other, cells matched, tracks through all sessions.

For: whoever has recorded one animal on several days.
Must not know: how cells were found; it knows their footprints.
"""
