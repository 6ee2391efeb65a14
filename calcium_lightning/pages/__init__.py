"""Pages that people look at: self-contained HTML, pictures inside, nothing from the network.

Knows the data types of cells and figures, and how to draw them; knows nothing of how they were found. Names
and texts from files are data: templates escape them.
"""
