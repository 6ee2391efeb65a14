"""What is learned and how: LightningModules, losses, schedule, checkpoints, callbacks, and the fit itself.

For: from a composed config and data to a trained model in a run's folder, in one process.
Must not know: sweeps, launchers, or how a run's folder was chosen.
"""
