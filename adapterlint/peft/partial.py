"""The modules of a base as far as its adapters name them, for when there is no base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from adapterlint.base import partial_tree
from adapterlint.base.tree import Kind, ModuleTree, Node, Shape
from adapterlint.peft.footprint import EMBEDDINGS, Footprint
from adapterlint.peft.sites import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS


def partial_base(footprints: Iterable[Footprint]) -> ModuleTree:
    """A tree of every module that adapters tune, bring or replace rows of.

    Where LoRA has both factors, the shape of the weight is known; kinds are guesses, so that nothing is refused for
    them.
    """
    shapes: dict[str, dict[str, Shape | None]] = {}
    kinds: dict[str, Kind] = {}
    for footprint in {id(one): one for one in footprints}.values():  # adapters of one recipe share theirs
        for module, parameters in footprint.tuned.items():
            known = shapes.setdefault(module, {})
            if module not in kinds or "weight" not in known:
                shape, kind = _weight({name: tensor.shape for name, tensor in parameters.items()})
                known.setdefault("weight", shape)
                kinds.setdefault(module, kind)
        for owner, below in footprint.modules_to_save.items():
            shapes.setdefault(owner, {})
            for module in below:
                found = shapes.setdefault(module, {})
                found.update(dict.fromkeys(footprint.plain.get(module, {})))
        for module in footprint.trainable_tokens:
            if module != EMBEDDINGS:
                shapes.setdefault(module, {}).setdefault("weight", None)
                kinds[module] = Kind.EMBEDDING
    tree = partial_tree(shapes.items())
    nodes = {path: _node(node, kinds.get(path)) for path, node in tree.nodes.items()}
    names = {path.rpartition(".")[2]: path for path in nodes}
    embedding = next((names[n] for n in names if n in INPUT_EMBEDDINGS), None)
    head = names.get("lm_head") or next((names[n] for n in names if n in OUTPUT_EMBEDDINGS - {"decoder"}), None)
    return replace(tree, nodes=nodes, input_embeddings=embedding, output_embeddings=head, partial=True)


def _node(node: Node, kind: Kind | None) -> Node:
    return node if kind is None else replace(node, kind=kind)


def _weight(parameters: Mapping[str, Shape]) -> tuple[Shape | None, Kind]:
    if "lora_embedding_A" in parameters:
        return None, Kind.EMBEDDING
    a, b = parameters.get("lora_A.weight"), parameters.get("lora_B.weight")
    if a is not None and b is not None and len(a) == len(b) == 2:
        return (b[0], a[1]), Kind.LINEAR
    return None, Kind.LINEAR
