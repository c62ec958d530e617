"""Glob patterns of settings, and what they match."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatch


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a file or folder is what a pattern of the settings means, or lies below it.

    A pattern is compared with the path as it is shown and as the working folder sees it; one without a slash also
    with each component.
    """
    seen = {path, os.path.relpath(path)} if path else set()
    for pattern in patterns:
        below = pattern.rstrip("/") + "/"
        if any(fnmatch(p, pattern) or f"{p}/".startswith(below) for p in seen):
            return True
        if "/" not in pattern and any(fnmatch(part, pattern) for p in seen for part in p.split("/")):
            return True
    return False
