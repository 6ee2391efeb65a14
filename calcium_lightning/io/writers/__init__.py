"""Writers of cells in other people's formats: one file a format, one table that chooses.

For: going on with cells in other tools.
Must not know: how cells were found.
"""
