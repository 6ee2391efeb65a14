"""Beside the training: pictures, tables, a line per epoch, an orderly stop.

For: what Lightning calls between steps and epochs.
Must not know: what is learned from; they look at the model's output only.
"""
