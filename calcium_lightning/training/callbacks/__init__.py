"""Beside the training: pictures, progress, an orderly stop. Knows Lightning and the model's output."""
