"""One job's config is composed once, and is the one that Hydra would have composed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from calcium_lightning.command import start


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The overrides of each composition that was begun."""
    monkeypatch.chdir(tmp_path)
    seen: list[list[str]] = []
    usual = ConfigLoaderImpl._load_configuration_impl

    def counted(self, config_name, overrides, **others):
        seen.append(list(overrides))
        return usual(self, config_name=config_name, overrides=overrides, **others)

    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", counted)
    return seen


def test_a_job_is_composed_once_and_knows_its_mode(composed: list[list[str]]) -> None:
    jobs = []

    def main(cfg):
        from hydra.core.hydra_config import HydraConfig

        jobs.append((cfg.session, HydraConfig.get()))

    assert start.run("extract", main, ["session=a.h5"]) == 0
    assert composed == [["session=a.h5"]]
    assert start.run("extract", main, ["session=b.h5", "hydra.mode=RUN"]) == 0
    assert [name for name, _ in jobs] == ["a.h5", "b.h5"]
    assert [hydra.mode.name for _, hydra in jobs] == ["RUN", "RUN"]
    assert [hydra.overrides.hydra.count("hydra.mode=RUN") for _, hydra in jobs] == [1, 1]


def test_a_mistake_is_told_as_ever(composed: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert start.run("extract", lambda cfg: None, ["session=a.h5", "sesion=b.h5"]) == 2
    assert capsys.readouterr().err.startswith("error: sesion: no such key; nearest: session")


def test_a_config_of_the_users_own_may_ask_for_several_jobs(
    tmp_path: Path, composed: list[list[str]]
) -> None:
    file = tmp_path / "mine/run/several.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "# @package hydra\ndefaults: [folder]\nmode: MULTIRUN\nsweeper: {params: {cell_diameter: '7,9'}}\n"
    )
    seen = []
    arguments = ["--config-dir", "mine", "session=a.h5", "run=several"]
    assert start.run("extract", lambda cfg: seen.append(cfg.cell_diameter), arguments) == 0
    assert seen == [7, 9]
