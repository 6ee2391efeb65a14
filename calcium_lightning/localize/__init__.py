"""From localisations to cells: gathered, split, merged, their footprints, traces, activity and quality.

For: everything between a detector's localisations per frame and the cells of a session.
Must not know: trainings, runs, commands, or where frames come from.
"""
