"""Which values of a config are worth a probe of their own, known from classes that were built before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterlint.base.architectures.defaults import default_config
from adapterlint.base.architectures.probes import as_dict, leaves


class Priors:
    """The values that shaped the classes of each model type; a nested config is one of another model type."""

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = {}

    def add(self, model_type: str, influential: set[str]) -> None:
        """Remember what shaped a class."""
        self.known.setdefault(model_type, set()).update(influential)

    def of(self, model_type: str) -> set[str] | None:
        """What to probe one by one for a class of a type; `None` for everything."""
        if model_type in self.known:
            return self.known[model_type]
        values = as_dict(default_config(model_type))
        nested = list(nested_types(values))
        if not nested or any(inner not in self.known for _, inner in nested):
            return None
        prefixes = tuple(f"{where}." for where, _ in nested)
        own = {path for path, _ in leaves(values) if not path.startswith(prefixes)}
        return own | {f"{where}.{path}" for where, inner in nested for path in self.known[inner]}


def nested_types(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Where nested configs are, and of which model type."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(value.get("model_type"), str):
            yield prefix + key, value["model_type"]
            yield from nested_types(value, f"{prefix}{key}.")
