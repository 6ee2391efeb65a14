"""Parts of one's own, as ``docs/parts.md`` shows them: every block of the page is run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.tiny_network import ARCHITECTURE
from helpers.tiny_training import TINY, finish, start
from helpers.wandb_files import pieces

from calcium_lightning.core import parts as core_parts
from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.nn.checkpoint import save_network
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.processes.launch import free_port
from calcium_lightning.simulation import Scene, SceneSettings

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "parts.md").read_text()
FILES = dict(re.findall(r'```\w+ title="(lab/[^"]+)"\n(.*?)```', PAGE, re.DOTALL))
SHORT = tuple(
    item for item in TINY if not item.startswith(("+experiment", "cell_diameter", "encoder", "loss"))
)
SHORT = (*SHORT, "trainer.max_epochs=1")


def commands(section: str) -> list[list[str]]:
    """The command lines of a section, as typed: the command's name and its arguments."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    return [shlex.split(line.replace("python -m calcium_lightning.", "")) for line in lines]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a lab's files, a session, a movie and a file of a strange format."""
    folder = tmp_path_factory.mktemp("parts")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    scene = Scene(
        SceneSettings(
            height_px=60, width_px=80, seconds=6, fps=20, cell_diameter_px=(9.0, 11.0), brightness=0.6
        ),
        1,
    )
    with SessionWriter(folder / "A.h5", 60, 80, "uint8", 20.0, motion_corrected=False) as writer:
        writer.append(scene.frames())
        writer.set_shifts(scene.truth.shifts)
        writer.set_truth(scene.truth)
    small = scene.frames()[:60, :24, :32]
    np.save(folder / "movie.npy", small.astype(np.float32))
    with (folder / "movie.counts").open("wb") as file:
        np.array(small.shape, "<i4").tofile(file)
        small.astype("<u2").tofile(file)
    return folder


@pytest.fixture
def lab(made, tmp_path, monkeypatch) -> Iterator[Path]:
    """The same in a folder of the test's own; its modules and what they register are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(core_parts, "_modules", dict(core_parts._modules))
    tables = {kind: dict(table) for kind, table in core_parts._tables.items()}
    monkeypatch.setattr(core_parts, "_tables", tables)
    yield Path(shutil.copytree(made, tmp_path / "work"))
    forget()


def test_every_kind_takes_one_python_and_at_most_one_yaml_file():
    python = [name for name in FILES if name.endswith(".py")]
    yaml = [name for name in FILES if name.endswith(".yaml")]
    assert len(python) == 10
    assert {Path(name).parent.name for name in yaml} == {
        *("encoder", "head", "background", "decoder", "loss", "data", "detector")
    }
    assert len(yaml) == 7


def figure(stdout: str) -> str:
    return next(line for line in stdout.splitlines() if line.startswith("best val/reconstruction"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def forget() -> None:
    """Forget the lab's modules, as a new process would."""
    for name in [name for name in sys.modules if name.startswith("lab_")]:
        del sys.modules[name]


def test_an_own_encoder_and_loss_train_and_extract_and_a_changed_line_trains_anew(lab, run_command):
    """In processes of their own, outside of the package, without PYTHONPATH to the lab; then in this one."""
    train, extract = ([name, *arguments] for name, *arguments in commands("Train, then find cells"))
    extract = [*extract, "cell_diameter=10"]
    first = finish(start("-m", f"calcium_lightning.{train[0]}", *train[1:], *SHORT, "logger=wandb", cwd=lab))
    assert first.returncode == 0, first.stderr
    assert "no table of cells" not in first.stderr
    assert "cells/found" in pieces(lab / "outputs/plain")[-1].summary
    value = figure(first.stdout)
    found = finish(start("-m", f"calcium_lightning.{extract[0]}", *extract[1:], cwd=lab))
    assert found.returncode == 0, found.stderr
    assert read_cells(lab / "cells.h5").n_frames == 120

    def run(*arguments: str):
        forget()
        return run_command(*arguments, cwd=lab)

    assert "there already" in run(*extract).stdout
    refused = run(*(item for item in extract if not item.startswith("parts=")), "output=a.h5")
    assert (refused.status, refused.stderr.count("\n")) == (2, 1)
    assert "encoder 'lab_encoder.Plain' is unknown here" in refused.stderr
    assert refused.stderr.rstrip().endswith("parts=[lab_encoder]")
    by_path = ["parts=lab/lab_encoder.py" if item.startswith("parts=") else item for item in extract]
    assert run(*by_path, "output=b.h5").status == 0

    again = (*train, *SHORT, "hydra.run.dir=outputs/again")
    assert "finished before" in run(*again).stdout
    shutil.rmtree(lab / "outputs/again")
    for file, old, new in (
        ("lab_encoder.py", "nn.ReLU()", "nn.Tanh()"),
        ("lab_loss.py", "error + self.price", "error + 0.5 * self.price"),
    ):
        change(lab / "lab" / file, old, new)
        anew = run(*again)
        assert anew.status == 0, anew.stderr
        assert "finished before" not in anew.stdout
        assert figure(anew.stdout) != value
        shutil.rmtree(lab / "outputs/again")
    stale = run(*extract)
    assert stale.status == 2
    assert "exists; overwrite=true replaces it" in stale.stderr


def test_an_own_detector_extracts_and_a_changed_line_extracts_anew(lab, run_command):
    ((name, *arguments),) = commands("Detector")
    assert run_command(name, *arguments, cwd=lab).status == 0
    with h5py.File(lab / "maxima.h5") as file:
        assert len(file["localizations/frame"]) > 100
    assert "there already" in run_command(name, *arguments, cwd=lab).stdout
    change(lab / "lab/lab_detector.py", "least: float = 1.5", "least: float = 1.6")
    assert "exists; overwrite=true" in run_command(name, *arguments, cwd=lab).stderr


def test_the_other_parts_of_a_network_and_an_own_dataset_train_with_an_experiment(lab, run_command):
    ((name, *arguments),) = commands("Dataset")
    few = ("window.taps=5", "encoder=u_shape_tiny", "trainer.max_epochs=1", "callbacks.pictures.samples=2")
    outcome = run_command(name, *arguments, *few, "hydra.run.dir=run", cwd=lab)
    assert outcome.status == 0, outcome.stderr
    assert "data=movie: lab_data.Movie takes no steps_per_epoch, validation_steps; left out" in outcome.stderr
    assert (
        "head=deep: lab_head.Deep takes no initial_probability, initial_amplitude; left out" in outcome.stderr
    )
    assert (lab / "run/figures/epoch_0001.png").is_file()
    again = run_command(name, *arguments, *few, "hydra.run.dir=run", cwd=lab)
    assert "finished before" in again.stdout
    np.save(lab / "movie.npy", np.load(lab / "movie.npy")[:50])
    other = run_command(name, *arguments, *few, "hydra.run.dir=run", cwd=lab)
    assert (other.status, "holds a run already" in other.stderr) == (2, True)
    # What is typed is not left out.
    typed = run_command(name, *arguments, *few, "+data.crop=3", "hydra.run.dir=other", cwd=lab)
    assert (typed.status, typed.stderr.count("\n")) == (2, 3)
    assert "data.crop: lab_data.Movie has no such setting" in typed.stderr


def test_an_own_reader_exporter_and_metric(lab, run_command):
    for section in ("Detector", "Reader", "Exporter", "Metric"):
        ((name, *arguments),) = commands(section)
        outcome = run_command(name, *arguments, cwd=lab)
        assert outcome.status == 0, outcome.stderr
    with Session(lab / "B.h5") as session:
        np.testing.assert_array_equal(session.frames(0, 60), np.load(lab / "movie.npy"))
    cells = read_cells(lab / "maxima.h5")
    assert len(json.loads((lab / "centers.json").read_text())) == int(cells.accepted.sum())
    assert "median_snr" in outcome.stdout
    (lab / "odd.rec").write_bytes(b"12345678")
    (lab / "lab/lab_odd.py").write_text(
        "from calcium_lightning.io.readers.own import reader\n"
        "from calcium_lightning.io.writers.table import writer\n"
        "reader('.rec')(lambda path: 3)\n"
        "@writer('odd', '.odd')\n"
        "def write(cells, path):\n    raise KeyError('nothing')\n"
    )
    told = run_command(
        "ingest", "--config-dir", "lab", "parts=[lab_odd]", "input=odd.rec", "output=o.h5", cwd=lab
    )
    assert (told.status, told.stderr.count("\n")) == (2, 1)
    assert "gives a int; a Recording is wanted" in told.stderr
    told = run_command(
        "export", "--config-dir", "lab", "parts=[lab_odd]", "cells=maxima.h5", "output=o.odd", cwd=lab
    )
    assert (told.status, told.stderr.count("\n")) == (2, 1)
    assert "o.odd: lab_odd.write fails (KeyError: 'nothing'" in told.stderr
    assert not list(lab.glob("*.odd"))


WRONG = [
    ("encoder", "layers(windows)", "layers(windows)[..., :-1]", "gives a tensor (2, 8, 27, 34)"),
    ("encoder", "windows, extent=None", "windows", "forward takes (windows); forward(windows, extent=None)"),
    ("encoder", "layers(windows)", "layers(window)", "NameError: name 'window' is not defined; "),
    ("encoder", "Conv2d(in_channels, ", "LazyConv2d(", "layers.0.weight has no shape before the first batch"),
    (
        "encoder",
        "class Plain(nn.Module)",
        "class Plain",
        "encoder 'lab_encoder.Plain' is no class of an nn.Module",
    ),
    ("encoder", "from torch import nn", "from torch import nm", "can't be imported"),
    ("encoder", "padding=2),", "padding=2)", "invalid syntax"),
    ("head", "CoordinateMaps(self.layers(features), self.ranges)", "features", "CoordinateMaps of that size"),
    ("background", "[:, :, None]", "[:, None, None]", "fails on features (2, 8, 27, 35)"),
    ("decoder", "sum(1)", "sum()", "gives a tensor () of float32 for coordinates; (2, 27, 35) is wanted"),
    ("loss", "LossTerms(total, ", "(total, ", "gives a tuple of 4; LossTerms(total, parts) are wanted"),
    ("loss", "LossTerms(total, ", "LossTerms(total.detach(), ", "total has no gradient"),
    ("loss", '"reconstruction"', '"huber"', "=val/reconstruction: lab_loss.Huber gives no such figure"),
    ("loss", "step, gather=None", "step", "forward(network, prediction, batch, step, gather=None) is wanted"),
    ("data", "(L.LightningDataModule)", "", "a LightningDataModule is wanted"),
    ("data", "val_dataloader", "test_dataloader", "has no val_dataloader(self)"),
    (
        "data",
        '"target": movie[t], ',
        "",
        "a batch has no target; it holds windows (B, taps, h, w) and target",
    ),
    ("data", '"target": movie[t]', '"target": movie[t, 1:]', "target is a tensor (8, 23, 32)"),
    ("data", "half = self.taps // 2", "half = 1", "windows have 3 taps, window.taps=5"),
    ("data", '"frame": t}', '"fram": t}', "a batch has an unknown field fram"),
]


@pytest.mark.parametrize(("kind", "old", "new", "line"), WRONG)
def test_what_is_wrong_with_a_part_is_one_line_and_nothing_is_left(lab, run_command, kind, old, new, line):
    name = f"lab_{kind}"
    change(lab / "lab" / f"{name}.py", old, new)
    choices = {"encoder": "plain", "head": "deep", "background": "mean", "decoder": "cones", "loss": "huber"}
    choices["data"] = "movie"
    more = ("window.taps=5", "trainer.max_epochs=1") if kind == "data" else (*SHORT, "data.sessions=[A.h5]")
    outcome = run_command(
        "train",
        *("--config-dir", "lab", "encoder=plain", f"{kind}={choices[kind]}", "cell_diameter=10", *more),
        "hydra.run.dir=run",
        cwd=lab,
    )
    assert outcome.status == 2, outcome.stderr
    assert line in outcome.stderr
    told = [text for text in outcome.stderr.splitlines() if not text.endswith("left out")]
    assert len(told) == 1
    assert told[0].startswith("error: ")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("    window = ", "    windows = ", "Maxima doesn't say what it looks at: an attribute window"),
        ("def localize(", "def locate(", "Maxima has no localize(windows, extent=None"),
        ("extent=None, threshold=0.3, count=512", "count=512", "Maxima.localize takes (windows, count)"),
        ("return Coordinates(", "return dict(", "gives a dict; Coordinates are wanted"),
        ("angle=0 * one", "angle=0 * pair", "angle is (2, 512, 2); (2, N) is wanted"),
        ("valid=best.values > 0", "valid=best.values", "valid is torch.float32; bool is wanted"),
        (
            "windows.mean(1, keepdim=True)",
            "windows.mean(1)[1, 2, 3, 4]",
            "fails on windows of shape (2, 5, 27, 35)",
        ),
    ],
)
def test_what_is_wrong_with_a_detector_is_one_line(lab, run_command, old, new, line):
    ((name, *arguments),) = commands("Detector")
    change(lab / "lab/lab_detector.py", old, new)
    outcome = run_command(name, *arguments, cwd=lab)
    assert (outcome.status, outcome.stderr.count("\n")) == (2, 1), outcome.stderr
    assert line in outcome.stderr
    assert not (lab / "maxima.h5").exists()


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ("lab_nothing", "parts=lab_nothing: no such module"),
        ("lab/nothing.py", "parts=lab/nothing.py: no such Python file or package"),
        ("lab_broken", "parts=lab_broken: can't be imported (ZeroDivisionError: division by zero; "),
    ],
)
def test_modules_that_cannot_be_imported_are_one_line(lab, run_command, parts, line):
    (lab / "lab/lab_broken.py").write_text("1 / 0\n")
    arguments = ("--config-dir", "lab", "session=A.h5", "output=c.h5", f"parts=[{parts}]")
    outcome = run_command("extract", *arguments, cwd=lab)
    assert (outcome.status, outcome.stderr.count("\n")) == (2, 1), outcome.stderr
    assert line in outcome.stderr


@pytest.mark.parametrize("started_by", ["torchrun", "ray"])
def test_own_modules_reach_every_process_of_a_run_and_every_job_of_a_sweep(lab, started_by):
    """Of runs of two processes: one that torchrun starts, and one that starts its second itself, in a job of Ray's."""
    train, _ = commands("Train, then find cells")
    run = ("-m", "calcium_lightning.train", *train[1:], *SHORT)
    run = (*run, "trainer=ddp_cpu")
    sweep = ("-m", "seed=1", "hydra.sweep.dir=many", "launcher=ray", "+hydra.launcher.ray.init.num_cpus=1")
    how = {
        "torchrun": (
            *("-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"),
            *(*run, "hydra.run.dir=many/0"),
        ),
        "ray": (*run, *sweep),
    }[started_by]
    done = finish(start(*how, cwd=lab))
    assert done.returncode == 0, done.stderr
    assert [path.parent.name for path in lab.glob("many/*/summary.json")] == ["0"]


def test_an_installed_package_makes_its_parts_known(lab, run_command, monkeypatch):
    """An entry point of a distribution, as pip would leave it."""
    site = lab / "site"
    info = site / "my_lab-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "lab_installed.py").write_text(FILES["lab/lab_encoder.py"])
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[calcium_lightning.parts]\nmy_lab = lab_installed\n")
    settings = {"_target_": "lab_installed.Plain", "in_channels": 5, "out_channels": 8}
    architecture = {**ARCHITECTURE, "encoder": settings}
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    core_parts._load_installed.cache_clear()
    save_network(
        lab / "w.safetensors", LocalizationNetwork.from_architecture(architecture), WindowSettings(taps=5)
    )
    core_parts._load_installed.cache_clear()
    forget()
    arguments = ("session=A.h5", "checkpoint=w.safetensors", "cell_diameter=10")
    outcome = run_command("extract", *arguments, "output=cells.h5", cwd=lab)
    core_parts._load_installed.cache_clear()
    assert outcome.status == 0, outcome.stderr
    (lab / "cells.h5").unlink()
    (site / "lab_installed.py").write_text("raise OSError('no luck')")
    forget()
    broken = run_command("extract", *arguments, "output=other.h5", cwd=lab)
    core_parts._load_installed.cache_clear()
    assert (broken.status, broken.stderr.count("\n")) == (2, 1)
    assert "my-lab: its parts (lab_installed) can't be imported (OSError: no luck" in broken.stderr
