"""Module trees without the table: from the names of a checkpoint's tensors, or of what adapters touch. Guesses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from adapterlint.base.tree import Kind, ModuleTree, Node, Shape

MAX_MODULES = 300_000
MAX_DEPTH = 64  # components of one name
_NORM = re.compile(r"(^|[._])(\w*norm\w*|ln(_?\w+)?|bn\d*)$", re.IGNORECASE)
_EMBEDDING = re.compile(r"(embed|wte|wpe|embeddings?$|emb$|shared$)", re.IGNORECASE)
_ATTENTION = "in_proj_weight"


def tree_of_tensors(tensors: Mapping[str, Shape | None], **known: Any) -> ModuleTree:
    """The modules that the names of tensors need, with guessed kinds; modules without parameters are not seen.

    Args:
        tensors: Name -> shape.
        known: Other fields of the tree.
    """
    parameters: dict[str, dict[str, Shape | None]] = {"": {}}
    for name, shape in tensors.items():
        module, _, parameter = name.rpartition(".")
        if module.count(".") < MAX_DEPTH and _enter(parameters, module):
            parameters[module][parameter] = shape
    return _tree(parameters, **known)


def partial_tree(modules: Iterable[tuple[str, Mapping[str, Shape | None]]], **known: Any) -> ModuleTree:
    """A tree of the modules that adapters touch, when there is no base; it is not complete.

    Args:
        modules: Path of a module and the shapes of its own parameters, as far as they are known.
        known: Other fields of the tree.
    """
    parameters: dict[str, dict[str, Shape | None]] = {"": {}}
    for path, shapes in modules:
        if path.count(".") < MAX_DEPTH and _enter(parameters, path):
            parameters[path].update(shapes)
    return _tree(parameters, **{"partial": True, **known})


def _enter(parameters: dict[str, dict[str, Shape | None]], path: str) -> bool:
    """Add a module and those above it."""
    if path in parameters:
        return True
    if len(parameters) >= MAX_MODULES:
        return False
    parent = path.rpartition(".")[0]
    if not _enter(parameters, parent):
        return False
    parameters[path] = {}
    return True


def _tree(parameters: Mapping[str, dict[str, Shape | None]], **known: Any) -> ModuleTree:
    children: dict[str, list[str]] = {}
    for path in parameters:
        if path:
            children.setdefault(path.rpartition(".")[0], []).append(path)
    nodes: dict[str, Node] = {}
    stack = [""]
    while stack:
        path = stack.pop()
        below = children.get(path, [])
        nodes[path] = Node(path, _kind(path, parameters[path], below), None, parameters[path], certain=False)
        stack += reversed(below)
    return ModuleTree(nodes, **{"complete": False, **known})


def _kind(path: str, own: Mapping[str, Shape | None], below: list[str]) -> Kind:
    if below and all(b.rpartition(".")[2].isdecimal() for b in below) and not own:
        return Kind.LIST
    if _ATTENTION in own:
        return Kind.ATTENTION
    if not own:
        return Kind.CONTAINER if below else Kind.UNKNOWN
    shape = own.get("weight")
    if _NORM.search(path) and (shape is None or len(shape) == 1):
        return Kind.NORM
    if "weight" not in own or shape is None:
        return Kind.UNKNOWN
    if len(shape) == 2:
        return Kind.EMBEDDING if _EMBEDDING.search(path.rpartition(".")[2]) and "bias" not in own else Kind.LINEAR
    return {1: Kind.NORM, 3: Kind.CONV1D, 4: Kind.CONV2D, 5: Kind.CONV3D}.get(len(shape), Kind.UNKNOWN)
