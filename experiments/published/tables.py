"""The tables in Markdown, and every figure as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from dataset import PublishedSession

Rows = dict[str, dict[str, dict[str, float]]]


def write_tables(
    output: Path,
    sessions: list[PublishedSession],
    rows: Rows,
    variants: dict[str, dict[str, Any]],
    introspection: dict[str, dict[str, float]],
    options: dict[str, Any],
) -> None:
    """Write ``results.json`` and ``table.md``, and print the latter."""
    everything = {"options": options, "sessions": rows, "variants": variants, "introspection": introspection}
    (output / "results.json").write_text(json.dumps(everything, indent=2, default=str) + "\n")
    parts = [table_two(sessions, rows), places(rows)]
    parts += [variant_table(variants)] if variants else []
    parts += [introspection_table(introspection)]
    text = "\n\n".join(parts) + "\n"
    (output / "table.md").write_text(text)
    print(text)


def table_two(sessions: list[PublishedSession], rows: Rows) -> str:
    """The paper's Table II beside the reproduction and the new model."""
    lines = [
        "| session | chance | paper: TP, FP, precision, gain | reproduced: TP, FP, precision [95 %], gain "
        "| κ, parts | new: cells, precision [95 %] | κ, parts |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for session in sessions:
        ours, new = rows[session.name]["published"], rows[session.name]["new"]
        paper = session.paper
        told = (
            f"{paper.tp}, {paper.fp}, {paper.precision:.2f}, {paper.improvement:+.2f}"
            if paper
            else "not there"
        )
        lines.append(
            f"| {session.name}{' (test)' if session.test else ''} | {ours['chance']:.3f} | {told} | "
            f"{ours['tp']:.0f}, {ours['fp']:.0f}, {_interval(ours, 'precision')}, {ours['improvement']:+.2f} "
            f"| {_kappa(ours)} | {new['tp'] + new['fp']:.0f}, {_interval(new, 'precision')} | {_kappa(new)} |"
        )
    return "\n".join(lines)


def places(rows: Rows) -> str:
    """Where in the cells: 0 at the edge, 1 at the centre."""
    methods = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [
        "Depth of true positives in their cells (0: edge, 1: centre) [95 %], and median distance to the "
        "nearest centre, pixels of the mask; chance: all pixels of the mask.",
        "",
        "| session | chance | " + " | ".join(methods) + " |",
        "| --- | --- |" + " --- |" * len(methods),
    ]
    for session, row in rows.items():
        any_row = row["published"]
        cells = [
            f"{_interval(row[name], 'depth')}, {row[name]['center_distance']:.1f} px" if name in row else ""
            for name in methods
        ]
        chance = f"{any_row['depth_chance']:.2f}, {any_row['center_distance_chance']:.1f} px"
        lines.append(f"| {session} | {chance} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def variant_table(variants: dict[str, dict[str, Any]]) -> str:
    """Each switch: means over the sessions."""
    lines = [
        "| variant | held-out error / variance | pixels | precision − chance | gain | κ | parts "
        "| depth − chance |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, figures in variants.items():
        sessions = [part for key, part in figures.items() if key != "training"]

        def mean(*keys: str, sessions: list[dict[str, float]] = sessions) -> float:
            return float(
                np.nanmean([part[keys[0]] - sum(part[key] for key in keys[1:]) for part in sessions])
            )

        held = figures["training"].get("val/unexplained")
        hit, parts = (sum(part[key] for part in sessions) for key in ("parts_hit", "parts"))
        pixels = np.mean([part["tp"] + part["fp"] for part in sessions])
        lines.append(
            f"| {name} | {held:.3f} | {pixels:.0f} | {mean('precision', 'chance'):+.3f} "
            f"| {mean('improvement'):+.3f} | {mean('kappa'):+.3f} | {hit:.0f}/{parts:.0f} "
            f"| {mean('depth', 'depth_chance'):+.3f} |"
        )
    return "\n".join(lines)


def introspection_table(introspection: dict[str, dict[str, float]]) -> str:
    """Mean squared errors without parts of the latent."""
    keys = list(dict.fromkeys(key for figures in introspection.values() for key in figures))
    lines = ["| latent | " + " | ".join(introspection) + " |", "| --- |" + " --- |" * len(introspection)]
    for key in keys:
        values = (f"{figures[key]:.5g}" if key in figures else "" for figures in introspection.values())
        lines.append(f"| {key} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _interval(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.2f} [{figures[name + '_low']:.2f}, {figures[name + '_high']:.2f}]"


def _kappa(figures: dict[str, float]) -> str:
    return f"{figures['kappa']:.2f}, {figures['parts_hit']:.0f}/{figures['parts']:.0f}"
