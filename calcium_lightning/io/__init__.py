"""Foreign files: readers of recordings behind one protocol, annotators' truth, exporters of cells.

Knows other people's formats and our two files; knows nothing of tensors, models or methods. Importing it
imports no format's library: each reader loads its own when a file of its kind is opened.
"""
