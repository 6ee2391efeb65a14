"""Damage to JSON, YAML, CSV, and the nested containers that they and others hold."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from campaigns.damage.values import HOSTILE


def change(tree: Any, rng: random.Random) -> tuple[Any, str]:
    """Change one value somewhere in nested containers."""
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        entries = (
            node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        )
        for key, value in list(entries):
            spots.append((node, key))
            walk(value)

    walk(tree)
    if not spots or rng.random() < 0.05:
        return rng.choice(HOSTILE), "the whole"
    holder, key = rng.choice(spots)
    what = rng.choice(("value", "value", "value", "gone", "deep", "copy"))
    if what == "gone":
        del holder[key]
    elif what == "deep":
        nest: Any = 1
        for _ in range(rng.choice((50, 3000))):
            nest = [nest] if rng.random() < 0.5 else {"a": nest}
        holder[key] = nest
    elif what == "copy":
        holder[key] = [holder[key]] * rng.choice((2, 100))
    else:
        holder[key] = rng.choice(HOSTILE)
    return tree, f"{key} {what} {str(holder[key])[:40] if what == 'value' else ''}"


def dumps(tree: Any) -> str:
    """JSON without Python's limit of nesting."""
    pieces: list[str] = []
    stack: list[Any] = [("value", tree)]
    while stack:
        kind, item = stack.pop()
        if kind == "text":
            pieces.append(item)
        elif isinstance(item, dict):
            stack.append(("text", "}"))
            for number, (key, value) in enumerate(reversed(list(item.items()))):
                if number:
                    stack.append(("text", ","))
                stack += [("value", value), ("text", json.dumps(str(key)) + ":")]
            stack.append(("text", "{"))
        elif isinstance(item, list | tuple):
            stack.append(("text", "]"))
            for number, value in enumerate(reversed(item)):
                if number:
                    stack.append(("text", ","))
                stack.append(("value", value))
            stack.append(("text", "["))
        else:
            pieces.append(json.dumps(item, default=str))
    return "".join(pieces)


def damaged_json(path: Path, rng: random.Random) -> str:
    tree, done = change(json.loads(path.read_text(encoding="utf-8")), rng)
    path.write_text(dumps(tree), encoding="utf-8")
    return done


def damaged_lines(path: Path, rng: random.Random) -> str:
    """JSON line by line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    row = rng.randrange(len(lines))
    what = rng.choice(("tree", "tree", "tree", "gone", "twice", "order", "blank"))
    if what == "tree":
        tree, what = change(json.loads(lines[row]), rng)
        lines[row] = dumps(tree)
    elif what == "gone":
        del lines[row]
    elif what == "twice":
        lines[row:row] = [lines[row]]
    elif what == "order":
        lines.reverse()
    else:
        lines[row:row] = [""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"{what} in line {row}"


def damaged_yaml(path: Path, rng: random.Random) -> str:
    import yaml

    text = path.read_text(encoding="utf-8")
    what = rng.choice(("tree", "tree", "tree", "aliases", "object", "tabs", "merge", "twice"))
    if what == "tree":
        tree, done = change(yaml.safe_load(text), rng)
        path.write_text(dumps(tree).replace("\\ud", "\\\\ud"), encoding="utf-8")  # JSON is YAML
        return done
    if what == "aliases":
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
        text += "\n" + "\n".join(lines) + "\n"
    elif what == "object":
        text += "\nx: !!python/object/apply:os.system ['touch owned']\n"
    elif what == "tabs":
        text = text.replace("  ", "\t", 3)
    elif what == "merge":
        text += "\nm: &m {<<: *m}\n"
    else:
        text += text
    path.write_text(text, encoding="utf-8")
    return what


def damaged_csv(path: Path, rng: random.Random) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    row = rng.randrange(len(lines))
    what = rng.choice(("cell", "cell", "drop", "twice", "header", "long", "null", "quote", "order", "mark"))
    if what == "cell":
        cells = lines[row].split(",")
        cells[rng.randrange(len(cells))] = str(rng.choice(HOSTILE))
        lines[row] = ",".join(cells)
    elif what == "drop":
        lines[row] = lines[row].partition(",")[0]
    elif what == "twice":
        lines[row:row] = [lines[row]] * rng.choice((1, 500))
    elif what == "header":
        del lines[0]
    elif what == "long":
        lines[row] = "1" * 200_000
    elif what == "null":
        lines[row] = "\0" * 8
    elif what == "quote":
        lines[row] = '"' + lines[row]
    elif what == "order":
        lines = [lines[0], *reversed(lines[1:])]
    else:
        lines = [line.replace(",", rng.choice((";", "\t", "|"))) for line in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"{what} in row {row}"
