"""One template out of many models of a class: which modules are there when, how many, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapterlint.base.architectures.learn import Build, Learner, Samples
from adapterlint.base.expressions import ABSENT, STAR, Index, options


class Merger:
    """Merges the modules that stand at one place in many models; equal nodes are kept once.

    A node is `[class, kind, parameters, buffers, children]`. A parameter is a list of sizes, or `{"s": sizes, "w":
    choice}` if it is not always there; a child is `[name, choice of a node]`, a list `["*", choice, length, default
    length]`.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.nodes: list[Any] = []
        self._known: dict[str, int] = {}

    def node(self, samples: Samples, seen: Sequence[Any]) -> int:
        """The number of the node that stands for all of these modules, which are of one class and kind."""
        entry = [
            seen[0].type,
            _kind(seen[0]),
            self._tensors(samples, [s.parameters for s in seen]),
            self._tensors(samples, [s.buffers for s in seen]),
            self._children(samples, seen),
        ]
        while entry and not entry[-1]:
            entry.pop()
        key = repr(entry)
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append(entry)
        return self._known[key]

    def _tensors(self, samples: Samples, tensors: Sequence[dict[str, Any]]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for name in ordered([list(t) for t in tensors]):
            there = [name in t for t in tensors]
            own = [s for s, is_there in zip(samples, there, strict=True) if is_there]
            shapes = [t[name] for t in tensors if name in t]
            if len({len(s) for s in shapes}) == 1:
                sizes = [self.learner.number(own, [s[d] for s in shapes]) for d in range(len(shapes[0]))]
            else:
                sizes = None
            merged[name] = sizes if all(there) else {"s": sizes, "w": self.learner.choice(samples, there)}
        return merged

    def _children(self, samples: Samples, seen: Sequence[Any]) -> list[Any]:
        if not any(s.children for s in seen):
            return []
        prefix = _list_prefix(seen)
        if prefix is not None:
            return [self._star(samples, seen, prefix)]
        prefix, merged = _run(seen), []
        for name in ordered([list(s.children) for s in seen]):
            if prefix is None or not _number(name, prefix):
                merged.append([name, self.slot(samples, [s.children.get(name) for s in seen])])
            elif name == f"{prefix}0":
                merged.append(self._star(samples, seen, prefix))
        return merged

    def _star(self, samples: Samples, seen: Sequence[Any], prefix: str) -> list[Any]:
        runs = [{n: c for n, c in s.children.items() if _number(n, prefix)} for s in seen]
        counts = [len(run) for run in runs]
        inner = []
        items = []
        for (build, index), run in zip(samples, runs, strict=True):
            for name, item in run.items():
                inner.append((build, (*index, (int(name[len(prefix) :]), len(run)))))
                items.append(item)
        length = self.learner.count(samples, counts)
        entry = [prefix + STAR, self.slot(inner, items), length]
        if length is None:
            found = self.learner.choice(samples, counts)
            entry.append(found if isinstance(found, dict) else {"d": found})
        return entry

    def slot(self, samples: Samples, seen: Sequence[Any]) -> Any:
        """The node, or the choice of nodes (`ABSENT` for none), at one place."""
        keys = [(s.type, _kind(s)) if s is not None else None for s in seen]
        nodes: dict[Any, int] = {None: ABSENT}
        for key in dict.fromkeys(keys):
            if key is not None:
                chosen = [n for n, k in enumerate(keys) if k == key]
                nodes[key] = self.node([samples[n] for n in chosen], [seen[n] for n in chosen])
        found = self.learner.choice(samples, [nodes[k] for k in keys])
        if isinstance(found, dict) and all(s is not None and _is_bare(s) for s in seen):
            name = self.learner.activation(samples, [s.type for s in seen])
            return {"a": name, "d": options({"d": found["d"]})[0]} if name else found
        return found


def _kind(seen: Any) -> str:
    """The kind, but one for containers and others: what parameters there are tells them apart."""
    return "c" if seen.kind == "o" else str(seen.kind)


def _is_bare(seen: Any) -> bool:
    return not seen.children and not seen.parameters and not seen.buffers


def _list_prefix(seen: Sequence[Any]) -> str | None:
    """What stands before the index (most often nothing) if the children are items that a config value may count."""
    prefix: str = next(name for s in seen for name in s.children).rstrip("0123456789")
    if any(list(s.children) != [f"{prefix}{i}" for i in range(len(s.children))] for s in seen):
        return None
    if len({len(s.children) for s in seen}) > 1:
        return prefix
    alike = all(len({c.type for c in s.children.values()}) == 1 for s in seen)
    return prefix if len(seen[0].children) > 1 and alike else None


def _number(name: str, prefix: str) -> str:
    """The index of an item of a list; empty for what is none."""
    rest = name.removeprefix(prefix)
    return rest if rest.isdecimal() and name.startswith(prefix) else ""


def _run(seen: Sequence[Any]) -> str | None:
    """What stands before the index of items that are beside other modules, and not as many in every model."""
    names: list[list[str]] = [list(s.children) for s in seen]
    for prefix in dict.fromkeys(name[:-1] for known in names for name in known if len(name) > 1 and name[-1] == "0"):
        items = [[n for n in known if _number(n, prefix)] for known in names]
        if len(set(map(len, items))) > 1 and all(i == [f"{prefix}{k}" for k in range(len(i))] for i in items):
            return prefix
    return None


def ordered(lists: Sequence[list[str]]) -> list[str]:
    """All names in an order that agrees with each of the lists, as far as these agree."""
    different = list(dict.fromkeys(map(tuple, lists)))
    before: dict[str, set[str]] = {}
    for names in different:
        for n, name in enumerate(names):
            before.setdefault(name, set()).update(names[:n][-1:])
    result: dict[str, None] = {}
    while len(result) < len(before):
        left = [name for name in before if name not in result]
        free = (name for name in left if before[name] <= result.keys())
        result[next(free, left[0])] = None
    return list(result)


# --- parameters and modules under two paths ---------------------------------------------------------------------------


def abstract(nodes: Sequence[Any], root: int, path: str) -> tuple[str, tuple[int, ...]]:
    """A path with `*` for the indices that count lists, and these indices."""
    parts, index = [], []
    current = [root]
    for part in path.split("."):
        children = [child for n in current for child in _children_of(nodes[n])]
        named = [c for c in children if c[0] == part]
        starred = [c for c in children if _is_item(part, c[0])] if not named else []
        if starred:
            index.append(int(part[len(starred[0][0]) - 1 :]))
        parts.append(starred[0][0] if starred else part)
        current = [ref for c in named or starred for ref in refs(c[1])]
    return ".".join(parts), tuple(index)


def _is_item(part: str, name: str) -> bool:
    return name.endswith(STAR) and part.startswith(name[:-1]) and part[len(name) - 1 :].isdecimal()


def _children_of(node: Sequence[Any]) -> Sequence[Any]:
    return node[4] if len(node) > 4 else []


def refs(choice: Any) -> list[int]:
    """Every node of a choice."""
    return [ref for ref in options(choice) if ref != ABSENT]


def pairs(
    learner: Learner, nodes: Sequence[Any], root: int, builds: Sequence[Build], found: Sequence[dict[str, str]]
) -> list[Any]:
    """Pairs `[path, first path, choice]` of what is one object: `*` of the first path takes the indices of the other.

    Args:
        found: For each build, path -> first path of the same object.
    """
    patterns: dict[tuple[str, str], list[dict[tuple[int, ...], tuple[int, ...]]]] = {}
    for n, pairs_of_build in enumerate(found):
        for path, first in pairs_of_build.items():
            pattern, index = abstract(nodes, root, path)
            first_pattern, first_index = abstract(nodes, root, first)
            rows = patterns.setdefault((pattern, first_pattern), [{} for _ in found])
            rows[n][index] = first_index
    result = []
    samples: list[tuple[Build, Index]] = [(b, ()) for b in builds]
    for (pattern, first_pattern), rows in patterns.items():
        filled = _filled(first_pattern, [pair for row in rows for pair in row.items()])
        if filled is not None:
            result.append([pattern, filled, learner.choice(samples, [bool(row) for row in rows])])
        else:  # the pairs of one build as they are
            at = next((n for n, b in enumerate(builds) if b.changed is None), 0)
            for index, first_index in rows[at].items():
                result.append([_put(pattern, index), _put(first_pattern, first_index), True])
    return result


def _filled(first_pattern: str, pairs_seen: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> str | None:
    parts = first_pattern.split(".")
    stars = [n for n, part in enumerate(parts) if part.endswith(STAR)]
    for k, n in enumerate(stars):
        values = {first[k] for _, first in pairs_seen}
        if all(len(index) > k and index[k] == first[k] for index, first in pairs_seen):
            continue
        if len(values) != 1:
            return None
        parts[n] = parts[n][:-1] + str(values.pop())
    return ".".join(parts)


def _put(pattern: str, index: tuple[int, ...]) -> str:
    numbers = iter(index)
    return ".".join(f"{part[:-1]}{next(numbers)}" if part.endswith(STAR) else part for part in pattern.split("."))
