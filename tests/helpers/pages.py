"""Pages as a reader follows them: their blocks, in order, in one folder.

A line below a comment ``# needs ...`` wants something that a test machine doesn't have, and says so to the reader;
it is composed, not run. Simulations are small, and trainings have so little to do that they take a second.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.tiny_training import TINY
from helpers.typed import PREFIX, compose_line

from calcium_lightning.command import start as cli

#: what installs, and isn't run by tests that run in what was installed
INSTALLS = ("make", "pip", "source")
#: what is asked of each training besides what a page types
LITTLE = (*TINY[1:], "trainer.max_epochs=1", "hydra.sweeper.n_trials=2")
#: and of each simulation
SMALL = (
    "simulation.seconds=12",
    "simulation.height_px=96",
    "simulation.width_px=112",
    "simulation.brightness=0.8",
)
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A block of Python, or a line of a shell.

    Attributes
    ----------
    kind : {"python", "file", "command", "other"}
        ``file`` is one to be written; ``other`` are lines that don't begin with a command of ours.
    text : str
        As it stands in the page.
    needs : str
        What it needs that isn't here; empty where it is run.
    path : str
        Of a file.
    """

    kind: str
    text: str
    needs: str = ""
    path: str = ""


def steps(page: str) -> Iterator[Step]:
    """What a reader does, in order; blocks of text and of MATLAB are looked at elsewhere."""
    for language, title, body in BLOCK.findall(page):
        if title:
            yield Step("file", body, path=title)
        elif language == "python":
            yield Step("python", body)
        elif language == "bash":
            yield from _lines(body)


def _lines(body: str) -> Iterator[Step]:
    needs = ""
    for line in body.replace("\\\n", " ").splitlines():
        if line.startswith("# needs "):
            needs = line.removeprefix("# needs ")
        elif not line.strip():
            needs = ""
        elif line.startswith(PREFIX):
            yield Step("command", line, needs)
        elif not line.startswith("#"):
            yield Step("other", line, needs)


def check_unrun(step: Step) -> None:
    """What isn't run at least composes, or only installs, and says why."""
    name = step.text.split()[0]
    if step.kind == "command":
        compose_line(step.text)
    elif name not in INSTALLS:
        assert step.needs, f"{step.text}: not run, and nothing says why"
        if "calcium_lightning." in step.text:
            compose_line(PREFIX + step.text.partition("calcium_lightning.")[2])


def run_line(line: str) -> str:
    """Run a command in this process, in the folder that one stands in; what it printed."""
    from hydra.core.global_hydra import GlobalHydra

    name, *arguments = shlex.split(line.removeprefix(PREFIX), comments=True)
    assert name != "curate" or "serve=false" in arguments, f"{line}: waits for a person; '# needs a browser'"
    if name == "train":
        little = LITTLE
        if "+experiment=adapt" in arguments:  # weights of the package are of its own architecture
            little = tuple(item for item in LITTLE if not item.startswith(("encoder", "window", "loss")))
        typed = {argument.lstrip("+").partition("=")[0] for argument in arguments}
        optuna = "sweep=optuna" in arguments
        arguments += [
            item
            for item in little
            if item.partition("=")[0] not in typed
            and not ("loss" in typed and item.startswith("loss."))
            and (optuna or not item.startswith("hydra."))
        ]
        arguments += ["trainer.max_epochs=1", *(["hydra.sweeper.n_trials=2"] if optuna else [])]
        arguments += [
            item
            for item in little
            if item.startswith("data.steps_per_epoch=") and "data.steps_per_epoch" in typed
        ]
    if name == "simulate":
        arguments += [item for item in SMALL if not any(item.split("=")[0] in given for given in arguments)]
    for argument in arguments:  # what the page makes isn't there yet
        key, _, value = argument.partition("=")
        made = Path(value.strip("\"'"))
        if key in ("output", "page", "csv") and made.is_symlink():
            made.unlink()
    GlobalHydra.instance().clear()
    module = importlib.import_module(f"calcium_lightning.{name}")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.run(name, module.main.__wrapped__, arguments)
    assert status == 0, f"{line}\n{err.getvalue()}"
    return out.getvalue()
