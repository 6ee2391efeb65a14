"""What is done to frames before anything is localised: defects, motion, flat field, baseline, scale.

For: from the frames of a session to the foreground at the network's scale, in units of its noise.
Must not know: networks, cells, trainings.
"""
