"""What every command shares: exit statuses, one clear line for a mistake, help, flags and paths."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from calcium_lightning.command import inputs
from calcium_lightning.command import start as cli
from calcium_lightning.command.inputs import Input
from calcium_lightning.core.errors import InputError

COMMANDS = ("ingest", "simulate", "train", "extract", "evaluate", "export", "report", "compare")
ROOT = Path(__file__).resolve().parents[2]


def run_main(main, *arguments: str, name: str = "extract") -> int:
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    return cli.run(name, main, [*arguments, "hydra.run.dir=run"])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    importlib.import_module("calcium_lightning.extract")  # it brings its sweepers along
    monkeypatch.chdir(tmp_path)


def test_success_is_0_and_the_config_arrives(tmp_path):
    seen = []
    assert (
        run_main(seen.append, "session=a.h5", "cell_diameter=9.5", "localize.gather.blur=2", name="extract")
        == 0
    )
    assert (seen[0].session, seen[0].cell_diameter, seen[0].localize.gather.blur) == ("a.h5", 9.5, 2)
    assert list((tmp_path / "run").iterdir()) == []  # what was asked for, and nothing of Hydra's


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            InputError("a.h5: frame 3 is black;\n  leave it out"),
            2,
            "error: a.h5: frame 3 is black; leave it out\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (
            OSError(errno.ENOSPC, "x", "out.h5"),
            1,
            f"error: out.h5: {os.strerror(errno.ENOSPC)}; free some space and run again\n",
        ),
        (
            OSError(errno.EDQUOT, "x"),
            1,
            f"error: output: {os.strerror(errno.EDQUOT)}; free some space and run again\n",
        ),
        (MemoryError(), 1, "error: out of memory; a smaller batch, crop or network needs less\n"),
        (SystemExit(3), 3, ""),
    ],
)
def test_each_kind_of_failure_has_its_status_and_line(capsys, error, status, line):
    def main(cfg):
        raise error

    assert run_main(main, "session=a.h5") == status
    assert capsys.readouterr().err == line


def test_a_failure_of_ours_is_1_with_the_traceback(capsys):
    def main(cfg):
        return {}["our own mistake"]

    assert run_main(main, "session=a.h5") == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "KeyError: 'our own mistake'" in err


@pytest.mark.parametrize(
    ("command", "arguments", "line"),
    [
        ("extract", [], "missing session=; --help explains the keys"),
        ("export", ["output=a.nwb"], "missing cells="),
        ("extract", ["sesion=a.h5"], "sesion: no such key; nearest: session"),
        ("ingest", ["source=a.avi"], "source: no such key; --help lists them"),
        (
            "extract",
            ["session=a.h5", "localize.thresold=1"],
            "localize.thresold: no such key; nearest: localize.threshold",
        ),
        (
            "extract",
            ["session=a.h5", "localize.gather.blurr=1"],
            "localize.gather.blurr: no such key; nearest: localize.gather.blur",
        ),
        ("extract", ["session=a.h5", "preproces=default"], "preproces: no such key; nearest: preprocess"),
        ("extract", ["session=a.h5", "+detektor=bandpass"], "detektor: no such key; nearest: detector"),
        (
            "extract",
            ["session=a.h5", "+localize.foo=1"],
            "localize.foo: calcium_lightning.localize.finder.LocalizeSettings has no such setting",
        ),
        (
            "extract",
            ["session=a.h5", "+localize.gather.separatoin=1"],
            "has no such setting; nearest: separation",
        ),
        (
            "extract",
            ["session=a.h5", "localize.quality._target_=nowhere.X"],
            "localize.quality._target_: nowhere.X can't be imported",
        ),
        (
            "extract",
            ["session=a.h5", "localize=defalt"],
            "localize=defalt: no such choice; there are default; nearest: default",
        ),
        ("extract", ["session=a.h5", "overwrite=maybe"], "Value 'maybe' is not a valid bool"),
        ("extract", ["session=a.h5", "seed=x"], "Value 'x' of type 'str' could not be converted to Integer"),
        ("extract", ["session=[a.h5,b.h5"], "[a.h5,b.h5"),
        (
            "extract",
            ["my day.avi"],
            "my day.avi: no key; settings are typed as KEY=VALUE, as in session='my day.avi'",
        ),
        (
            "ingest",
            ["a.avi", "output=a.h5"],
            "a.avi: no key; settings are typed as KEY=VALUE, as in input=a.avi",
        ),
        (
            "simulate",
            ["session.h5"],
            "session.h5: no key; settings are typed as KEY=VALUE",
        ),
        ("extract", ["session", "a.h5"], "session: its value stands right after it, as in session=a.h5"),
        (
            "train",
            ["+experiment", "demo"],
            "+experiment: its value stands right after it, as in +experiment=demo",
        ),
        (
            "extract",
            ["session=a.h5", "overwrite"],
            "overwrite: its value stands right after it, as in overwrite=VALUE",
        ),
        ("extract", ["session=a.h5", "--multirn"], "--multirn: no such flag; nearest: --multirun"),
        ("extract", ["session=a.h5", "--cfg", "jo"], "--cfg jo: the flag takes job | hydra | all"),
        ("extract", ["session="], "an empty path"),
        ("extract", ["session=[]"], "an empty list of inputs"),
        ("extract", ["session=[a.h5,a.h5]", "output=all"], "two inputs would be written to a.cells.h5"),
        (
            "train",
            ["trainer=cpux", "data.sessions=[a.h5]"],
            "trainer=cpux: no such choice; there are cpu, ddp, ddp_cpu, gpu; nearest: cpu",
        ),
        (
            "train",
            ["logger=null", "data.sessions=[a.h5]"],
            "logger=null: no such choice; there are csv, tensor",
        ),
        (
            "train",
            ["logger=[wandb,tensorboard]", "data.sessions=[a.h5]"],
            "logger=[wandb,tensorboard]: one choice is wanted: csv | tensorboard | wandb, or a file",
        ),
        ("train", ["+experimen=demo", "data.sessions=[a.h5]"], "experimen: no such key; nearest: experiment"),
        ("train", ["+experiment=dmo", "data.sessions=[a.h5]"], "experiment=dmo: no such choice"),
        (
            "train",
            ["encoder.featurs=[8]", "data.sessions=[a.h5]"],
            "encoder.featurs: no such key; nearest: encoder.features",
        ),
        (
            "train",
            ["callbacks.pictures=null", "callbacks.pictures.samples=2", "data.sessions=[a.h5]"],
            "callbacks.pictures.samples: no such key where callbacks.pictures is switched off or another",
        ),
        (
            "simulate",
            ["simulation.brightnes=1"],
            "simulation.brightnes: no such key; nearest: simulation.brightness",
        ),
        (
            "export",
            ["cells=a.h5", "output=a.nwb", "nwb.subjekt=x"],
            "nwb.subjekt: no such key; nearest: nwb.subject_id",
        ),
        (
            "export",
            ["cells=a.h5", "output=a.nwb", "+nwb.subjekt=x"],
            "nwb.subjekt: no such key; nearest: nwb.subject_id",
        ),
    ],
)
def test_a_mistake_in_the_command_is_2_and_one_line(run_command, tmp_path, command, arguments, line):
    outcome = run_command(command, *arguments)
    assert outcome.status == 2
    assert line in outcome.stderr
    assert outcome.stderr.startswith("error: ")
    assert outcome.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"a: b: c\n", 'mapping values are not allowed here in "{file}", line 1'),
        ("a: é\n".encode("latin-1"), "'utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_a_config_file_that_is_none_is_2_and_one_line(run_command, tmp_path, text, line):
    file = tmp_path / "lab/encoder/mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text)
    outcome = run_command("train", "--config-dir", "lab", "encoder=mine", "data.sessions=[a.h5]")
    assert outcome.status == 2
    assert outcome.stderr.startswith("error: train: its arguments make no config (")
    assert line.format(file=file) in outcome.stderr
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_the_keys_and_choices(run_command, command):
    import dataclasses

    from calcium_lightning.command.schemas import SCHEMAS

    for flag in ("--help", "-h"):
        outcome = run_command(command, flag)
        assert outcome.status == 0
        assert f"python -m calcium_lightning.{command}" in outcome.stdout
    for field in dataclasses.fields(SCHEMAS[command]):
        assert f"  {field.name}=" in outcome.stdout
        assert field.metadata["help"] in outcome.stdout
    if command == "extract":
        assert "full width at half maximum of a typical footprint, pixels" in outcome.stdout
        assert "(required)" in outcome.stdout
        assert "bandpass | network" in outcome.stdout
    if command == "train":
        assert "cpu | ddp | ddp_cpu | gpu" in outcome.stdout
        assert "csv | tensorboard | wandb" in outcome.stdout


def test_help_needs_nothing_heavy():
    heavy = [
        "torch",
        "lightning",
        "skimage",
        "av",
        "pynwb",
        "plotly",
        "pandas",
        "matplotlib",
        "scipy",
        "h5py",
    ]
    code = "; ".join(
        [
            "import sys, importlib",
            "from calcium_lightning.command import start as cli",
            f"mains = [importlib.import_module('calcium_lightning.' + name).main.__wrapped__ for name in {COMMANDS}]",
            f"[cli.run(name, main, ['--help']) for name, main in zip({COMMANDS}, mains)]",
            f"print(sorted(set({heavy}) & set(sys.modules)))",
        ]
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_cfg_job_prints_a_whole_config(run_command, command):
    required = {"extract": ["session=a.h5"], "evaluate": ["cells=a.h5", "truth=b.h5"]}.get(command, [])
    outcome = run_command(command, *required, "--cfg", "job")
    assert outcome.status == 0, outcome.stderr
    printed = OmegaConf.create(outcome.stdout)
    assert "overwrite" in printed
    if command == "extract":
        assert printed.session == "a.h5"
        assert printed.localize.gather.separation == 1.4


def test_flags_may_stand_anywhere():
    plain = ["-m", "session=a.h5", "seed=1,2"]
    for typed in (["session=a.h5", "seed=1,2", "-m"], ["session=a.h5", "-m", "seed=1,2"], plain):
        assert cli.flags_first(typed, "extract") == plain
    assert cli.flags_first(["a=1", "--cfg", "job", "b=2"], "extract") == ["--cfg", "job", "a=1", "b=2"]
    assert cli.flags_first(["a=1", "--cfg=job", "b=2"], "extract") == ["--cfg=job", "a=1", "b=2"]
    assert cli.flags_first(["a=1", "--info", "b=2"], "extract") == ["--info", "a=1", "b=2"]
    assert cli.flags_first(["a=1", "--info", "defaults", "~b"], "extract") == [
        "--info",
        "defaults",
        "a=1",
        "~b",
    ]
    with pytest.raises(InputError, match=r"--cfg: the flag takes job \| hydra \| all"):
        cli.flags_first(["a=1", "--cfg"], "extract")


def test_a_sweep_runs_every_combination_in_a_folder_each(tmp_path, capfd):
    seen = []

    def main(cfg):
        seen.append((cfg.seed, cfg.device, inputs.run_folder()))

    assert run_main(main, "session=a.h5", "seed=1,2", "device=auto,cpu", "-m", "hydra.sweep.dir=many") == 0
    assert [job[:2] for job in seen] == [(1, "auto"), (1, "cpu"), (2, "auto"), (2, "cpu")]
    assert len({job[2] for job in seen}) == 4
    assert all(job[2].parent == tmp_path / "many" for job in seen)


def test_a_failed_job_ends_a_sweep_with_its_status(capfd):
    def main(cfg):
        raise InputError(f"seed {cfg.seed} is unlucky")

    assert run_main(main, "session=a.h5", "seed=13,14", "-m", "hydra.sweep.dir=many") == 2
    assert "error: seed 13 is unlucky" in capfd.readouterr().err


@pytest.mark.parametrize(
    "name", ["plain.h5", "my file.h5", "a,b.h5", "a=b.h5", "q'uote.h5", "[1] (2).h5", "ünï.h5", "$HOME.h5"]
)
def test_odd_paths_arrive_as_they_are(tmp_path, name):
    seen = []
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    arguments = (f'session="{quoted}"', f'output="{tmp_path}/x, y=1/{quoted}"')
    assert (
        run_main(
            lambda cfg: seen.append((inputs.as_paths(cfg.session), inputs.as_paths(cfg.output))), *arguments
        )
        == 0
    )
    assert seen == [([Path(name)], [tmp_path / "x, y=1" / name])]
    assert run_main(lambda cfg: seen.append(inputs.as_paths(cfg.session)), f'session=["{quoted}",b.h5]') == 0
    assert seen[1] == [Path(name), Path("b.h5")]


def test_names_that_look_like_values_arrive_as_they_are_in_sweeps_too(tmp_path):
    seen = []

    def main(cfg):
        seen.append((cfg.session, cfg.output))

    assert run_main(main, "session=2026_03_04", "output=1e5") == 0
    assert run_main(main, "session=[15_03_28,on]", "checkpoint=null") == 0
    assert run_main(main, "-m", "session=2026_03_04,[0x10,1_0]", "output=null.h5", "hydra.sweep.dir=1_0") == 0
    assert seen == [
        ("2026_03_04", "1e5"),
        (["15_03_28", "on"], None),
        ("2026_03_04", "null.h5"),
        (["0x10", "1_0"], "null.h5"),
    ]
    assert (tmp_path / "1_0/1/.hydra/config.yaml").is_file()
    kept = OmegaConf.load(tmp_path / "1_0/0/.hydra/config.yaml")
    assert kept.session == "2026_03_04"


def test_outputs_go_where_they_belong(tmp_path):
    one, two = [Input.named(Path("a.h5"))], [Input.named(Path("a.h5")), Input.named(Path("b.h5"))]
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    assert inputs.output_paths(one, "x.h5", ".h5") == [Path("x.h5")]
    assert inputs.output_paths(one, "there", ".h5") == [Path("there/a.h5")]
    assert inputs.output_paths(one, "new/", ".h5") == [Path("new/a.h5")]
    assert inputs.output_paths(two, "new", ".cells.h5") == [Path("new/a.cells.h5"), Path("new/b.cells.h5")]
    with pytest.raises(InputError, match="with several inputs the output is a folder"):
        inputs.output_paths(two, "file", ".h5")


def test_conf_is_found_beside_the_package_and_inside_an_installed_one(tmp_path):
    assert (cli.conf_dir() / "extract.yaml").is_file()
    # An installed package has conf inside.
    package = tmp_path / "site" / "calcium_lightning"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "calcium_lightning/__init__.py", package)
    for room in ("command", "core"):
        shutil.copytree(ROOT / "calcium_lightning" / room, package / room)
    (package / "conf").mkdir()
    code = "from calcium_lightning.command.config_keys import conf_dir; print(conf_dir())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=True,
    )
    assert Path(found.stdout.strip()) == package / "conf"


def test_a_real_process_ends_as_promised(tmp_path):
    command = [sys.executable, "-m", "calcium_lightning.extract"]
    done = subprocess.run([*command, "session=no where.h5"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: no where.h5: no such file\n")


def test_output_that_is_closed_takes_nothing_away(monkeypatch):
    """``>&-``: Python has no standard output then."""
    monkeypatch.setattr("sys.stdout", None)
    seen = []
    assert run_main(lambda cfg: seen.append(sys.stdout.isatty()), "session=a.h5", "output=b.h5") == 0
    assert seen == [False]


def test_a_config_of_the_users_own_may_ask_for_several_jobs(tmp_path):
    file = tmp_path / "mine/run/several.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "# @package hydra\ndefaults: [folder]\nmode: MULTIRUN\nsweeper: {params: {cell_diameter: '7,9'}}\n"
    )
    seen = []
    arguments = ["--config-dir", "mine", "session=a.h5", "run=several"]
    assert cli.run("extract", lambda cfg: seen.append(cfg.cell_diameter), arguments) == 0
    assert seen == [7, 9]
