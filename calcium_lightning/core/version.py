"""Which version of the package this is, as files and runs note it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("calcium-lightning")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
