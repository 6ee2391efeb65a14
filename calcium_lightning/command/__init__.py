"""How every command is started: arguments, help, schemas and checks of keys, failures, interrupts, the job.

For: what the entry points in the package's root share, so that they hold one call each.
Must not know: what any command does.
"""
