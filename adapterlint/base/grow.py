"""A module tree from what the table says of a class, the values of a config and the tensors of a checkpoint.

The config decides what it states. Where it leaves something to a default, or the table has no rule, the tensors of
the checkpoint decide, and the defaults of transformers come last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapterlint.base.expressions import ABSENT, STAR, Index, Missing, decide, default_of, number, options, settled
from adapterlint.base.guess import tree_of_tensors
from adapterlint.base.parts import Part, Scope, renames_of
from adapterlint.base.shared import Shared
from adapterlint.base.table import RELEASES, activation
from adapterlint.base.tree import Kind, ModuleTree, Node, Shape
from adapterlint.base.trie import Trie, count, leaves, trie

_INDEX = re.compile(r"[0-9]+(?=[.])")
MAX_NODES = 120_000  # DeepSeek-V3 in release 4 has 75,000
TIE = "tie_word_embeddings"
TEXT = "text_config"  # the config of the model of a text, in that of a model of several
MAX_ITEMS = 4096  # of one list of modules

# "c" is for all that is none of the others: with modules and without parameters it is a container.
KINDS: Mapping[str, Kind] = {
    "e": Kind.EMBEDDING, "l": Kind.LINEAR, "g": Kind.GPT2_CONV1D, "1": Kind.CONV1D, "2": Kind.CONV2D, "3": Kind.CONV3D,
    "a": Kind.ATTENTION, "m": Kind.LIST, "n": Kind.NORM, "c": Kind.CONTAINER, "o": Kind.OTHER,
}  # fmt: skip


class TooManyModules(Exception):
    """A model of this size is not one."""


class Grower:
    """Grows the tree of one model.

    Args:
        whole: What the table says of its class, and the values of its config.
        parts: Models inside it that are of another type than in the table, by path.
        release: Of transformers.
        tensors: Of the checkpoint, under the model's names; `None` if there is no checkpoint.
        pickled: Whether it is a pickle, which lists a shared parameter under each of its names.
        packed: Whether the shapes of two-dimensional weights are those of quantised ones, which say nothing.
    """

    def __init__(
        self,
        whole: Scope,
        parts: Mapping[str, Part],
        release: str,
        tensors: Mapping[str, Shape | None] | None,
        *,
        packed: bool,
        pickled: bool,
    ) -> None:
        self.whole = whole
        self.parts = parts
        self.release = release
        self.entry = whole.entry
        self.values = whole.values
        self.packed = packed
        self.apart = release == RELEASES[0] and tensors is not None and not pickled
        self.root = trie(tensors) if tensors is not None else None
        self.nodes: dict[str, Node] = {}
        self.doubtful = False  # whether a list was too long, and was not grown as the config has it
        self._steps = 0
        self._scores: dict[tuple[int, int, int], tuple[int, int]] = {}

    def grow(self, config: Mapping[str, Any], name: str) -> ModuleTree:
        """The tree.

        Raises:
            TooManyModules: The config asks for more than `MAX_NODES`.
        """
        self._node(self.entry.root, "", (), self.root, True)
        shared = Shared(self.nodes, self.whole, self.parts, self.root)
        tied = shared.tied(apart=self.apart)
        shared.fill(tied)
        return ModuleTree(
            self.nodes,
            shared.aliases(),
            tied,
            input_embeddings=shared.path("input"),
            output_embeddings=shared.path("output"),
            ties=self._ties(),
            renames=tuple(renames_of(self.entry, self.parts)),
            sometimes=self._sometimes(shared.path("output")),
            architecture=self.entry.name,
            model_type=self.entry.model_type,
            config=config,
            complete=not self.doubtful,
            name=name,
        )

    def _sometimes(self, head: str | None) -> tuple[str, ...]:
        """What stands beside the model of a text, if one of another kind does and there is a head for text."""
        places = {where: path for path, _, where in self.whole.entry.data.get("parts", ())}
        text = places.pop(TEXT, None)
        if text is None or head is None or not places:
            return ()
        above = text.rpartition(".")[0]
        beside = (p for p in self.nodes if p and p.rpartition(".")[0] == above)
        return tuple(p for p in beside if not f"{head}.".startswith(f"{p}.") and p != text)

    def _ties(self) -> bool | None:
        """In release 4 a config that says nothing ties, unless its class has another default."""
        value = self.whole.values.get(TIE, True if self.release != RELEASES[0] else None)
        return value if isinstance(value, bool) else None

    # --- modules ---

    def _part(self, path: str, there: Any, certain: bool) -> None:
        """A model inside the model, with a table line and a config of its own."""
        scope = self.parts[path].scope
        outer = self.entry, self.values
        self.entry, self.values = scope.entry, scope.values
        self._node(scope.entry.root, path, (), there, certain, inside=True)
        self.entry, self.values = outer

    def _node(
        self,
        ref: int,
        path: str,
        index: Index,
        there: Any,
        certain: bool,
        *,
        inside: bool = False,
        varied: frozenset[str] = frozenset(),
    ) -> None:
        """Add a module and those below it.

        Args:
            varied: What the checkpoint has in some items of the list that the module is in, and not in others.
        """
        if path in self.parts and not inside:
            self._part(path, there, certain)
            return
        cls, letter, own, own_buffers, children = self.entry.nodes[ref]
        tensors = there if isinstance(there, dict) else None
        parameters = self._tensors(own, index, tensors, letter)
        buffers = self._tensors(own_buffers, index, tensors, "")
        if len(self.nodes) >= MAX_NODES:
            raise TooManyModules(path)
        kind = KINDS[letter]
        if kind is Kind.CONTAINER and (parameters or not children):
            kind = Kind.OTHER
        self.nodes[path] = Node(path, kind, cls, parameters, buffers, certain)
        if not children:
            return
        count = len(self.nodes)
        below = f"{path}." if path else ""
        for child in children:
            if child[0][-1] == STAR:
                self._items(child, below, index, tensors, certain)
                continue
            if isinstance(child[1], dict) and "a" in child[1]:
                self._activation(child[1], below + child[0], certain)
                continue
            found, sure = self._choose(child[1], index, tensors, child[0])
            if child[0] in varied.difference(tensors or ()) and self._requires(found, below, child[0]):
                continue
            if found != ABSENT:
                inner = tensors.get(child[0]) if tensors is not None else None
                self._node(found, below + child[0], index, inner, certain and sure)
        if letter == "m" and tensors:
            self._others(children, below, index, tensors, certain)
        for name in sorted(varied.intersection(tensors or ()).difference(own, (child[0] for child in children))):
            self._guess(name, below, tensors)
        if kind is Kind.CONTAINER and len(self.nodes) == count:
            self.nodes[path] = Node(path, Kind.OTHER, cls, parameters, buffers, certain)

    def _others(
        self, children: Sequence[Any], below: str, index: Index, tensors: Mapping[str, Any], certain: bool
    ) -> None:
        """Add items of a dict of modules that have other names than those in the table, and are like one of them."""
        choices = [child[1] for child in children if child[0][-1] != STAR]
        refs = dict.fromkeys(ref for choice in choices for ref in options(choice) if ref != ABSENT)
        for name in [name for name in tensors if all(child[0] != name for child in children)]:
            fitting = [ref for ref in refs if self._matched(ref, tensors[name]) == (count(tensors[name]), 0)]
            if fitting and isinstance(tensors[name], dict):
                self._node(fitting[0], below + name, index, tensors[name], certain)

    def _requires(self, ref: int, below: str, name: str) -> bool:
        """Whether a module needs tensors in the checkpoint: none of its parameters is another one's."""
        if ref == ABSENT or not self._has_tensors(ref):
            return False
        rows = [*self.entry.data.get("tied", ()), *self.entry.data.get("alias", ())]
        return not any(_starred(f"{row[0]}.").startswith(_starred(f"{below}{name}.")) for row in rows)

    def _has_tensors(self, ref: int) -> bool:
        """Whether a module always has parameters, or one below it has."""
        _, _, parameters, _, below = self.entry.nodes[ref]
        own = any(not isinstance(sizes, dict) for sizes in parameters.values())
        return own or any(isinstance(child[1], int) and self._has_tensors(child[1]) for child in below)

    def _guess(self, name: str, below: str, tensors: Any) -> None:
        """Add modules of a layer that the table does not know, as its tensors tell of them."""
        for path, node in tree_of_tensors(dict(leaves(tensors[name], name))).nodes.items():
            if path:
                self.nodes[below + path] = replace(node, path=below + path)

    def _activation(self, choice: Mapping[str, Any], path: str, certain: bool) -> None:
        """A module without parameters whose class a config value names."""
        named = self.values.get(choice["a"])
        cls = activation(named, self.release) if isinstance(named, str) else None
        self.nodes[path] = Node(path, Kind.OTHER, cls or self.entry.nodes[choice["d"]][0], certain=certain)

    def _items(self, child: Sequence[Any], below: str, index: Index, there: Trie | None, certain: bool) -> None:
        prefix = child[0][:-1]
        length, sure = self._length(child, index, there)
        varied = _varied(there, prefix)
        self._steps += length
        if self._steps > MAX_NODES:
            raise TooManyModules(below)
        for i in range(length):
            place = (*index, (i, length))
            found, known = self._choose(child[1], place, there, f"{prefix}{i}")
            if found != ABSENT:
                inner = there.get(f"{prefix}{i}") if there is not None else None
                self._node(found, f"{below}{prefix}{i}", place, inner, certain and sure and known, varied=varied)

    def _length(self, child: Sequence[Any], index: Index, there: Trie | None) -> tuple[int, bool]:
        """How many items a list has, and whether that is certain."""
        skip = len(child[0]) - 1
        shown = [int(k[skip:]) for k in there if k[skip:].isdecimal() and len(k) < skip + 6] if there else []
        seen = max(shown) + 1 if shown else None
        self.values.guessed = False
        try:
            length = self._number(child[2] if child[2] is not None else child[3], index)
            if type(length) is int and length <= MAX_ITEMS and not (self.values.guessed and seen is not None):
                return length, not self.values.guessed
            if type(length) is int and length > MAX_ITEMS:
                self.doubtful = True
        except Missing:
            pass
        if seen is not None:
            return min(seen, MAX_ITEMS), True
        default = default_of(child[3], index) if len(child) > 3 else None
        return (default, False) if type(default) is int else (0, False)

    def _choose(self, choice: Any, index: Index, there: Trie | None, name: str) -> tuple[int, bool]:
        """The node at a place, and whether that is certain: as the checkpoint shows it, else as the config says."""
        if isinstance(choice, int):
            return choice, True
        self.values.guessed = False
        decided: int | None
        try:
            decided, sure = decide(choice, self.values, index), not self.values.guessed
        except Missing:
            decided, sure = None, False
        default: int = default_of(choice, index)
        if there is None:
            return (default, False) if decided is None else (decided, sure or "f" in choice)
        if sure and decided == ABSENT:  # transformers leaves the tensors of what the config switches off
            return ABSENT, True
        inner = there.get(name)
        scores = {ref: self._score(ref, inner) for ref in dict.fromkeys([*options(choice), default])}
        best = max(scores.values())
        winners = [ref for ref, score in scores.items() if score == best]
        # A head that the checkpoint lacks, or nothing to go by.
        if decided is not None and (decided in winners or (inner is None and there is self.root)):
            return decided, True
        return (winners[0], True) if len(winners) == 1 else (default if default in winners else winners[0], False)

    def _score(self, ref: int, there: Any) -> int:
        """How well a node explains the tensors of a place: those it has less those it has not."""
        if ref == ABSENT:
            return -count(there)
        hits, misses = self._matched(ref, there)
        return hits - misses

    def _matched(self, ref: int, there: Any) -> tuple[int, int]:
        key = (id(self.entry), ref, id(there))
        if key in self._scores:
            return self._scores[key]
        _, kind, parameters, buffers, below = self.entry.nodes[ref]
        own = {**parameters, **buffers}
        required = [name for name, sizes in own.items() if not isinstance(sizes, dict)]
        if not isinstance(there, dict):
            return 0, len(required)
        if self.packed and kind == "l":  # quantised: its tensors have names of their own
            return len(required), 0
        children = {child[0]: child[1] for child in below}
        hits = sum(name in there for name in own)
        misses = sum(name not in there for name in required)
        for name, inner in there.items():
            if name in own:
                continue
            choice = children.get(name)
            if choice is None and name[-1:].isdecimal():
                choice = children.get(name.rstrip("0123456789") + STAR)
            if choice is None:
                misses += count(inner)
                continue
            best = max((self._matched(r, inner) for r in options(choice) if r != ABSENT), key=lambda p: p[0] - p[1])
            hits, misses = hits + best[0], misses + best[1]
        for name, choice in children.items():
            if name[-1] != STAR and name not in there and isinstance(choice, int):
                misses += self._matched(choice, None)[1]
        self._scores[key] = hits, misses
        return hits, misses

    # --- tensors ---

    def _tensors(
        self, specs: Mapping[str, Any], index: Index, there: Trie | None, kind: str
    ) -> dict[str, Shape | None]:
        found: dict[str, Shape | None] = {}
        for name, spec in specs.items():
            sizes = spec
            if isinstance(spec, dict):
                sizes = spec["s"]
                if not self._is_there(name, spec["w"], index, there):
                    continue
            shape = there.get(name) if there is not None else None
            if isinstance(shape, dict) or (self.packed and kind in "lo" and name != "bias"):
                shape = None
            found[name] = shape if shape is not None else self._shape(sizes, index)
        return found

    def _is_there(self, name: str, choice: Any, index: Index, there: Trie | None) -> bool:
        """Whether a module has a parameter that not every model of the class has."""
        if there:
            return name in there
        return bool(settled(choice, self.values, index))

    def _shape(self, sizes: Any, index: Index) -> Shape | None:
        if sizes is None:
            return None
        try:
            return tuple(self._number(size, index) for size in sizes)
        except (Missing, TypeError):
            return None

    def _number(self, expression: Any, index: Index) -> int:
        if expression is None:
            raise Missing("not known")
        return number(expression, self.values, index)


def _varied(there: Trie | None, prefix: str) -> frozenset[str]:
    """What the checkpoint has in some items of a list, and not in others."""
    found = [
        frozenset(inner) for key, inner in (there or {}).items() if isinstance(inner, dict) and _is_item(key, prefix)
    ]
    return frozenset().union(*found) - frozenset.intersection(*found) if found else frozenset()


def _is_item(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and key[len(prefix) :].isdecimal()


def _starred(path: str) -> str:
    """A path with `*` for its indices."""
    return _INDEX.sub(STAR, path)
