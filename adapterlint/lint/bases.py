"""The base models that a run has at hand: the given one, local folders, and what the Hub's cache holds."""

from __future__ import annotations

import os

from adapterlint.adapter import Adapter
from adapterlint.base import Base, find_base, load_base
from adapterlint.lint.fleet import Fleet


class Bases:
    """Reads every base once.

    Args:
        given: The base of all adapters, if one is given: a folder, or a name that may be in the Hub's cache.
    """

    def __init__(self, given: str | None = None) -> None:
        self.given = given
        self._read: dict[str, Base | None] = {}

    def of(self, adapter: Adapter) -> Base | None:
        """The base of an adapter, or `None` if it is not at hand."""
        name = self.given or (adapter.config.base_model if adapter.config is not None else None)
        return self._named(name, adapter.path) if name else None

    def of_fleet(self, fleet: Fleet) -> Base | None:
        """The base of a fleet: the declared one, else what its members name."""
        folder = fleet.members[0].path if fleet.members else "."
        return self._named(fleet.base, folder) if fleet.base else None

    def _named(self, name: str, folder: str) -> Base | None:
        found = find_base(name, folder=folder)
        if found is None:
            return None
        key = os.path.realpath(found)
        if key not in self._read:
            self._read[key] = load_base(found)
        return self._read[key]
