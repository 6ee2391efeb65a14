"""The wheel: what is in it, what it declares, and that it works on its own, in another environment and folder."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "calcium_lightning"
CONF = ROOT / "conf"
#: imported where the user has it, and never declared: its licence is non-commercial
USERS_OWN = {"isx"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement: str) -> str:
    return canonical(re.split(r"[\s<>=!~;\[]", requirement)[0])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline: hatchling is among the dev dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel installed.

    Downloading Torch again would take minutes, so the dependencies are borrowed: a folder of links to what this
    environment's site-packages hold, less our own (editable) package and every ``.pth`` file, is put on the
    new environment's path by a ``.pth`` of its own. What runs there is the wheel's code and nothing of the
    checkout.
    """
    folder = tmp_path_factory.mktemp("another environment")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for item in Path(sysconfig.get_path("purelib")).iterdir():
        if "calcium_lightning" not in item.name and item.suffix != ".pth":
            (borrowed / item.name).symlink_to(item)
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(subprocess.check_output([python, "-c", find], text=True).strip())
    (own / "borrowed.pth").write_text(f"{borrowed}\n")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    done = subprocess.run([*install, str(wheel)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return python


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120)


def test_the_wheel_holds_the_package_its_conf_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"calcium_lightning", next(top for top in tops if top.endswith(".dist-info"))}
    source = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    expected = {f"calcium_lightning/{path.relative_to(PACKAGE).as_posix()}" for path in source}
    expected |= {
        f"calcium_lightning/conf/{path.relative_to(CONF).as_posix()}" for path in CONF.rglob("*.yaml")
    }
    assert expected == {name for name in names if name.startswith("calcium_lightning/")}
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_weights_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert "calcium_lightning/weights/default.safetensors" in archive.namelist()


def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    show = "import calcium_lightning as c; from calcium_lightning.command.config_keys import conf_dir; print(c.__file__); print(conf_dir())"
    package, conf = run(installed, "-c", show, cwd=tmp_path).stdout.split("\n")[:2]
    environment = installed.parent.parent
    assert Path(package).is_relative_to(environment)
    assert Path(conf) == Path(package).parent / "conf"


def test_the_installed_wheel_works_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    helped = run(installed, "-m", "calcium_lightning.train", "--help", cwd=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "unsupervised" in helped.stdout

    composed = run(installed, "-m", "calcium_lightning.train", "--cfg", "job", cwd=tmp_path)
    assert composed.returncode == 0, composed.stderr
    assert "_target_: calcium_lightning.nn.encoder.UShapeEncoder" in composed.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_installed_wheel_brings_the_command(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed.parent / "calcium-lightning", "extract", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("calcium-lightning extract key=value")


def test_an_editable_install_has_no_conf_of_its_own() -> None:
    from calcium_lightning.command.config_keys import conf_dir

    assert conf_dir() == CONF  # the suite runs on the checkout
    files = importlib.metadata.files("calcium-lightning") or []
    assert [file for file in files if "conf" in file.parts] == []


def test_every_import_is_declared() -> None:
    declared = {name_of(item) for item in project()["dependencies"]}
    for extra, items in project()["optional-dependencies"].items():
        if extra != "dev":
            declared |= {name_of(item) for item in items}
    owners = importlib.metadata.packages_distributions()
    missing = {}
    for path in PACKAGE.rglob("*.py"):
        for module in imported(path) - set(sys.stdlib_module_names) - USERS_OWN - {"calcium_lightning"}:
            if not {canonical(owner) for owner in owners.get(module, [])} & declared:
                missing.setdefault(module, path.relative_to(ROOT).as_posix())
    assert missing == {}


def test_every_declared_dependency_is_imported_and_constrained() -> None:
    owners = importlib.metadata.packages_distributions()
    used = {
        canonical(owner)
        for path in PACKAGE.rglob("*.py")
        for module in imported(path)
        for owner in owners.get(module, [])
    }
    declared = {name_of(item) for item in project()["dependencies"]}
    assert declared - used == set()
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    everything = declared | {
        name_of(item) for items in project()["optional-dependencies"].values() for item in items
    }
    assert everything - {canonical(name) for name in pinned} == set()
    assert pinned["torch"] == "2.13.0"


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, lazily or not."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.keyword) and node.arg == "engine" and isinstance(node.value, ast.Constant):
            names.add(str(node.value.value))  # pandas and xarray import what is named
    return names
