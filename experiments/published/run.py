"""The published system beside its paper and beside the new model: one command over the published dataset.

    python experiments/published/run.py FOLDER --output OUT --epochs 30

FOLDER holds NAME_preprocessed_dF/frame_*.jpg and masks/NAME.npy (or .png). Session 7-16-17, where it is
there, is the test: no training sees it. What is in OUT already is not made again, so the command goes on
where it ended.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from dataset import PublishedSession, find_sessions, read_mask
from scoring import introspect, overlay, score_cells, score_pictures, score_published
from tables import write_tables

#: the published rates of the network; the coordinates' own (0.1 px) is never changed
RATES = {"optimizer.everything.lr": 1e-5, "optimizer.sparsity.lr": 1e-6}
#: what the authors named as missing, and what the paper leaves open; overrides of +experiment=published
VARIANTS: dict[str, list[str]] = {
    "blur_pool": ["encoder.blur_pool=true"],
    "decoder_dropout": ["decoder.dropout=0.3"],
    "decoder_weight_decay": ["model.decoder_weight_decay=10"],
    "smeared_dots": ["painter=decoordconv_smeared"],
    "blurred_sparsity": ["loss.blur=2"],
    "black_white": ["loss=published_black_white"],
    "no_sparsity": ["loss.sparsity=none"],
    "published_rates": [f"{key}={rate}" for key, rate in RATES.items()],
    "splat_dots": ["painter=splat"],
    "splat_decoder": ["painter=splat", "decoder=splat", "optimizer.everything.lr=1e-3"],
    "coordinates_50": ["model.coordinates=50"],
    "coordinates_200": ["model.coordinates=200"],
    "l1_in_loss": ["model.l1_in_loss=true"],
    "plain_convolution": ["encoder.coordinates=false"],
    "seed_1": ["seed=1"],
    "seed_2": ["seed=2"],
    "filters_64": ["encoder.filters=64"],
    "seed_channels_16": ["decoder.seed_channels=16"],
}
#: glibc would hand back and fetch anew the 40 MB of the first layer in every step: a quarter of the time
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "2000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("published"))
    parser.add_argument("--epochs", type=int, default=30, help="of the published model (the paper: 1000)")
    parser.add_argument(
        "--rates",
        type=float,
        default=10,
        help="times the published ones: a few epochs hardly move the network",
    )
    parser.add_argument("--new-epochs", type=int, default=12, help="of adapting the new model; 0: as shipped")
    parser.add_argument("--variants", default="", help=f"all, or some of {', '.join(VARIANTS)}")
    parser.add_argument("--variant-epochs", type=int, default=3)
    parser.add_argument("overrides", nargs="*", help="of both trainings, such as trainer=gpu")
    options = parser.parse_args()
    sessions = find_sessions(options.folder)
    for session in sessions:
        ingest(session, options.output)
    seen = [session_file(session, options.output) for session in sessions if not session.test]

    rates = [f"{key}={options.rates * rate:g}" for key, rate in RATES.items()]
    published = train("published", ["+experiment=published", *rates], seen, options.epochs, options)
    new = (
        train("new", ["+experiment=adapt"], seen, options.new_epochs, options, best=True)
        if options.new_epochs
        else None
    )
    rows, panels = {}, {}
    for session in sessions:
        mask = read_mask(session.mask)
        ours = extract(session, "published", published, options.output)
        theirs = extract(session, "new", new, options.output)
        row, drawn = {}, {}
        row["published"], drawn["published"] = score_published(ours, published, mask)
        row["new"], drawn["new"] = score_cells(theirs, mask)
        if session.painted is not None:
            row["paper's pictures"], drawn["paper's pictures"] = score_pictures(
                read_mask(session.painted), mask
            )
        rows[session.name], panels[session.name] = row, drawn
        overlay(options.output / "overlays" / f"{session.name}.png", mask, drawn)
    shown = session_file(sessions[-1], options.output)
    inside = {"published": introspect(published, shown, options.output / "introspection" / "published.png")}

    names = list(VARIANTS) if options.variants == "all" else [n for n in options.variants.split(",") if n]
    variants = {}
    if names:  # the published one for as many epochs at the same rates, to compare with
        names = ["as_published", *names]
    for name in names:
        given = ["+experiment=published", *rates, *VARIANTS.get(name, [])]
        checkpoint = train(f"variant_{name}", given, seen, options.variant_epochs, options)
        variants[name] = {
            session.name: score_published(
                extract(session, f"variant_{name}", checkpoint, options.output),
                checkpoint,
                read_mask(session.mask),
            )[0]
            for session in sessions
        }
        variants[name]["training"] = json.loads((checkpoint.parent.parent / "summary.json").read_text())
        if name == "splat_decoder":
            inside["splat"] = introspect(checkpoint, shown, options.output / "introspection" / "splat.png")
    write_tables(options.output, sessions, rows, variants, inside, vars(options))


def session_file(session: PublishedSession, output: Path) -> Path:
    return output / "sessions" / f"{session.name}.h5"


def ingest(session: PublishedSession, output: Path) -> None:
    target = session_file(session, output)
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        known = ["kind=dff", "motion_corrected=true", "fps=5"]
        command("ingest", quoted("input", session.frames), quoted("output", target), *known)


def train(
    name: str,
    given: list[str],
    sessions: list[Path],
    epochs: int,
    options: argparse.Namespace,
    best: bool = False,
) -> Path:
    """Train, unless it is done; gives the last checkpoint, or the best."""
    run = options.output / "runs" / name
    paths = ",".join(f'"{path}"' for path in sessions)
    if not (run / "summary.json").is_file():
        begin = time.monotonic()
        command(
            "train",
            *given,
            f"data.sessions=[{paths}]",
            f"trainer.max_epochs={epochs}",
            quoted("hydra.run.dir", run),
            *options.overrides,
        )
        print(f"{name}: {time.monotonic() - begin:.0f} s for {epochs} epochs", flush=True)
    return run / "checkpoints" / ("best.ckpt" if best else "last.ckpt")


def extract(session: PublishedSession, name: str, checkpoint: Path | None, output: Path) -> Path:
    target = output / "cells" / f"{session.name}.{name}.h5"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or (checkpoint and target.stat().st_mtime < checkpoint.stat().st_mtime):
        given = [] if checkpoint is None else [quoted("checkpoint", checkpoint)]
        recording = quoted("session", session_file(session, output))
        command("extract", recording, quoted("output", target), *given, "overwrite=true")
    return target


def quoted(key: str, path: Path) -> str:
    return f'{key}="{path}"'


def command(name: str, *arguments: str) -> None:
    print("$ python -m calcium_lightning." + name, *arguments, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", f"calcium_lightning.{name}", *arguments],
        env={**KEEP_MEMORY, **os.environ},
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
