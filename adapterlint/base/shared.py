"""What is one object under several paths in a model: modules, and tied parameters; where its embeddings are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterlint.base.expressions import STAR, settled
from adapterlint.base.parts import Part, Scope
from adapterlint.base.tree import Node
from adapterlint.base.trie import Trie


class Shared:
    """Finds it in the modules of a model, and in what the table says.

    Args:
        nodes: The modules.
        whole: What the table says of the class, and the values of the config.
        parts: Models inside it that are of another type than in the table, by path.
        root: The tensors of the checkpoint, if there is one.
    """

    def __init__(self, nodes: dict[str, Node], whole: Scope, parts: Mapping[str, Part], root: Trie | None) -> None:
        self.nodes = nodes
        self.whole = whole
        self.parts = parts
        self.root = root

    def _rows(self, key: str) -> Iterator[tuple[str, str]]:
        """Paths (of modules or parameters) that are one object, the later and the first, with `*` for indices."""
        replaced = tuple(f"{path}." for path in self.parts)
        for later, first, choice in self.whole.entry.data.get(key, ()):
            later, first = self._moved(later), self._moved(first)
            own = replaced and (later.startswith(replaced) and first.startswith(replaced))
            if not own and self._is_on(choice, self.whole):
                yield later, first
        for path, part in self.parts.items():
            for later, first, choice in part.scope.entry.data.get(key, ()):
                if self._is_on(choice, part.scope):
                    yield f"{path}.{later}", f"{path}.{first}"

    def _moved(self, path: str) -> str:
        """A path of a model in the table where another model stands in its place."""
        for part in self.parts.values():
            for old, new in part.moved.items():
                if path == old or path.startswith(f"{old}."):
                    return new + path[len(old) :]
        return path

    def _is_on(self, choice: Any, scope: Scope) -> bool:
        return choice if isinstance(choice, bool) else bool(settled(choice, scope.values))

    def aliases(self) -> dict[str, str]:
        """Path of a module -> the path where the same module stands first."""
        aliases: dict[str, str] = {}
        for pattern, first_pattern in self._rows("alias"):
            for path, first in self._pairs(pattern, first_pattern):
                if first == path or first not in self.nodes:
                    continue
                below = f"{path}."
                for inner in [p for p in self.nodes if p == path or p.startswith(below)]:
                    aliases[inner] = first + inner[len(path) :]
        return aliases

    def tied(self, *, apart: bool) -> tuple[tuple[str, ...], ...]:
        """Groups of parameters that are one.

        Args:
            apart: Whether two tensors of the checkpoint stay two parameters.
        """
        groups: dict[str, list[str]] = {}
        for pattern, first_pattern in self._rows("tied"):
            module, _, name = pattern.rpartition(".")
            first_module, _, first_name = first_pattern.rpartition(".")
            for path, first in self._pairs(module, first_module):
                members = groups.setdefault(joined(first, first_name), [])
                if (
                    (path, name) != (first, first_name)
                    and first in self.nodes
                    and first_name in self.nodes[first].parameters
                    and name in self.nodes[path].parameters
                    and not (apart and self._in_file(path, name) and self._in_file(first, first_name))
                ):
                    members.append(joined(path, name))
        return tuple((first, *members) for first, members in groups.items() if members)

    def _pairs(self, pattern: str, first_pattern: str) -> Iterator[tuple[str, str]]:
        for path, indices in self._matching(pattern.split(".")):
            numbers = iter(indices)
            first = (p[:-1] + next(numbers, "0") if p.endswith(STAR) else p for p in first_pattern.split("."))
            yield path, ".".join(first)

    def _matching(self, parts: list[str]) -> Iterator[tuple[str, list[str]]]:
        paths: list[tuple[str, list[str]]] = [("", [])]
        for part in parts if parts != [""] else []:
            following = []
            for path, indices in paths:
                if not part.endswith(STAR):
                    following.append((joined(path, part), indices))
                    continue
                i = 0
                while (item := joined(path, f"{part[:-1]}{i}")) in self.nodes:
                    following.append((item, [*indices, str(i)]))
                    i += 1
            paths = following
        yield from ((path, indices) for path, indices in paths if path in self.nodes)

    def fill(self, tied: tuple[tuple[str, ...], ...]) -> None:
        """One shape for all the paths of a parameter: that which the checkpoint shows."""
        for group in tied:
            places = [(self.nodes[m], name) for m, _, name in (p.rpartition(".") for p in group)]
            in_file = [node.parameters[n] for node, n in places if self._in_file(node.path, n)]
            shapes = in_file or [node.parameters[n] for node, n in places]
            shape = next((s for s in shapes if s is not None), None)
            for node, name in places:
                assert isinstance(node.parameters, dict)
                node.parameters[name] = shape

    def _in_file(self, path: str, name: str) -> bool:
        node: Any = self.root
        for part in path.split(".") if path else []:
            node = node.get(part) if isinstance(node, dict) else None
        return isinstance(node, dict) and node.get(name) is not None

    def path(self, key: str) -> str | None:
        """Where the embeddings of one end are (`input`, `output`)."""
        choice = self.whole.entry.data.get(key)
        if isinstance(choice, dict):
            choice = settled(choice, self.whole.values)
        path = self._moved(choice) if isinstance(choice, str) else None
        return path if path in self.nodes else None


def joined(path: str, name: str) -> str:
    """A path below another, which is empty for the model itself."""
    return f"{path}.{name}" if path else name
