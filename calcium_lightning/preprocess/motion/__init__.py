"""The motion of the tissue, sub-pixel, in one stream over the frames: rigid, or at places over the field.

For: the shifts of every frame, and frames with them undone.
Must not know: files, or what is done with the frames afterwards.
"""
