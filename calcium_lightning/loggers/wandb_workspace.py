"""The W&B workspace in which the runs of a project stand side by side.

Knows wandb-workspaces; which panels there are stands in ``conf/dashboard.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import wandb_workspaces.reports.v2 as reports
import wandb_workspaces.workspaces as workspaces


def parallel_coordinates(parameters: Sequence[str], figures: Sequence[str], title: str | None = None) -> Any:
    """Parameters of a sweep against what came out.

    Parameters
    ----------
    parameters : sequence of str
        Keys of the config, dotted.
    figures : sequence of str
        Keys of the summary, such as ``val/f1.max``.
    title : str, optional
        Above the panel.

    Returns
    -------
    wandb_workspaces.reports.v2.ParallelCoordinatesPlot
    """
    metrics: list[Any] = [*map(reports.Config, parameters), *map(reports.SummaryMetric, figures)]
    columns = [
        reports.ParallelCoordinatesPlotColumn(metric=metric, display_name=metric.name) for metric in metrics
    ]
    return reports.ParallelCoordinatesPlot(columns=columns, title=title)


def make_workspace(
    project: str,
    sections: Sequence[Any],
    *,
    name: str,
    entity: str = "",
    columns: Sequence[str] = (),
    group: str | None = None,
) -> workspaces.Workspace:
    """Put sections together; nothing is sent.

    Parameters
    ----------
    project, entity : str
        Whose runs.
    sections : sequence of wandb_workspaces.workspaces.Section
        The panels.
    name : str
        Of the saved view.
    columns : sequence of str
        Beside the names of the runs, as ``summary:val/f1.max`` or ``config:seed``.
    group : str, optional
        Only the runs of this sweep.
    """
    only = "" if group is None else f"Metric('Group') = {group!r}"
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=list(sections),
        runset_settings=workspaces.RunsetSettings(pinned_columns=list(columns), filters=only),
    )


def make_report(
    project: str,
    sections: Sequence[Any],
    *,
    title: str,
    entity: str = "",
    questions: Mapping[str, str],
    group: str | None = None,
) -> reports.Report:
    """A report to fill in: what was asked, the runs' panels, and room for what they say; nothing is sent.

    Parameters
    ----------
    project, entity : str
        Whose runs.
    sections : sequence of wandb_workspaces.workspaces.Section
        The panels, those of the workspace.
    title : str
        Of the report.
    questions : mapping of str to str
        Heading -> what belongs there. The panels stand after the first.
    group : str, optional
        Only the runs of this sweep.
    """
    only = "" if group is None else f"Metric('Group') = {group!r}"
    blocks: list[Any] = [reports.TableOfContents()]
    for number, (heading, text) in enumerate(questions.items()):
        blocks += [reports.H1(heading), reports.P(text)]
        if number:
            continue
        for section in sections:
            runs = reports.Runset(entity=entity, project=project, filters=only)
            blocks += [
                reports.H2(section.name),
                reports.PanelGrid(runsets=[runs], panels=list(section.panels)),
            ]
    return reports.Report(entity=entity, project=project, title=title, width="fluid", blocks=blocks)


def as_plain(view: workspaces.Workspace | reports.Report) -> dict[str, Any]:
    """What W&B would be sent, in plain containers."""
    return dict(view._to_model().model_dump(by_alias=True, exclude_none=True, mode="json"))


def save(workspace: workspaces.Workspace, url: str | None = None) -> str:
    """Save a workspace, as a new view or in place of another, and return its address.

    Parameters
    ----------
    workspace : Workspace
        With an entity.
    url : str, optional
        The view to replace.
    """
    if url is not None:
        earlier = workspaces.Workspace.from_url(url)
        workspace._internal_name, workspace._internal_id = earlier._internal_name, earlier._internal_id
    return str(workspace.save().url)
