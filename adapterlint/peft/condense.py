"""One layer for many: a base and adapters with one layer of each sort in place of all that are alike.

What PEFT does with layers that are alike in the base and in all adapters, it does in each of them; so one of them tells
it, in a fraction of the time. Where a config or a name may tell layers apart by their numbers, they are all kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, TypeVar

from adapterlint.adapter import Adapter, WeightsHeader
from adapterlint.base.tree import Kind, ModuleTree, Node, Shape
from adapterlint.caches import kept
from adapterlint.files.safetensors_header import Tensor
from adapterlint.peft.matching import ALL_LINEAR
from adapterlint.peft.methods import METHODS
from adapterlint.peft.patterns import pattern
from adapterlint.peft.tasks import IMPLICIT
from adapterlint.peft.versions import Versions

T = TypeVar("T")
Sorts = Mapping[str, str]  # number of a layer -> that of the first layer of its sort

MAX_TREES = 32
MAX_HEADERS = 64

# Keys that choose or count layers, and keys whose values name modules.
_LAYERS = ("adapter_layers", "adapters", "layer_replication", "layers_pattern", "layers_to_transform")
_NAMES = (
    *("alpha_pattern", "block_size_pattern", "exclude_modules", "feedforward_modules", "lambda_pattern"),
    *("modules_to_save", "n_frequency_pattern", "rank_pattern", "target_modules", "target_parameters"),
    *("target_svd_config", "trainable_token_indices"),
)
_WRAPPING = ("modules_to_save", "target_modules", "target_parameters", "trainable_token_indices")
_COUNTING = frozenset(name for name, method in METHODS.items() if method.counts_targets)
_AUXILIARY = ("modules_to_save", "trainable_token_indices")
_EXPRESSIONS = ("exclude_modules", "target_modules")  # a string is a regular expression for the whole path
_PLAIN = re.compile(r"(?:(?!\d+(?:\.|$))[\w-]+(?:\.|$))+")  # a name that is in all layers or in none
_PREFIXES = ("base_model.model.", "base_model.", "")  # of tensors in a file


@dataclass(frozen=True, slots=True)
class Condensed:
    """A base with some of its layers, and adapters without the tensors of the others.

    Args:
        tree: The base.
        adapters: The adapters, in the order in which they were given.
        lists: Path of a list of layers of which some were left out -> the sorts of its layers.
    """

    tree: ModuleTree
    adapters: tuple[Adapter, ...]
    lists: Mapping[str, Sorts] = field(default_factory=dict)

    def names_a_layer(self, text: str) -> bool:
        """Whether a text speaks of a layer that may stand for others."""
        return any(f"{path}." in text for path in self.lists)

    def modules(self, path: str) -> tuple[str, ...]:
        """The modules, or parameters, that one stands for."""
        return tuple(self.spread((path,)))

    def spread(self, paths: Iterable[str]) -> Iterator[str]:
        """Paths in all layers, for paths in those that are there; an order by layers stays one."""
        return self.spread_by(paths, lambda path: path, lambda _, path: path)

    def spread_by(
        self,
        items: Iterable[T],
        path_of: Callable[[T], str],
        put: Callable[[T, str], T],
        group: Callable[[T], Hashable] = lambda _: None,
    ) -> Iterator[T]:
        """The same for whatever has a path.

        Args:
            path_of: The path of an item.
            put: An item with another path.
            group: What neighbours have in common that go from layer to layer together.
        """
        split = ((item, *_split(path_of(item), self.lists)) for item in items)
        for (path, _), those in groupby(split, lambda one: (one[2], group(one[0]))):
            if not path:
                yield from (item for item, *_ in those)
                continue
            layers: dict[str, list[tuple[T, str, str]]] = {}
            for item, head, _, number, rest in those:
                layers.setdefault(number, []).append((item, head, rest))
            for number, sort in self.lists[path].items():
                yield from (put(item, f"{head}{path}.{number}{rest}") for item, head, rest in layers.get(sort, ()))


def condense(tree: ModuleTree, adapters: Iterable[Adapter], versions: Versions, names: Iterable[str] = ()) -> Condensed:
    """Leave out every layer that is like one before it, in the base and in all of some adapters.

    Args:
        names: What the adapters are called in the model.
    """
    given = tuple(adapters)
    layers: dict[str, dict[str, list[Hashable]]]
    layers = {path: {n: [sort] for n, sort in sorts.items()} for path, sorts in _repeated(tree).items()}
    configs = [adapter.config.values for adapter in given if adapter.config is not None]
    strings = (values[key] for values in configs for key in _EXPRESSIONS if isinstance(values.get(key), str))
    expressions = [text for text in strings if text.lower() != ALL_LINEAR]
    inner = versions.peft < (0, 16) and len(given) > 1  # parts of tuner layers are targets too
    if (
        not layers
        or any(_is_of_a_layer(name, layers) for name in names)
        or any(_tells_layers_apart(values) or _wraps_lists(values, tree, tuple(layers)) for values in configs)
        or (expressions and (inner or any(_wraps_in_layers(values, tree, tuple(layers)) for values in configs)))
    ):
        return Condensed(tree, given)
    for expression in expressions:
        for path, sorts in _matched(expression, tree).items():
            for number, sort in sorts.items():
                layers[path][number].append(sort)
    headers = [adapter.header for adapter in given]
    paths = tuple(layers)
    for header in headers:
        for path, found in (_placed_of(header, paths) if header is not None else {}).items():
            if found.keys() <= layers[path].keys():
                for number, parts in layers[path].items():
                    parts.append(found[number][0] if number in found else None)
            else:
                layers[path] = {}  # tensors of layers that are not there, or of another list of this name
    lists = {path: _sorts(found) for path, found in layers.items()}
    lists = {path: sorts for path, sorts in lists.items() if len(set(sorts.values())) < len(sorts)}
    if not lists:
        return Condensed(tree, given)
    fixed = tuple((path, tuple(sorts.items())) for path, sorts in lists.items())
    shorter = (
        adapter if header is None else replace(adapter, header=_shortened(header, paths, fixed))
        for adapter, header in zip(given, headers, strict=True)
    )
    return Condensed(_without(tree, fixed), tuple(shorter), lists)


_Fixed = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]  # lists with the sorts of their layers


@kept(MAX_HEADERS)
def _placed_of(header: WeightsHeader, paths: tuple[str, ...]) -> dict[str, dict[str, tuple[str, list[str]]]]:
    """List -> number of a layer -> the first layer with such tensors of such shapes, and the whole names of its own."""
    found = {}
    for path, places in _placed(header.tensors, paths).items():
        sorts = _sorts({number: [frozenset(at.values())] for number, at in places.items()})
        found[path] = {number: (sorts[number], [*at]) for number, at in places.items()}
    return found


@kept(MAX_HEADERS)
def _shortened(header: WeightsHeader, paths: tuple[str, ...], lists: _Fixed) -> WeightsHeader:
    """A header without the tensors of layers that are left out."""
    placed = _placed_of(header, paths)
    gone: set[str] = set()
    for path, sorts in lists:
        there = placed.get(path, {})
        gone.update(*(there[number][1] for number, sort in sorts if number != sort and number in there))
    return replace(header, tensors={name: tensor for name, tensor in header.tensors.items() if name not in gone})


def _sorts(layers: Mapping[str, list[Hashable]]) -> Sorts:
    """For each layer the first one that has the same parts."""
    first: dict[Hashable, str] = {}
    return {number: first.setdefault(tuple(parts), number) for number, parts in layers.items()}


def _tells_layers_apart(values: Mapping[str, Any]) -> bool:
    """Whether a config may mean some layers and not others, but for its regular expressions."""
    if any(values.get(key) is not None for key in _LAYERS) or isinstance(values.get("modules_to_save"), str):
        return True
    if str(values.get("peft_type")) in _COUNTING or values.get("proportional_parameters"):
        return True
    return not all(_PLAIN.fullmatch(name) for key in _NAMES for name in _strings(key, values.get(key)))


def _is_of_a_layer(name: str, lists: Iterable[str]) -> bool:
    """Whether an adapter's name is a number, or a part of the path of a list: PEFT takes it out of names of tensors."""
    return any(part.isdecimal() for part in name.split(".")) or any(name in path.split(".") for path in lists)


def _wraps_lists(values: Mapping[str, Any], tree: ModuleTree, lists: tuple[str, ...]) -> bool:
    """Whether something may be put around a list of layers, whose path is another one then."""
    around = _around(lists)
    parameters = [f"{path}.{name}" for path in around for name in tree.nodes[path].parameters]
    for key in _WRAPPING:
        value = values.get(key)
        if isinstance(value, str) and any(pattern(value).matches(path) is not False for path in around):
            return True
        ends = tuple(name for name in _strings(key, value) if name)
        if any(path.endswith(ends) for path in (parameters if key == "target_parameters" else around)):
            return True
    return any(path.endswith(tuple(IMPLICIT)) for path in around)


def _wraps_in_layers(values: Mapping[str, Any], tree: ModuleTree, lists: tuple[str, ...]) -> bool:
    """Whether an auxiliary module may come into a layer, which has names of modules then that the base has not."""
    ends = tuple(name for key in _AUXILIARY for name in _strings(key, values.get(key)) if name)
    inside = tuple(f"{path}." for path in lists)
    return bool(ends) and any(path.endswith(ends) and path.startswith(inside) for path in tree.nodes)


@kept(MAX_TREES)
def _around(lists: tuple[str, ...]) -> tuple[str, ...]:
    """The modules that some lists are in, and the lists."""
    parts = (path.split(".") for path in lists)
    return tuple(dict.fromkeys(".".join(names[:n]) for names in parts for n in range(1, len(names) + 1)))


def _strings(key: str, value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return () if key in _EXPRESSIONS else (value,)
    return (name for name in value if isinstance(name, str)) if isinstance(value, list | dict) else ()


# ----------------------------------------------------------------------------------------------------------- the base


@kept(MAX_TREES)
def _repeated(tree: ModuleTree) -> Mapping[str, Sorts]:
    """The outermost lists of layers, without those of which a part is shared with others."""
    special = {*tree.aliases, *tree.aliases.values(), *(name for group in tree.tied for name in group)}
    found: dict[str, Sorts] = {}
    for path, nodes in _outermost_lists(tree).items():
        layers: dict[str, list[Hashable]] = {}
        for node in nodes:
            number, _, rest = node.path[len(path) + 1 :].partition(".")
            own = (tuple(node.parameters.items()), tuple(node.buffers.items()))
            layers.setdefault(number, []).append((rest, node.kind, node.type, node.certain, own))
        if all(map(str.isdecimal, layers)) and not any(name.startswith(f"{path}.") for name in special):
            found[path] = _sorts(layers)
    return {path: sorts for path, sorts in found.items() if len(set(sorts.values())) < len(sorts)}


def _outermost_lists(tree: ModuleTree) -> dict[str, list[Node]]:
    """Path of a list that is in no other one -> the modules in it."""
    found: dict[str, list[Node]] = {}
    inside: list[Node] = []
    outer = None
    for path, node in tree.nodes.items():
        if outer is not None and path.startswith(outer):
            inside.append(node)
        elif node.kind is Kind.LIST:
            outer = f"{path}."
            inside = found[path] = []
    return found


@kept(256)
def _matched(expression: str, tree: ModuleTree) -> Mapping[str, Sorts]:
    """The sorts of layers by what a regular expression matches in them."""
    found = pattern(expression)
    places = _placed(dict.fromkeys(tree.nodes), _repeated(tree))
    return {
        path: _sorts({n: [found.matches(name) for name in names] for n, names in layers.items()})
        for path, layers in places.items()
    }


@kept(MAX_TREES)
def _without(tree: ModuleTree, lists: _Fixed) -> ModuleTree:
    """A base with the first layer only of each sort."""
    gone = tuple(f"{path}.{number}" for path, sorts in lists for number, sort in sorts if number != sort)
    whole, dotted = frozenset(gone), tuple(f"{path}." for path in gone)
    nodes = {path: n for path, n in tree.nodes.items() if path not in whole and not path.startswith(dotted)}
    return replace(tree, nodes=nodes)


# -------------------------------------------------------------------------------------------------------------- names

# Number of a layer -> name -> what is before and behind it, and the shape.
_Places = dict[str, dict[str, tuple[str, str, Shape | None]]]


def _placed(tensors: Mapping[str, Tensor | None], lists: Iterable[str]) -> dict[str, _Places]:
    """List -> what names stand in its layers; those in another list that is called the same are in none of them."""
    found: dict[str, _Places] = {}
    for path in lists:
        places: _Places = {}
        dotted = f"{path}."
        for name, tensor in tensors.items():
            head, there, tail = name.partition(dotted)
            if not there or (head not in _PREFIXES and not head.endswith(".")):
                continue
            number, _, rest = tail.partition(".")
            if head not in _PREFIXES:
                number = ""
            if number not in places:
                places[number] = {}
            places[number][name] = (head, rest, tensor.shape if tensor is not None else None)
        if places:
            found[path] = places
    return found


def _split(path: str, lists: Iterable[str]) -> tuple[str, str, str, str]:
    """What is before the list in which a path stands, the list, the number of the layer, and what is behind it."""
    for found in lists:
        head, there, tail = path.partition(f"{found}.")
        if there and head in _PREFIXES:
            number, dot, rest = tail.partition(".")
            return head, found, number, dot + rest
    return "", "", "", ""
