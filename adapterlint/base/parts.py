"""The values of a config, and the models inside a model: one line of the table with one config each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapterlint.base import table
from adapterlint.base.expressions import Missing, decide, flat, number

MAX_PASSES = 3  # a value that is derived from derived values


class Values(dict[str, Any]):
    """The values of a config by dotted name; what it does not say is derived from the others, or the default.

    Args:
        config: As JSON has it.
        entry: Whose defaults, derived values and other names of values count.
    """

    def __init__(self, config: Mapping[str, Any], entry: table.Entry) -> None:
        super().__init__(flat(config))
        defaults: Mapping[str, Any] = entry.data["d"]
        derived: Mapping[str, Any] = entry.data.get("x", {})
        for alias, name in entry.data["a"].items():
            if alias in self and name not in self:
                self[name] = self[alias]
        self.assumed = {n for n in defaults if n not in self or (n in derived and self[n] is None)}
        for name in self.assumed:
            self[name] = defaults[name]
        self.guessed = False
        for _ in range(MAX_PASSES if self.assumed & derived.keys() else 0):
            for name in sorted(self.assumed & derived.keys()):
                self._derive(name, derived[name])

    def _derive(self, name: str, expression: Any) -> None:
        self.guessed = False
        try:
            chosen = isinstance(expression, dict)
            value = decide(expression, self) if chosen else number(expression, self)
        except Missing:
            return
        self[name] = value
        if not self.guessed:
            self.assumed.discard(name)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key; remembers whether it was only assumed."""
        if key in self.assumed:
            self.guessed = True
        return super().get(key, default)


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """A model, or a model inside a model.

    Args:
        entry: Its line of the table.
        values: Of its config.
    """

    entry: table.Entry
    values: Values


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A model inside a model that is of another type than the one that the table has there.

    Args:
        scope: Its own line and config.
        moved: Paths of the model in the table -> paths of this one, for what the outer model refers to.
    """

    scope: Scope
    moved: Mapping[str, str]


def parts_of(entry: table.Entry, config: Mapping[str, Any], release: str) -> dict[str, Part]:
    """The models inside a model whose config names another type than the table's, by path."""
    found: dict[str, Part] = {}
    for path, name, where in entry.data.get("parts", ()):
        inner: Any = config
        for key in where.split("."):
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        model_type = inner.get("model_type") if isinstance(inner, Mapping) else None
        family = table.family(model_type) if isinstance(model_type, str) else None
        if family is None or name in family.classes or any(path.startswith(f"{p}.") for p in found):
            continue
        before = table.entry(None, name, release)
        tasks = table.tasks_of(name, release)
        chosen = next((family.tasks.get(release, {}).get(t) for t in tasks if t in family.tasks.get(release, {})), None)
        after = table.entry(model_type, chosen, release) if chosen else None
        if after is None:
            continue
        moved = {}
        for key in ("input", "output"):
            old, new = before.data.get(key) if before else None, after.data.get(key)
            if isinstance(old, str) and isinstance(new, str):
                moved[f"{path}.{old}"] = f"{path}.{new}"
        found[path] = Part(Scope(after, Values(inner, after)), moved)
    return found


def renames_of(entry: table.Entry, parts: Mapping[str, Part]) -> list[Any]:
    """How the tensors of a checkpoint are renamed, those of the models inside included."""
    found = list(entry.data.get("w", ()))
    prefix = f"{entry.data['p']}." if entry.data.get("p") else ""
    for path, part in parts.items():
        where = [f"{path}.", f"{path}.".removeprefix(prefix)]
        for kind, *rest in part.scope.entry.data.get("w", ()):
            if kind == "r":
                pattern, targets, scope, operations = rest
                found.append([kind, pattern, targets, [w + s for w in where for s in scope or [""]], operations])
    return found
