"""Fleets: adapters of one base that may be loaded into it together; what rules about several adapters read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from adapterlint.adapter import Adapter, Config
from adapterlint.lint.places import entry_at, has_entry, value_at
from adapterlint.peft.fields import token_key
from adapterlint.peft.footprint import Footprint
from adapterlint.place import Place
from adapterlint.severity import Severity
from adapterlint.words import listed, shown


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One adapter of a fleet.

    Args:
        name: The name it is loaded under, as far as that is known: the declared one, else its folder's.
        footprint: What it touches.
    """

    name: str
    adapter: Adapter
    config: Config
    footprint: Footprint

    @property
    def path(self) -> str:
        """Its folder as it is shown."""
        return self.adapter.path

    @property
    def peft_type(self) -> str:
        """Its PEFT type."""
        return self.config.peft_type

    @property
    def rows(self) -> tuple[str, ...]:
        """Modules of which the file has token rows."""
        return tuple(m for m, tokens in self.footprint.trainable_tokens.items() if tokens.rows is not None)

    def tunes(self, module: str) -> bool:
        """Whether its method tunes a module: the file has parameters for it, and the config does not leave it out."""
        return module in self.footprint.tuned and module not in self.footprint.untargeted

    def at_whole(self, module: str) -> Place:
        """Where the config says that it brings a module whole; a task head that PEFT adds stands in `task_type`."""
        saved = self.config.get("modules_to_save")
        if isinstance(saved, str) or has_entry(self.config, "modules_to_save", module):
            return entry_at(self.config, "modules_to_save", module)
        return value_at(self.config, "task_type")

    def at_tokens(self, module: str) -> Place:
        """Where the config says that it replaces token rows of a module."""
        return entry_at(self.config, token_key(self.peft_type), module)

    def at_tuned(self, module: str) -> Place:
        """Where the config says that it tunes a module."""
        return entry_at(self.config, "target_modules", module)


@dataclass(frozen=True, slots=True)
class Company:
    """Adapters of one PEFT type that may be, or are declared to be, active together.

    Args:
        members: At least two.
        declared: Whether the settings name them as a set; then what PEFT refuses is an error.
    """

    members: tuple[Member, ...]
    declared: bool

    @property
    def severity(self) -> Severity | None:
        """The severity of a refusal, where it differs from a rule's own."""
        return Severity.ERROR if self.declared else None

    def who(self, members: Sequence[Member]) -> str:
        """Some of them as the subject of a sentence."""
        if not self.declared:
            return name_all(members)
        declared = " (declared to be active together)" if len(members) == len(self.members) else (
            f" (of the set {name_all(self.members)}, declared to be active together)"
        )  # fmt: skip
        return name_all(members) + declared


@dataclass(frozen=True, slots=True)
class Fleet:
    """Adapters that share a base model.

    Args:
        name: The declared name; `None` for a fleet found by its common base.
        base: The base that all of them name, or that the settings give.
        members: In the order in which they are loaded.
        activate: Sets of names declared to be active together.
        unknown: Names in the declaration that no member has.
        ordered: Whether the settings declare the order of loading.
    """

    name: str | None
    base: str | None
    members: tuple[Member, ...]
    activate: tuple[tuple[str, ...], ...] = ()
    unknown: tuple[str, ...] = ()
    ordered: bool = False

    @property
    def declared(self) -> bool:
        """Whether the settings name it, so that all of its adapters are to be loaded into one model."""
        return self.name is not None

    @property
    def severity(self) -> Severity | None:
        """The severity where its adapters cannot be loaded together in any order, if it differs from a rule's own."""
        return Severity.ERROR if self.declared else None

    def who(self, members: Sequence[Member], *, declared: bool) -> str:
        """Some members as the subject of a sentence about what happens when they are active together."""
        names = {m.name for m in members}
        sets = [those for those in self.activate if names <= set(those)] if declared else []
        if not sets:
            return name_all(members)
        known = tuple(m for m in self.members if m.name in sets[0])
        return Company(known, True).who(members)

    def alike(self) -> Iterator[tuple[Member, ...]]:
        """Those that `PeftModel` takes together: all of one PEFT type, at least two."""
        return _alike(self.members)

    def companies(self) -> Iterator[Company]:
        """Who may be active together: the declared sets, or, where none is declared, all of one PEFT type."""
        if not self.activate:
            yield from (Company(members, False) for members in self.alike())
        for names in dict.fromkeys(self.activate):
            chosen = tuple(m for m in self.members if m.name in names)
            yield from (Company(members, True) for members in _alike(chosen))


MAX_VALUES = 4  # different values that a message tells

What = TypeVar("What", bound=Hashable)


def shared(
    members: Iterable[Member], touched: Callable[[Member], Iterable[What]]
) -> dict[tuple[Member, ...], list[What]]:
    """Members, at least two -> everything that they and no others touch."""
    owners: dict[What, list[Member]] = {}
    for member in members:
        for what in dict.fromkeys(touched(member)):
            owners.setdefault(what, []).append(member)
    found: dict[tuple[Member, ...], list[What]] = {}
    for what, those in owners.items():
        if len(those) > 1:
            found.setdefault(tuple(those), []).append(what)
    return found


def common_rows(members: Sequence[Member], modules: Iterable[str]) -> list[str]:
    """Those of some modules that all members have token rows of, or, if none is given, all such modules."""
    every = dict.fromkeys(modules) or dict.fromkeys(members[0].rows)
    # A tied partner of an embedding has no rows of its own.
    return [module for module in every if all(module in m.rows for m in members)] or list(every)[:1]


def common_tokens(members: Iterable[Member], module: str) -> dict[tuple[Member, ...], list[int]]:
    """Members, at least two -> the token rows of a module that they and no others replace."""

    def indices(member: Member) -> Iterable[int]:
        tokens = member.footprint.trainable_tokens.get(module)
        return (tokens.indices if tokens else None) or ()

    found = {those: sorted(rows) for those, rows in shared(members, indices).items()}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def paths(members: Iterable[Member]) -> tuple[str, ...]:
    """The folders of members, each once: what a finding concerns."""
    return tuple(dict.fromkeys(m.path for m in members))


def name_all(members: Iterable[Member]) -> str:
    """The names of members for a message."""
    return listed((m.name for m in members), word="adapters")


def each(values: Mapping[Any, Sequence[Member]]) -> str:
    """Values and who has them: "`4` in `small`; `8` in `large` and `huge`"."""
    parts = [f"{shown(value)} in {name_all(members)}" for value, members in values.items()]
    return "; ".join((*parts[:MAX_VALUES], "...") if len(parts) > MAX_VALUES else parts)


def they(members: Sequence[Member], one: str, several: str) -> str:
    """Members as the subject of a sentence with a verb in its two forms."""
    return f"{name_all(members)} {one if len(members) == 1 else several}"


def _alike(members: Sequence[Member]) -> Iterator[tuple[Member, ...]]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.peft_type, []).append(member)
    yield from (tuple(group) for group in groups.values() if len(group) > 1)
