"""Cells against truth: a table, and the figures as JSON.

The truth is a session file's ``/truth`` (simulated cells and motion, an annotator's mask) or a mask in a
file of its own. The figures themselves are :class:`calcium_lightning.metrics.scorecard.Scorecard`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from calcium_lightning.command.inputs import as_paths
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import InputError
from calcium_lightning.sweeps.plugins import register

if TYPE_CHECKING:
    import numpy as np

    from calcium_lightning.io.session import Truth

FORMAT, VERSION = "calcium-lightning-metrics", 1


def evaluate(
    cells: list[Path],
    truth: list[Path],
    unknown: list[Path] | None = None,
    *,
    count_rejected: bool = False,
    radius: float = 6.0,
) -> dict[str, Any]:
    """Compare cells files with their truths.

    Parameters
    ----------
    cells, truth : list of Path
        Pairs of files; one truth may serve several cells files.
    unknown : list of Path, optional
        Masks (.npy) of the pixels to leave out, as many as truths.
    count_rejected : bool
        Count the cells that failed the quality tests too.
    radius : float
        How far a centre may lie from the true one, pixels.

    Returns
    -------
    dict
        ``recordings``: a list of ``{cells, truth, figures}``; ``together``: the figures of all. Their names
        are those of :meth:`~calcium_lightning.metrics.scorecard.Scorecard.together`.

    Raises
    ------
    InputError
        If files can't be read, don't pair, or don't fit each other.
    """
    from calcium_lightning.io.cells_file import read_cells
    from calcium_lightning.metrics.scorecard import Scorecard

    truths = _paired(truth, len(cells), "truth")
    masks = _paired(unknown, len(cells), "unknown") if unknown else [None] * len(cells)
    if not radius > 0:
        raise InputError(f"radius={radius}: it must be above 0 pixels")
    card = Scorecard(radius, count_rejected)
    recordings = []
    for cells_path, truth_path, unknown_path in zip(cells, truths, masks, strict=True):
        found = read_cells(cells_path)
        true = read_truth(truth_path, (found.n_frames, *found.frame_shape))
        left_out = None if unknown_path is None else read_mask(unknown_path)
        if left_out is not None and true.mask is None:
            raise InputError(f"unknown={unknown_path}: {truth_path} has no mask to leave pixels out of")
        try:
            figures = card.add(found, true, left_out)
        except ValueError as error:
            raise InputError(f"{cells_path} and {truth_path} don't fit: {error}") from error
        recordings.append({"cells": str(cells_path), "truth": str(truth_path), "figures": figures})
    return {
        "format": FORMAT,
        "version": VERSION,
        "counts_rejected": count_rejected,
        "radius_px": radius,
        "recordings": recordings,
        "together": card.together(),
    }


def read_truth(path: Path, shape: tuple[int, int, int]) -> Truth:
    """The truth in a session file, an annotator's mask in a .npy file, or what ``ingest truth=`` reads.

    Parameters
    ----------
    path : Path
        A session; a mask (H', W') in a .npy file; a mask, labels or footprints in a .png or .mat file.
    shape : tuple of int
        (T, H, W) of the recording.

    Raises
    ------
    InputError
        If the file can't be read or holds no truth.
    """
    from calcium_lightning.io.session import Session, Truth

    if path.suffix.lower() == ".npy":
        return Truth(mask=read_mask(path))
    if path.suffix.lower() in (".png", ".mat"):
        from calcium_lightning.io.truth import read_truth as read_foreign

        return read_foreign(path, shape)
    with Session(path) as session:
        truth = session.truth
    if truth is None or (truth.footprints is None and truth.mask is None and truth.shifts is None):
        raise InputError(f"{path}: a session without /truth; give one that has it, or a mask (.npy)")
    return truth


def read_mask(path: Path) -> np.ndarray:
    """A mask, (H', W') numbers or bool, from a .npy file.

    Raises
    ------
    InputError
        If it is missing or isn't a two-dimensional array.
    """
    import numpy as np

    if not path.is_file():
        raise InputError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a NumPy array that can be read ({error})") from error
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype.kind not in "biuf":
        shape = getattr(mask, "shape", "an archive")
        raise InputError(f"{path}: a mask is one array of numbers with two dimensions, this is {shape}")
    return mask


def _paired(paths: list[Path], count: int, name: str) -> list[Path]:
    if len(paths) == 1:
        return paths * count
    if len(paths) != count:
        raise InputError(f"{name}: {len(paths)} files for {count} cells files; give as many, or one for all")
    return paths


@entry_point("evaluate", plugins=register)
def main(cfg: DictConfig) -> None:
    """Compare cells with a simulated session's truth or with an annotator's mask.

    The truth is a session file with /truth, or a mask (.npy, its own resolution, non-zero inside some cell).
    Centres within radius= pixels match one to one after the best global offset. r is Pearson's of the
    denoised trace with the true calcium; "both" is the F1 of cells that are found with r > 0.8.
    """
    import json

    from calcium_lightning.core.atomic import atomic_path, check_output

    output = None if cfg.output is None else as_paths(cfg.output)[0]
    if output is not None:
        check_output(output, cfg.overwrite)
    result = evaluate(
        as_paths(cfg.cells),
        as_paths(cfg.truth),
        None if cfg.unknown is None else as_paths(cfg.unknown),
        count_rejected=cfg.all,
        radius=cfg.radius,
    )
    show(result)
    if output is not None:
        with atomic_path(output, cfg.overwrite) as temporary:
            temporary.write_text(json.dumps(_without_nan(result), indent=2, allow_nan=False) + "\n")
        print(f"figures: {output}")


# title -> (figure, heading, format)
TABLES: dict[str, list[tuple[str, str, str]]] = {
    "cells": [
        ("cells", "cells", ".0f"),
        ("true_cells", "true", ".0f"),
        ("precision", "precision", ".3f"),
        ("recall", "recall", ".3f"),
        ("f1", "F1", ".3f"),
        ("center_error", "centre error px", ".3f"),
        ("correlation", "r", ".3f"),
        ("both", "both", ".3f"),
    ],
    "recall by place, motion": [
        ("recall_inner", "inner", ".3f"),
        ("recall_border", "border", ".3f"),
        ("recall_dim", "dim, inner", ".3f"),
        ("recall_bright", "bright, inner", ".3f"),
        ("motion_rmse_y", "motion y px", ".3f"),
        ("motion_rmse_x", "motion x px", ".3f"),
    ],
    "annotator's mask": [
        ("mask_cells", "cells", ".0f"),
        ("mask_precision", "precision", ".3f"),
        ("mask_chance", "chance", ".3f"),
        ("mask_kappa", "kappa", ".3f"),
        ("mask_parts_hit", "parts hit", ".0f"),
        ("mask_parts", "of", ".0f"),
    ],
}


def show(result: dict[str, Any]) -> None:
    """Print the figures of :func:`evaluate` as tables on stdout."""
    import sys

    from rich.console import Console
    from rich.table import Table

    # a pipe has no width: lines must not break there
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
    rows = [(Path(item["cells"]).stem, item["figures"]) for item in result["recordings"]]
    if len(rows) > 1:
        rows.append(("together", result["together"]))
    for title, columns in TABLES.items():
        measured = [column for column in columns if any(column[0] in figures for _, figures in rows)]
        if not measured:
            continue
        table = Table(title=title, title_justify="left")
        table.add_column("recording")
        for _, heading, _ in measured:
            table.add_column(heading, justify="right")
        for name, figures in rows:
            shown = (format(figures[key], form) if key in figures else "" for key, _, form in measured)
            table.add_row(_plain(name), *shown)
        console.print(table)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)  # a file's name may hold what rich would take for markup


def _without_nan(value: Any) -> Any:
    """The same with None for NaN, which JSON doesn't know."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


if __name__ == "__main__":
    main()
