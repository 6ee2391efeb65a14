"""Cells that other people's programs found, as :class:`~calcium_lightning.core.cells.Cells`.

For: whatever works on cells: figures, reports, tracking, exports. One file a program, one table.
Must not know: what is done with them.
"""
