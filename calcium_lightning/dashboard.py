"""``python -m calcium_lightning.dashboard``: the project's W&B workspace."""

from __future__ import annotations

from omegaconf import DictConfig

from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError


@entry_point("dashboard")
def main(cfg: DictConfig) -> None:
    """Create the project's W&B workspace: curves, detection, sweeps in parallel coordinates, latest pictures.

    python -m calcium_lightning.dashboard project=calcium-lightning 'parameters=[seed,optimizer.lr]'

    conf/dashboard.yaml says which panels there are; dry_run=true prints the workspace and sends nothing.
    """
    if cfg.url is not None and not cfg.overwrite:
        raise InputError(f"url={cfg.url}: overwrite=true replaces this view; without url= a new one is made")

    import json

    import wandb
    from hydra.utils import instantiate

    from calcium_lightning.loggers.make import has_wandb_key
    from calcium_lightning.loggers.wandb_workspace import as_plain, make_workspace, save

    try:
        workspace = make_workspace(
            cfg.project,
            instantiate(cfg.sections, _convert_="all"),
            name=cfg.name,
            entity=cfg.entity or "",
            columns=cfg.columns,
            group=cfg.group,
        )
    except ValueError as error:
        raise InputError(f"no workspace can be made of it: {error}") from error
    if cfg.dry_run:
        print(json.dumps(as_plain(workspace), indent=2))
        return
    if not has_wandb_key():
        raise InputError("no W&B API key: `wandb login` stores one; dry_run=true prints the workspace")
    try:
        workspace.entity = cfg.entity or str(wandb.Api().default_entity)
        print(f"workspace: {save(workspace, cfg.url)}")
    except (wandb.Error, ValueError, OSError) as error:
        raise InputError(f"W&B: {error}; dry_run=true prints the workspace") from error


if __name__ == "__main__":
    main()
