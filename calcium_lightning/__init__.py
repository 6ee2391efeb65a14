"""Neurons in one-photon calcium imaging: analysis by synthesis with learnable coordinates.

The rooms, in the direction data flows: :mod:`~calcium_lightning.io.session` (frames) → ``data`` (windows) →
``nn`` and ``model`` (localisations) → ``localize`` (cells) → :mod:`~calcium_lightning.core.cells`, ``io`` and
``pages`` (files and pages). Importing the package imports none of them: commands start fast.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("calcium-lightning")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
