"""What a run leaves in W&B besides figures, and what it came from.

Knows wandb's artifacts and a run's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calcium_lightning.core.hashing import sha256_of
from calcium_lightning.nn.checkpoint import DEFAULT
from calcium_lightning.runs.folder import RunFolder
from calcium_lightning.runs.jobs import read_job


def log_checkpoints(run: Any, folder: RunFolder) -> None:
    """Log ``best.ckpt`` and ``last.ckpt`` as versions of one model, with those aliases.

    They are not copied: a finished run's checkpoints stay as they are, and an offline run is uploaded from
    its folder.

    Parameters
    ----------
    run : wandb.Run
        Offline or online.
    folder : RunFolder
        The run's folder.
    """
    import wandb

    for path in (folder.best, folder.last):
        if path.is_file():
            artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata={"file": str(path)})
            artifact.add_file(str(path), name="model.ckpt", policy="immutable", skip_cache=True)
            run.log_artifact(artifact, aliases=[path.stem])


def use_model(run: Any, checkpoint: Path | None) -> None:
    """Note which weights a run used: those of a training's run where they are one's, else the file's own.

    The same content under the same name is the same version, so that this leads to the run that made it.

    Parameters
    ----------
    run : wandb.Run
        Online; offline W&B can't.
    checkpoint : Path or None
        The file; None for the weights in the package.
    """
    import wandb

    path = DEFAULT if checkpoint is None else checkpoint
    job = None if checkpoint is None else read_job(checkpoint.resolve().parent.parent)
    name = f"model-{job.id}" if job is not None and job.id else f"weights-{sha256_of(path)[:16]}"
    artifact = wandb.Artifact(name, type="model", metadata={"file": str(path)})
    artifact.add_file(str(path), name="model.ckpt", policy="immutable", skip_cache=True)
    run.use_artifact(artifact)


def log_cells(run: Any, path: Path, facts: Mapping[str, Any]) -> None:
    """Log a cells file as a version of the cells of its session.

    Parameters
    ----------
    run : wandb.Run
        Offline or online.
    path : Path
        The cells file.
    facts : mapping
        Its metadata; ``session_sha256`` names it.
    """
    import wandb

    artifact = wandb.Artifact(f"cells-{facts['session_sha256'][:16]}", type="cells", metadata=dict(facts))
    artifact.add_file(str(path), name="cells.h5", policy="immutable", skip_cache=True)
    run.log_artifact(artifact)


def use_sessions(run: Any, data: Mapping[str, str]) -> None:
    """Note that a run was made from session files, by reference: nothing is uploaded.

    Parameters
    ----------
    run : wandb.Run
        Online; offline W&B can't.
    data : mapping
        Path of each session, and its SHA-256.
    """
    import wandb

    for path, sha256 in data.items():
        name = Path(path).name
        artifact = wandb.Artifact(
            f"session-{sha256[:16]}", type="session", metadata={"sha256": sha256, "file": name}
        )
        artifact.add_reference(Path(path).resolve().as_uri(), name=name, checksum=False)
        run.use_artifact(artifact)
