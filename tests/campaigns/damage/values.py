"""Values that no reader expects, wherever a file holds one."""

from __future__ import annotations

import math
from typing import Any

#: values that no reader expects
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**400,
    1e-9,
    1e300,
    -0.5,
    math.nan,
    math.inf,
    "",
    "False",
    "nan",
    "1e999",
    "text",
    "\0",
    "ä\u202e\U0001f600",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "${oc.env:HOME}",
    "../../../etc/passwd",
    "x" * 70_000,
    [],
    {},
    [[[[]]]],
    [1, 2, 3],
    {"a": {"b": "c"}},
)
