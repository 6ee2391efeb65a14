"""The processes of one job: started, watched and ended together, or joined where others started them.

For: several processes on a machine, torchrun, SLURM.
Must not know: what the job computes.
"""
