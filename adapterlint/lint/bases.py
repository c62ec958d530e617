"""The base models that a run has at hand: the given one, local folders, and what the Hub's cache holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from adapterlint.adapter import Adapter, Unreadable
from adapterlint.base import Base, find_base, read_base
from adapterlint.errors import AdapterlintError, PartlyKnown
from adapterlint.lint.fleet import Fleet
from adapterlint.sources import SourceError
from adapterlint.sources.hub import NONE, Network, is_hub
from adapterlint.words import counted, shown


class Bases:
    """Reads every base once, and keeps what could not be read.

    Args:
        given: The base of all adapters, if one is given: a folder, or a name that may be in the Hub's cache.
        declared: Other bases that the settings name.
        network: What may be asked for; a base given as `hf://owner/name` always may.

    Attributes:
        problems: What could not be read, once for each base. What is no `PartlyKnown` was asked for.
    """

    def __init__(self, given: str | None = None, declared: Iterable[str] = (), network: Network = NONE) -> None:
        self.given = given
        self.network = network
        self.problems: list[AdapterlintError] = []
        self._asked = {name for name in (given, *declared) if name is not None}
        self._read: dict[str, Base | None] = {}
        self._absent: set[str] = set()

    def of(self, adapter: Adapter, declared: str | None = None) -> Base | None:
        """The base of an adapter, or `None` if it is not at hand.

        Args:
            declared: What the settings name for its fleet.
        """
        own = adapter.config.base_model if adapter.config is not None else None
        name = declared or self.given or own
        return self.named(name, adapter.path) if name else None

    def of_fleet(self, fleet: Fleet) -> Base | None:
        """The base of a fleet: the declared one, else what its members name."""
        folder = fleet.members[0].path if fleet.members else "."
        return self.named(fleet.base, folder) if fleet.base else None

    def named(self, name: str, folder: str) -> Base | None:
        """The base that an adapter's folder calls so."""
        asked = name in self._asked
        found = find_base(name, folder=folder) or (name if asked and os.path.isdir(name) else None)
        if found is None and (is_hub(name) or self.network.bases):
            return self._far(name, asked)
        if found is None:
            if asked and name not in self._absent:
                self._absent.add(name)
                self.problems.append(_absent(name))
            return None
        key = os.path.realpath(found)
        if key not in self._read:
            base = read_base(found)
            self._read[key] = None if base.is_empty else base
            self.problems += _problems(base, asked=asked)
        return self._read[key]

    def _far(self, name: str, asked: bool) -> Base | None:
        """A base on the Hub."""
        if name not in self._read:
            try:
                base = read_base(self.network.base(name))
            except SourceError as error:
                kind = type(error) if asked else PartlyKnown
                self.problems.append(kind(f"{error.message}, so that nothing is checked against it", place=name))
                self._read[name] = None
            else:
                self._read[name] = None if base.is_empty else base
                self.problems += _problems(base, asked=asked)
        return self._read[name]


def _absent(name: str) -> AdapterlintError:
    """A base that was asked for and is nowhere: what may be a name on the Hub is missed in silence by nobody."""
    owner, slash, _ = name.partition("/")
    if slash and owner not in ("", ".", "..", "~") and name.count("/") == 1 and not os.path.isdir(owner):
        message = "The base model is neither a folder nor in the Hub's cache, so nothing is checked against it"
        return PartlyKnown(message, place=name)
    if os.path.isfile(name):
        folder = os.path.dirname(name) or "."
        return AdapterlintError(f"A base model is a folder, not a file: name {shown(folder)}", place=name)
    return AdapterlintError("There is no base model: neither a folder nor a model in the Hub's cache", place=name)


def _problems(base: Base, *, asked: bool) -> Iterator[AdapterlintError]:
    """What could not be read of a base, one sentence a file."""
    kind = AdapterlintError if asked and base.is_empty else PartlyKnown
    if base.is_empty and not base.problems:
        message = "There is no base model in this folder: neither `config.json` nor weights"
        yield kind(message, place=base.name)
    for problem in base.problems[:MAX_PROBLEMS]:
        rest = "nothing is known of" if base.is_empty else "less is known of"
        yield kind(f"{problem.message}, so that {rest} the base model", place=_place(problem))
    if len(base.problems) > MAX_PROBLEMS:
        more = counted(len(base.problems) - MAX_PROBLEMS, "more file")
        yield kind(f"{more} of the base model could not be read", place=base.name)


MAX_PROBLEMS = 3  # files of one base that are told


def _place(problem: Unreadable) -> str:
    span = problem.span
    return f"{problem.file}:{span.line}:{span.column}" if span is not None else problem.file
