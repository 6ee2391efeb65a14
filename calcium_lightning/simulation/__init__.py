"""The forward model: cells, calcium, background, motion and sensor, to a session file with its truth.

For: recordings whose truth is known, from published optics and statistics; no other simulator's code or
constants.
Must not know: how cells are found again.
"""

from calcium_lightning.simulation.hardships import with_hardships
from calcium_lightning.simulation.randomize import random_settings
from calcium_lightning.simulation.scene import Scene
from calcium_lightning.simulation.session import SceneSession
from calcium_lightning.simulation.settings import SceneSettings
from calcium_lightning.simulation.writing import write_session

__all__ = ["Scene", "SceneSession", "SceneSettings", "random_settings", "with_hardships", "write_session"]
