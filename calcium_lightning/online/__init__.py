"""While recording: each cell's activity within a frame's time, and the offline result afterwards.

For: closed-loop experiments, in Python or through lines and outlets.
Must not know: how a recording was prepared or cells were found; it asks the pipeline.
"""
