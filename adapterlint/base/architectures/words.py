"""The names that a value of a config may have, as the code of its models and of the config itself spells them out.

A default config shows one kind of layer where the code knows several: `config.layer_types[i] == "conv"`.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Words = Mapping[str, tuple[str, ...]]  # name of a value, in the singular -> what it is compared with


def words_of(cls: type, config: type) -> Words:
    """What the modules of a class and of its config compare values with, look up by them, or set them to."""
    return _words(cls.__module__, config.__module__)


def named(words: Words, keys: Iterable[str]) -> list[str]:
    """The names that a value may have, the old ones of those that were renamed included.

    Args:
        keys: What the value is called.
    """
    own = set(map(_singular, keys))
    found = [word for name, known in words.items() if any(_is(name, key) for key in own) for word in known]
    return list(dict.fromkeys([*found, *(old for old, new in _renamed().items() if new in found)]))


def _is(name: str, key: str) -> bool:
    """Whether a name in the code stands for a value: `block_type` for `layer_block_type`."""
    return name == key or ("_" in name and key.endswith(f"_{name}"))


@functools.lru_cache
def _words(*modules: str) -> Words:
    found: dict[str, dict[str, None]] = {}
    for module in modules:
        for name, word in spelled(inspect.getsource(sys.modules[module])):
            found.setdefault(_singular(name), {})[word] = None
    return {name: tuple(words) for name, words in found.items()}


def spelled(source: str) -> Iterator[tuple[str, str]]:
    """Names in a module's source, each with a string that it is compared with, looked up as, or set to."""
    tree = ast.parse(source)
    tables = {
        target.id: _strings(node.value.keys)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        words: list[str] = []
        named: list[ast.AST] = []
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            sides = [node.left, *node.comparators]
            words = [w for side in sides for w in _literal(side)]
            named = [side for side in sides if not _literal(side)]
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in tables:
            words, named = tables[node.value.id], [node.slice]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.ListComp | ast.IfExp):
            words, named = _strings(ast.walk(node.value)), list(node.targets)
        for name in {name for side in named for name in _names(side)}:
            yield from ((name, word) for word in words)


def _literal(node: ast.AST) -> list[str]:
    """The strings that a node is: one, or some in brackets."""
    return _strings(node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else [node])


def _strings(nodes: Any) -> list[str]:
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _names(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name | ast.Attribute):
            yield inner.id if isinstance(inner, ast.Name) else inner.attr


def _singular(name: str) -> str:
    return "_".join(part.removesuffix("s") for part in name.split("_"))


@functools.lru_cache(1)
def _renamed() -> Mapping[str, str]:
    """Old name of a kind of layers -> the name that release 5 gives it when it reads a config."""
    module = importlib.import_module("transformers.configuration_utils")
    return dict(getattr(module, "_LEGACY_LAYER_TYPE_REMAP", {}))
