"""What the published system adds to the package's commands, as any installed package may.

The package's entry point ``calcium_lightning.parts`` names this module. It imports nothing heavy: a model is
loaded when a checkpoint of its kind is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calcium_lightning.core.parts import register, rename

if TYPE_CHECKING:
    from calcium_lightning.replications.teng2021.extract import CoordinateDetector

#: the key of a checkpoint's architecture that tells these networks from the package's own
KIND = "published"
ROOM = __name__.rpartition(".")[0]


def load_model(checkpoint: Path | str) -> CoordinateDetector:
    """A checkpoint of ``model=published``, as ``extract`` uses it."""
    from calcium_lightning.replications.teng2021.extract import CoordinateDetector, load_published

    return CoordinateDetector(load_published(checkpoint))


register("model", KIND, load_model)
# What checkpoints of earlier versions call the modules of these parts.
rename("calcium_lightning.nn.published", ROOM)
rename("calcium_lightning.published", ROOM)
