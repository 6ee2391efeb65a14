"""Networks and their differentiable painters, on tensors only.

For: the parts that a model is put together from: CoordConv, encoder, coordinate head, coordinates, splat,
background.
Must not know: files, configuration trees, training loops.
"""
