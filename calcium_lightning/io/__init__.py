"""Files: sessions and cells, readers of recordings, annotators' truth, exporters of cells.

For: other people's formats and ours. Importing it imports no format's library: each reader loads its own when
a file of its kind is opened.
Must not know: models, methods.
"""
