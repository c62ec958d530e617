"""What nobody should write into a config, and somebody will: one value of every type."""

from __future__ import annotations

from typing import Any

VALUES: list[Any] = [
    None,
    0,
    -1,
    10**400,
    0.5,
    True,
    "x",
    "",
    [],
    [[]],
    [None, "lm_head"],
    {},
    {"": [1]},
    {"a": {"b": 1}},
]
