"""Values that a model's code reads from its config although no config of the type has them unless a `config.json` does.

DeBERTa is built by `getattr(config, "share_att_key", False)`, for one, and its config does not know the name.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import transformers

_READ = re.compile(r"""getattr\(\s*(?:\w+\.)*\w*config\w*,\s*["'](\w+)["'],\s*([^,()]+?),?\s*\)""")

Asked = dict[type, set[str]]  # class of a config -> names that it does not have


@contextlib.contextmanager
def asked() -> Iterator[Asked]:
    """Notes what configs are asked for and do not have."""
    found: Asked = {}

    def note(config: Any, name: str) -> Any:
        if not name.startswith("_"):
            found.setdefault(type(config), set()).add(name)
        raise AttributeError(f"{type(config).__name__!r} object has no attribute {name!r}")

    transformers.PretrainedConfig.__getattr__ = note
    try:
        yield found
    finally:
        del transformers.PretrainedConfig.__getattr__


def unsaid(model: Any, names: Asked) -> dict[str, Any]:
    """The values that a model's code read and its config does not have, by dotted name.

    Args:
        names: What was asked for while the model was built.

    Returns:
        Name -> what the code takes instead (of several, what is null or none); `None` if that is no literal.
    """
    instead = _instead(frozenset(type(module).__module__ for module in model.modules()))
    return {
        prefix + name: instead[name]
        for prefix, config in _configs(model.config, "")
        for name in sorted(names.get(type(config), ()))
        if name in instead
    }


def _configs(config: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    yield prefix, config
    for name, value in vars(config).items():
        if isinstance(value, transformers.PretrainedConfig):
            yield from _configs(value, f"{prefix}{name.lstrip('_')}.")


@functools.lru_cache
def _instead(modules: frozenset[str]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for module in sorted(modules):
        if module.startswith("transformers."):
            for name, text in _READ.findall(inspect.getsource(sys.modules[module])):
                literal = _literal(text)
                found[name] = literal if found.get(name, literal) == literal or not literal else found[name]
    return found


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
