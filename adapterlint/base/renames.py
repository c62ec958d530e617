"""From the names and shapes of a checkpoint's tensors to those of the model that loads it.

Follows transformers: in release 5 `rename_source_key` and the operations of core_model_loading.py with what
conversion_mapping.py says of a class, in release 4 `_get_key_renaming_mapping` of modeling_utils.py. A rename of the
table is `["s", pattern, replacement]` (release 4: the first that matches counts), or `["r", pattern, replacements,
scope, operations]` (release 5: all of them in turn, then at most one that has operations).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapterlint.base.tree import Shape
from adapterlint.caches import kept

_LEGACY = (
    ("LayerNorm.gamma", "LayerNorm.weight"),
    ("LayerNorm.beta", "LayerNorm.bias"),
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
)
_DOUBLED = re.compile(r"^model\.language_model\.model(?!\w)|^language_model\.model\.model(?!\w)")
_MAX_PATTERNS = 4096
MAX_NAME = 1024  # characters of a tensor's name; no module has a longer path

Tensors = Mapping[str, Shape | None]


def renamed(tensors: Tensors, renames: Sequence[Any], *, new: bool) -> dict[str, Shape | None]:
    """The tensors under the names, and in the shapes, in which the model has them.

    Args:
        renames: What the table says of the class.
        new: Whether transformers is of release 5 or later.
    """
    found: dict[str, Shape | None] = {}
    merges: dict[tuple[int, str], _Merge] = {}
    simple = [r for r in renames if r[0] == "s"]
    plain = [r for r in renames if r[0] == "r" and not r[4]]
    converters = [r for r in renames if r[0] == "r" and r[4]]
    for name, shape in tensors.items():
        if len(name) > MAX_NAME:
            continue
        key = renamed_plainly(renamed_once(name, simple), plain)
        key = _legacy(key, new)
        for n, rename in enumerate(converters):
            target, group = _apply(key, rename)
            if group is not None:
                merges.setdefault((n, target), _Merge(rename, key)).parts.setdefault(group, []).append(shape)
                break
        else:
            found[key] = shape
    for (_, target), merge in merges.items():
        found.update(merge.result(target))
    return found


def _legacy(key: str, new: bool) -> str:
    for old, now in _LEGACY:
        if key.endswith(old):
            return key.replace(old, now)
    return _DOUBLED.sub("model.language_model", key) if new and key.find("language_model.model") >= 0 else key


def renamed_once(key: str, renames: Iterable[Any]) -> str:
    """A name as the first of the renames of release 4 that matches has it."""
    for _, pattern, replacement in (rename for rename in renames if rename[0] == "s"):
        changed, count = _compiled(pattern).subn(replacement, key)
        if count:
            return changed
    return key


def renamed_plainly(key: str, renames: Iterable[Any]) -> str:
    """A name as all the renames of release 5 have it that do nothing else."""
    for rename in renames:
        if rename[0] == "r" and not rename[4]:
            key = _apply(key, rename)[0]
    return key


def _apply(key: str, rename: Sequence[Any], which: int = 0) -> tuple[str, str | None]:
    """The key with a rename applied, and the group of its pattern that matched; `None` if none did."""
    _, pattern, replacements, scope, _ = rename
    prefix = ""
    if scope is not None:
        prefix = next((p for p in scope if key.startswith(p)), "\0")
        if prefix == "\0":
            return key, None
    rest = key[len(prefix) :]
    compiled = _compiled(pattern)
    match = compiled.search(rest)
    if match is None:
        return key, None
    group = next(name for name, value in match.groupdict().items() if value is not None)
    replacement = replacements[which]
    if "\\1" in replacement:
        replacement = replacement.replace("\\1", match[compiled.groupindex[group] + 1] or "")
    return prefix + rest.replace(match[0], replacement, 1), group


@kept(_MAX_PATTERNS)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@dataclass(slots=True)
class _Merge:
    """Tensors that become one tensor, or one that becomes several."""

    rename: Sequence[Any]
    key: str
    parts: dict[str, list[Shape | None]] = field(default_factory=dict)

    def result(self, target: str) -> dict[str, Shape | None]:
        targets = [_apply(self.key, self.rename, n)[0] for n in range(len(self.rename[2]))]
        try:
            shapes = self._shapes(len(targets))
        except (IndexError, TypeError, ZeroDivisionError, ValueError):
            shapes = [None] * len(targets)
        return dict(zip(targets or [target], shapes, strict=False))

    def _shapes(self, count: int) -> list[Shape | None]:
        values: list[Any] = list(self.parts.values())  # of each source a list, after the first operation a shape
        for name, *arguments in self.rename[4]:
            values = _OPERATIONS[name](values, count, *arguments) if name in _OPERATIONS else []
        shapes = [v[0] if isinstance(v, list) else v for v in values]
        return shapes if len(shapes) == count else [None] * count


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _stack(values: list[Any], _: int, dim: int) -> list[Any]:
    return [(*_first(v)[:dim], len(v), *_first(v)[dim:]) for v in values]


def _concatenate(values: list[Any], _: int, dim: int) -> list[Any]:
    flat = [shape for v in values for shape in (v if isinstance(v, list) else [v])]
    return [(*flat[0][:dim], sum(shape[dim] for shape in flat), *flat[0][dim + 1 :])]


def _chunk(values: list[Any], count: int, dim: int) -> list[Any]:
    shape = _first(values[0])
    return [(*shape[:dim], shape[dim] // count, *shape[dim + 1 :])] * count


def _transpose(values: list[Any], _: int, a: int, b: int) -> list[Any]:
    shapes = [list(_first(v)) for v in values]
    for shape in shapes:
        shape[a], shape[b] = shape[b], shape[a]
    return [tuple(shape) for shape in shapes]


_OPERATIONS: Mapping[str, Callable[..., list[Any]]] = {
    "MergeModulelist": _stack,
    "Concatenate": _concatenate,
    "Chunk": _chunk,
    "Transpose": _transpose,
    "PermuteForRope": lambda values, _: values,
}
