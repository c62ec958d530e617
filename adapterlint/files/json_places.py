"""Where each value of a JSON text stands: a second reading that is done only when a place is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

# A string without its closing quote is taken to the end of the text, or each quote in it would be tried in turn.
TOKEN = re.compile(r"""\"(?:[^"\\]++|\\.)*+\"?|[][{},:]|[^][\s{},:"]+""", re.DOTALL)

Range = tuple[int, int]  # offsets of the first character and of the end


@dataclass(slots=True)
class Node:
    """One value: where it and its name stand, where the same name stood before in its object, what it contains."""

    start: int
    end: int
    key: Range | None
    children: dict[str, Node]
    earlier: list[Range] | None = None


_NO_CHILDREN: dict[str, Node] = {}  # of every value that is no container


def scan(text: str) -> Node:
    """Return the root of a text that `json.loads` has accepted; items of a list are named by their index."""
    root = Node(0, len(text), None, {})
    parents: list[tuple[Node, bool]] = [(root, False)]
    name: str | None = None
    key: Range | None = None
    for match in TOKEN.finditer(text):
        token = match[0]
        parent, is_object = parents[-1]
        if token in ",:":
            continue
        if token in "]}":
            parent.end = match.end()
            parents.pop()
        elif is_object and name is None:
            name, key = unquote(token), match.span()
        else:
            is_container = token in "[{"
            node = Node(*match.span(), key, {} if is_container else _NO_CHILDREN)
            _adopt(parent, str(len(parent.children)) if name is None else name, node)
            name = key = None
            if is_container:
                parents.append((node, token == "{"))
    return root.children["0"]


def duplicates(node: Node, route: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], tuple[Range, ...]]]:
    """Yield the route of every name that is given more than once, and where it stands each time."""
    if node.key and node.earlier:
        yield route, (*node.earlier, node.key)
    for name, child in node.children.items():
        yield from duplicates(child, (*route, name))


def unquote(token: str) -> str:
    """Return the string that a JSON string stands for."""
    return str(json.loads(token)) if "\\" in token else token[1:-1]


def _adopt(parent: Node, name: str, node: Node) -> None:
    before = parent.children.get(name)
    if before is not None and before.key is not None:
        node.earlier = before.earlier or []  # handed on: copies of a long list would be quadratic
        node.earlier.append(before.key)
    parent.children[name] = node
