"""Damage to checkpoints and weights: their tensors, and the architecture that they name."""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path

from campaigns.damage.text import change, dumps
from campaigns.damage.values import HOSTILE


def damaged_checkpoint(path: Path, rng: random.Random) -> str:
    import torch

    tree = torch.load(path, weights_only=True)
    if rng.random() < 0.4:
        name = rng.choice(sorted(tree["state_dict"]))
        value = tree["state_dict"][name]
        what = rng.choice(("nan", "gone", "shape", "type"))
        if what == "nan":
            tree["state_dict"][name] = torch.full_like(value.float(), math.nan)
        elif what == "gone":
            del tree["state_dict"][name]
        elif what == "shape":
            tree["state_dict"][name] = torch.zeros(3, 3, 3)
        else:
            tree["state_dict"][name] = rng.choice(("text", None, 3))
        done = f"{name} {what}"
    else:
        part = rng.choice(("architecture", "window", "whole"))
        if part == "whole":
            names = sorted(set(tree) - {"state_dict"})
            chosen = rng.choice(names)
            tree[chosen] = rng.choice(HOSTILE)
            done = f"{chosen} = {str(tree[chosen])[:30]}"
        else:
            plain = json.loads(json.dumps(tree[part]))
            tree[part], done = change(plain, rng)
    torch.save(tree, path)
    return done


def damaged_safetensors(path: Path, rng: random.Random) -> str:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    if rng.random() < 0.6:
        about = header["__metadata__"]
        name = rng.choice(("architecture", "window"))
        tree, done = change(json.loads(about[name]), rng)
        about[name] = dumps(tree)
    else:
        header, done = change(header, rng)
    text = dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return done
