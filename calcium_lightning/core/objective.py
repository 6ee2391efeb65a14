"""What a search that somebody else runs optimises: one number, whatever a run's own figures are called.

For: sweep files, and the logger that writes the number.
Must not know: either.
"""

#: the best value so far of the figure that chooses a run's best checkpoint
OBJECTIVE = "objective"
