"""Pages that people look at: self-contained HTML, pictures inside, nothing from the network.

For: drawing cells and figures. Names and texts from files are data: templates escape them.
Must not know: how cells were found.
"""
