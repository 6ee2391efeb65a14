"""``python -m calcium_lightning.dashboard``: the project's W&B workspace."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError


@entry_point("dashboard")
def main(cfg: DictConfig) -> None:
    """Create the project's W&B workspace: curves, detection, sweeps in parallel coordinates, latest pictures.

    python -m calcium_lightning.dashboard project=calcium-lightning 'parameters=[seed,optimizer.lr]'

    conf/dashboard.yaml says which panels there are; dry_run=true prints the workspace and sends nothing.
    With report=TITLE it is a draft of a report on these runs: the panels, and the questions to answer.
    """
    if cfg.url is not None and not cfg.overwrite:
        raise InputError(f"url={cfg.url}: overwrite=true replaces this view; without url= a new one is made")

    import json

    import wandb
    from hydra.utils import instantiate

    from calcium_lightning.loggers.make import has_wandb_key
    from calcium_lightning.loggers.wandb_workspace import as_plain, make_report, make_workspace, save

    def made(entity: str) -> Any:
        sections = instantiate(cfg.sections, _convert_="all")
        of = {"entity": entity, "group": cfg.group}
        if cfg.report is not None:
            return make_report(cfg.project, sections, title=cfg.report, questions=cfg.questions, **of)
        return make_workspace(cfg.project, sections, name=cfg.name, columns=cfg.columns, **of)

    try:
        view = made("")
    except ValueError as error:
        raise InputError(f"no workspace can be made of it: {error}") from error
    if cfg.dry_run:
        print(json.dumps(as_plain(view), indent=2))
        return
    if not has_wandb_key():
        raise InputError("no W&B API key: `wandb login` stores one; dry_run=true prints the workspace")
    try:
        view = made(cfg.entity or str(wandb.Api().default_entity))
        if cfg.report is not None:
            view.save(draft=True)
            print(f"draft of a report: {view.url}")
        else:
            print(f"workspace: {save(view, cfg.url)}")
    except (wandb.Error, ValueError, OSError) as error:
        raise InputError(f"W&B: {error}; dry_run=true prints the workspace") from error


if __name__ == "__main__":
    main()
