"""One layer for many: a base and adapters without the layers in which nothing is different from the first one.

What PEFT does with adapters that treat all layers of a base alike, it does in each of them; so one of them tells it,
in a fraction of the time. Where a config or a file makes a difference between layers, they are all kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adapterlint.adapter import Adapter
from adapterlint.base.tree import Kind, ModuleTree

# Keys whose values name modules, and keys that count layers.
_NAMES = [
    "alpha_pattern",
    "exclude_modules",
    "feedforward_modules",
    "modules_to_save",
    "rank_pattern",
    "target_modules",
    "target_parameters",
    "trainable_token_indices",
]
_LAYERS = ("layer_replication", "layers_pattern", "layers_to_transform", "adapter_layers")
_NUMBER = re.compile(r"(?:^|[^\w])\d|\\d")  # that may be that of a layer
MIN_LAYERS = 3  # of a list that is worth it


@dataclass(frozen=True, slots=True)
class Condensed:
    """A base of which some lists of layers have one layer left.

    Args:
        tree: The base.
        lists: Path of such a list -> how many layers there were.
    """

    tree: ModuleTree
    lists: Mapping[str, int] = field(default_factory=dict)

    def adapter(self, adapter: Adapter) -> Adapter:
        """An adapter without the tensors of layers that are gone."""
        if not self.lists or adapter.header is None:
            return adapter
        tensors = {name: t for name, t in adapter.header.tensors.items() if _layer(name, self.lists)[1] in (None, 0)}
        return replace(adapter, header=replace(adapter.header, tensors=tensors))

    def modules(self, module: str) -> tuple[str, ...]:
        """The modules that one stands for."""
        path, number, rest = _layer(f"{module}.", self.lists)
        if number is None:
            return (module,)
        tail = f".{rest}".removesuffix(".")
        return tuple(f"{path}.{i}{tail}" for i in range(self.lists[path]))


def condense(tree: ModuleTree, adapters: Sequence[Adapter]) -> Condensed:
    """Leave out the layers that are like the first one of their list, in the base and in all of some adapters."""
    if any(_counts_layers(adapter.config.values) for adapter in adapters if adapter.config is not None):
        return Condensed(tree)
    lists = _lists(tree)
    for adapter in adapters:
        if adapter.header is not None and lists:
            lists = _alike(adapter.header.tensors, lists)
    if not lists:
        return Condensed(tree)
    nodes = {path: node for path, node in tree.nodes.items() if _layer(f"{path}.", lists)[1] in (None, 0)}
    return Condensed(replace(tree, nodes=nodes), lists)


def _counts_layers(values: Mapping[str, Any]) -> bool:
    """Whether a config may mean some layers and not others."""
    if any(values.get(key) is not None for key in _LAYERS):
        return True
    return any(_NUMBER.search(name) for key in _NAMES for name in _strings(values.get(key)))


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return (name for name in value if isinstance(name, str)) if isinstance(value, list | dict) else ()


def _lists(tree: ModuleTree) -> dict[str, int]:
    """The outermost lists of layers that are all alike -> how many there are."""
    found: dict[str, int] = {}
    below: dict[str, dict[str, list[Any]]] = {}
    outer = ""
    special = {*tree.aliases, *tree.aliases.values(), *(name for group in tree.tied for name in group)}
    for path, node in tree.nodes.items():
        if outer and path.startswith(outer):
            number, _, rest = path[len(outer) :].partition(".")
            shape = (rest, node.kind, tuple(node.parameters.items()), tuple(node.buffers.items()))
            below[outer[:-1]].setdefault(number, []).append(shape)
        elif node.kind is Kind.LIST:
            outer = f"{path}."
            below[path] = {}
    for path, layers in below.items():
        names = [str(i) for i in range(len(layers))]
        if len(layers) < MIN_LAYERS or list(layers) != names or any(name.startswith(f"{path}.") for name in special):
            continue
        if all(layer == layers["0"] for layer in layers.values()):
            found[path] = len(layers)
    return found


def _alike(tensors: Mapping[str, Any], lists: Mapping[str, int]) -> dict[str, int]:
    """The lists of which a file has the same tensors in every layer, or none."""
    found: dict[str, dict[int, dict[str, Any]]] = {path: {} for path in lists}
    for name, tensor in tensors.items():
        path, number, rest = _layer(name, lists)
        if number is not None:
            found[path].setdefault(number, {})[rest] = tensor.shape
    return {
        path: count
        for path, count in lists.items()
        if not found[path]
        or (len(found[path]) == count and all(layer == found[path].get(0) for layer in found[path].values()))
    }


def _layer(name: str, lists: Mapping[str, int]) -> tuple[str, int | None, str]:
    """The list that a name stands in, the number of its layer, and what follows."""
    for path in lists:
        at = name.find(f"{path}.")
        if at > 0 and name[at - 1] != ".":
            continue
        if at >= 0:
            number, _, rest = name[at + len(path) + 1 :].partition(".")
            if number.isdecimal() and len(number) < 6:
                return path, int(number), rest
    return "", None, name
