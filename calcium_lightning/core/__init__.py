"""What every room may use: errors, progress, device, whole files, hashes, and the types that all speak.

For: the few things that sessions, networks, cells and pages have in common.
Must not know: any room above it; it imports nothing of the package but itself.
"""
