"""``python -m calcium_lightning.runs.rank``: one process of a run; :mod:`~calcium_lightning.runs.launch`
starts it.

Reads one line of JSON from standard input: the job's composed config and its folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Train as one of several processes; the exit status is the command's."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    order = json.loads(sys.stdin.readline())

    from omegaconf import OmegaConf

    from calcium_lightning import cli
    from calcium_lightning.errors import InputError
    from calcium_lightning.runs.launch import watch_parent

    watch_parent()
    try:
        from calcium_lightning.runs.training import train

        train(OmegaConf.create(order["config"]), Path(order["folder"]), ranked=True)
    except KeyboardInterrupt:
        return cli.EXIT_INTERRUPT
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else cli.EXIT_FAILURE
    except InputError as error:  # every rank has it; one line is enough
        return cli.report("train", error) if os.environ["LOCAL_RANK"] == "0" else cli.EXIT_INPUT
    except Exception as error:
        return cli.report("train", error)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a process group that has lost a member may hang on its way out
