"""What people, scripts and cats type after a command: keys that exist with values that don't belong there."""

from __future__ import annotations

import random
from functools import cache

from campaigns.cases import Case

#: what is typed where a number, a choice or a path is wanted; what costs time by right is left out
VALUES = (
    "",
    "null",
    "true",
    "False",
    "0",
    "-1",
    "1",
    "3",
    "1.5",
    "1e-9",
    "1e300",
    "-1e300",
    "nan",
    "inf",
    "-inf",
    "2147483648",
    "99999999999999999999",
    "text",
    "'quoted, text'",
    "[]",
    "[1,2]",
    "[a,b,c,d]",
    "{}",
    "{a:1}",
    "???",
    "${seed}",
    "${oc.env:NOBODY}",
    "${nothing}",
    "../..",
    "/",
    "/dev/null",
    "/nonexistent/x.h5",
    "session.h5",
    "ä\u202e",
    "a b",
    "a=b",
    "x" * 300,
    "'" + "x" * 5000 + "'",
    "[" * 40,
    "\"'",
    "\\",
    "$(touch owned)",
    "*",
    "%s",
)
#: settings that make a long job by right: their large values aren't tried, nor are jobs on other machines
LONG = ("hydra", "trainer", "launcher", "logger", "run", "output", "overwrite", "serve", "open", "dry_run")
#: what keeps a command from waiting for people, or asking others' machines
KEPT = ("serve=false", "dry_run=true")
#: groups of parts whose choices are tried as well, none of which takes long
CHOICES = (
    "simulation",
    "detector",
    "preprocess",
    "localize",
    "encoder",
    "head",
    "decoder",
    "background",
    "loss",
)


@cache
def keys(command: str) -> tuple[str, ...]:
    """Dotted keys that a command takes."""
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig, OmegaConf

    from calcium_lightning.command.config_keys import conf_dir
    from calcium_lightning.command.schemas import SCHEMAS

    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    GlobalHydra.instance().clear()
    more = ["+experiment=unsupervised"] if command == "train" else []
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose(command, overrides=more)
    GlobalHydra.instance().clear()
    found: list[str] = []

    def walk(node: DictConfig, prefix: str) -> None:
        for key in node:
            name = f"{prefix}{key}"
            found.append(name)
            value = OmegaConf.to_container(node, resolve=False)[key]
            if isinstance(value, dict):
                walk(node[key], f"{name}.")

    walk(cfg, "")
    return tuple(name for name in found if name.split(".")[0] not in LONG)


@cache
def _groups(command: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The config groups of a command, with their choices where those may be tried."""
    from calcium_lightning.command.config_keys import choices_of, groups_of

    names = [name for name in groups_of(command) if name not in LONG and "schema" not in name]
    return tuple((name, tuple(choices_of(name)) if name in CHOICES else ()) for name in names)


def typed(case: Case, rng: random.Random) -> tuple[str, ...]:
    """The arguments of a case, with some of them out of place."""
    arguments = list(case.arguments)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        what = rng.choice(
            ("value", "value", "value", "value", "group", "key", "drop", "flag", "plus", "garbage")
        )
        key = rng.choice(keys(case.command))
        if what == "value":
            arguments.append(f"{key}={rng.choice(VALUES)}")
        elif what == "group" and (groups := _groups(case.command)):
            group, choices = rng.choice(groups)
            arguments.append(f"{group}={rng.choice((*choices, *choices, *VALUES))}")
        elif what == "key":
            place = rng.randrange(len(key))
            arguments.append(f"{key[:place]}{rng.choice('xyz._-=')}{key[place + 1 :]}={rng.choice(VALUES)}")
        elif what == "drop" and (spare := [item for item in arguments if item not in KEPT]):
            arguments.remove(rng.choice(spare))
        elif what == "flag":
            arguments.append(
                rng.choice(("--help", "--cfg", "--cfg=job", "--nothing", "-h", "--info", "-c", "--resolve"))
            )
        elif what == "plus":
            arguments.append(f"{rng.choice(('+', '++', '~'))}{key}={rng.choice(VALUES)}")
        else:
            arguments.append(rng.choice(VALUES))
    return tuple(arguments)
