"""Tensors by the components of their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterlint.base.tree import Shape

MAX_DEPTH = 64  # components of a tensor's name

Trie = dict[str, Any]  # name -> what is below it; a shape, or `None`, at each end


def trie(tensors: Mapping[str, Shape | None]) -> Trie:
    """Sort tensors by the components of their names."""
    root: Trie = {}
    for name, shape in tensors.items():
        *parts, last = name.split(".", MAX_DEPTH)
        node: Any = root
        for part in parts:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                break
        else:
            node.setdefault(last, shape)
    return root


def count(there: Any) -> int:
    """The number of tensors at and below a place."""
    if not isinstance(there, dict):
        return 0 if there is None else 1
    return sum(count(inner) if isinstance(inner, dict) else 1 for inner in there.values())


def leaves(part: Any, name: str) -> Iterator[tuple[str, Shape | None]]:
    """The tensors of a part of a trie, under names that begin with its own."""
    if not isinstance(part, dict):
        yield name, part
        return
    for key, inner in part.items():
        yield from leaves(inner, f"{name}.{key}")
