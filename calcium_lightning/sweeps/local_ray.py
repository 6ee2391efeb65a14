"""A Ray that is started for a sweep on this machine is for this user alone.

Ray listens on all interfaces, and whoever reaches it runs code; its folder and its address are in the
temporary folder, where the next user's sweep would find them. Knows Ray's environment variables, which count
until it is imported; nothing of jobs.
"""

from __future__ import annotations

import os
import secrets
import sys

from hydra.plugins.launcher import Launcher

from calcium_lightning.core.locks import own_folder

#: what ``hydra.launcher.ray.init.address`` is for a Ray of one's own, on this machine
LOCAL = "local"


def keep_local(launcher: Launcher) -> None:
    """Let a launcher's Ray listen on the loopback interface only, ask for a token, and keep to an own folder.

    Does nothing for other launchers, and for clusters that are named by their address: they were set up by
    somebody who knows their network. What the user has set himself stays.
    """
    config = getattr(launcher, "ray_cfg", None)
    if config is None or config.init.get("address") != LOCAL or "ray" in sys.modules:
        return
    settings = {
        # Ray's own way for systems whose firewalls would ask: no address but 127.0.0.1
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": str(own_folder("calcium-lightning")),
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
