"""Commands as pages show them, composed as Hydra would compose them."""

from __future__ import annotations

import shlex

from hydra.core.override_parser.types import Override

from calcium_lightning.command.config_keys import conf_dir
from calcium_lightning.command.schemas import SCHEMAS

PREFIX = "python -m calcium_lightning."


def typed_lines(block: str) -> list[str]:
    """Our commands among the lines of a block."""
    return [line for line in block.splitlines() if line.startswith(PREFIX)]


def first_value(item: Override) -> str:
    """What is typed, or the first of the values that are swept."""
    if item.is_interval_sweep():
        return str(item.value().start)
    return (
        next(iter(item.sweep_string_iterator()))
        if item.is_sweep_override()
        else item.input_line.partition("=")[2]
    )


def compose_line(line: str) -> None:
    """Compose the config of a command line; paths arrive as they are, and a sweep says so."""
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from calcium_lightning.sweeps.plugins import register

    register()
    name, *words = shlex.split(line.removeprefix(PREFIX))
    parsed = OverridesParser.create().parse_overrides([word for word in words if word != "-m"])
    sweeps = any(item.is_sweep_override() or item.key_or_group == "sweep" for item in parsed)
    assert sweeps == ("-m" in words)
    first = [f"{item.input_line.split('=')[0]}={first_value(item)}" for item in parsed]
    for command, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{command}_schema", node=schema)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose(name, first)
    for word in ("day 1, mouse=7.h5", "day 1.h5"):  # quoted paths arrive as they are
        if word in line:
            assert word in (cfg.get("session"), *(cfg.get("data", {}).get("sessions") or ()))
