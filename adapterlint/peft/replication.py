"""`layer_replication`: the layers of the base in another order, some of them several times (tuners/tuners_utils.py)."""

from __future__ import annotations

from typing import Any

from adapterlint.base.tree import ModuleTree
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Module, walk
from adapterlint.peft.refused import Refused, Undecided

MAX_LAYERS = 1024
MAX_DIGITS = 8  # of the number of a layer


def replicate_layers(model: Model, layer_map: Any) -> None:
    """Put clones of layers, which share their weights with them, in the place of the layers.

    Raises:
        Refused: There is no list of layers where PEFT looks for one, or not so many.
        Undecided: The map is no list of pairs of numbers, or makes a giant.
    """
    indices = [i for pair in _pairs(layer_map) for i in range(*pair)]
    if len(indices) > MAX_LAYERS:
        raise Undecided
    if model.tree.partial:  # it is made of the names that layers have afterwards
        model.layers = (*model.layers, *indices)
        return
    parent, name = _layers(model)
    layers = list(parent.children[name].children.values())
    if any(i >= len(layers) or i < -len(layers) for i in indices):
        raise Refused("IndexError", f"index {max(indices)} is out of range", cause="config")
    new = Module(parent.children[name].kind, "ModuleList")
    for place, index in enumerate(indices):
        new.children[str(place)] = _clone(layers[index])
    model.root.put(parent, name, new)
    before = model.layers or tuple(range(len(layers)))
    model.layers = tuple(before[i] for i in indices)


def _pairs(layer_map: Any) -> list[tuple[int, int]]:
    if not isinstance(layer_map, list):
        raise Undecided
    for pair in layer_map:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(n, int) for n in pair):
            raise Undecided
        if abs(pair[1] - pair[0]) > MAX_LAYERS:
            raise Undecided
    return [(pair[0], pair[1]) for pair in layer_map]


def _layers(model: Model) -> tuple[Module, str]:
    """Where PEFT looks for the list of layers: Llama's, BERT's or Falcon's."""
    module: Module = model.root
    while "model" in module.children:
        module = module.children["model"]
    module = module.children.get("bert", module)
    if "layers" in module.children:
        return module, "layers"
    encoder = module.children.get("encoder")
    if encoder is not None and "layer" in encoder.children:
        return encoder, "layer"
    if "h" in module.children:
        return module, "h"
    text = (
        "Could not locate the layers attribute in the model. Expected Llama, Bert or Falcon compatible architectures."
    )
    raise Refused("ValueError", text, cause="config")


def _clone(layer: Module) -> Module:
    """A copy that shares every parameter."""
    shared = {id(param): param for _, module in walk(layer) for _, param in module.state()}
    return layer.copy(dict(shared))


def is_there(path: str, tree: ModuleTree, layer_map: Any) -> bool:
    """Whether a base has a module, or one that stands in its place as often as a map of layers says."""
    if path in tree.nodes:
        return True
    try:
        order = [i for pair in _pairs(layer_map) for i in range(*pair)]
    except Undecided:
        return False
    parts = path.split(".")
    numbers = [(at, int(part)) for at, part in enumerate(parts) if part.isdecimal() and len(part) < MAX_DIGITS]
    moved = (".".join((*parts[:at], str(order[n]), *parts[at + 1 :])) for at, n in numbers if n < len(order))
    return any(one in tree.nodes for one in moved)
