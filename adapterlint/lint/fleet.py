"""Fleets: adapters of one base that may be loaded into it together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapterlint.adapter import Adapter, Config
from adapterlint.errors import AdapterlintError
from adapterlint.peft.footprint import Footprint
from adapterlint.settings import FleetSettings

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_FINAL = re.compile(r"(final|best|last|latest)\b.*|.*[-_](final|best|last|latest)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Fleet:
    """Adapters that share a base model.

    Args:
        name: The declared name; `None` for a fleet found by its common base.
        base: The base that all of them name, or that the settings give.
        members: At least two, in the order in which they are loaded.
        activate: Sets of names declared to be active together.
        unknown: Names in the declaration that no member has.
    """

    name: str | None
    base: str | None
    members: tuple[Member, ...]
    activate: tuple[tuple[str, ...], ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def declared(self) -> bool:
        """Whether the settings name it."""
        return self.name is not None

    def owners(self, touched: Callable[[Member], Iterable[str]]) -> dict[str, list[Member]]:
        """What members touch -> those who do, for everything that at least two of them touch."""
        found: dict[str, list[Member]] = {}
        for member in self.members:
            for what in dict.fromkeys(touched(member)):
                found.setdefault(what, []).append(member)
        return {what: members for what, members in found.items() if len(members) > 1}

    def active_together(self, members: Sequence[Member]) -> tuple[str, ...] | None:
        """The first declared set that has at least two of these members, or `None`."""
        names = {m.name for m in members}
        return next((s for s in self.activate if len(names & set(s)) > 1), None)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An adapter and what it touches, before fleets are formed."""

    adapter: Adapter
    config: Config
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class Fleets:
    """All fleets of a run, and what could not be formed.

    Args:
        by_path: Folder of an adapter -> name of its declared fleet, or its base.
    """

    fleets: tuple[Fleet, ...]
    problems: tuple[AdapterlintError, ...] = ()
    by_path: Mapping[str, str] = field(default_factory=dict)


def form_fleets(
    candidates: Sequence[Candidate],
    declared: Sequence[FleetSettings] = (),
    *,
    base: str | None = None,
    activate: Sequence[Sequence[str]] = (),
    order: Sequence[str] = (),
) -> Fleets:
    """Group adapters into fleets: the declared ones, then the rest by the base they name.

    Args:
        candidates: In the order in which they were found.
        declared: Fleets of the settings, with folders relative to the settings' own folder already resolved.
        base: The base of all adapters, if it was given.
        activate: Sets of names from the command line; they hold for every fleet that has one of the names.
        order: Load order from the command line.
    """
    by_folder = {os.path.realpath(c.adapter.path): c for c in candidates}
    fleets: list[Fleet] = []
    problems: list[AdapterlintError] = []
    taken: set[str] = set()
    for settings in declared:
        members = []
        for name, folder in _in_order(settings.adapters, settings.order):
            found = by_folder.get(os.path.realpath(folder))
            if found is None:
                if os.path.isdir(folder):
                    continue  # not among the given paths, or not readable, which is told elsewhere
                problems.append(AdapterlintError(f"There is no folder `{folder}`", place=f"fleet {settings.name}"))
                continue
            taken.add(os.path.realpath(folder))
            members.append(_member(name, found))
        sets = tuple(tuple(s) for s in (*settings.activate, *activate))
        unknown = tuple(dict.fromkeys(n for s in sets for n in s if n not in settings.adapters))
        fleets.append(Fleet(settings.name, base or settings.base, tuple(members), sets, unknown))
    rest = [c for folder, c in by_folder.items() if folder not in taken]
    for named, group in _by_base(_without_versions(rest), base).items():
        found_members = [_member(name, c) for name, c in _named(group)]
        found_members.sort(key=lambda m: order.index(m.name) if m.name in order else len(order))
        names = {m.name for m in found_members}
        sets = tuple(tuple(s) for s in activate if names & set(s))
        unknown = tuple(dict.fromkeys(n for s in sets for n in s if n not in names))
        fleets.append(Fleet(None, named, tuple(found_members), sets, unknown))
    known = {m.name for f in fleets for m in f.members}
    strangers = dict.fromkeys(n for s in (*activate, order) for n in s if n not in known)
    problems += [AdapterlintError("No adapter has this name", place=name) for name in strangers]
    paths = {m.path: f.name or f.base or "" for f in fleets for m in f.members}
    return Fleets(tuple(f for f in fleets if len(f.members) > 1 or f.unknown), tuple(problems), paths)


def _in_order(adapters: Mapping[str, str], order: Sequence[str]) -> list[tuple[str, str]]:
    names = [n for n in order if n in adapters]
    return [(n, adapters[n]) for n in (*names, *(n for n in adapters if n not in names))]


def _member(name: str, found: Candidate) -> Member:
    return Member(name, found.adapter, found.config, found.footprint)


def _by_base(candidates: Iterable[Candidate], base: str | None) -> dict[str, list[Candidate]]:
    """Base -> adapters that name it; an adapter that names none is in no fleet, unless the base was given."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        named = base or candidate.config.base_model
        if named:
            groups.setdefault(named, []).append(candidate)
    return groups


def _named(group: Sequence[Candidate]) -> list[tuple[str, Candidate]]:
    """Folder names where they are unique, else paths."""
    names = [c.adapter.name for c in group]
    return [(n if names.count(n) == 1 else c.adapter.path, c) for n, c in zip(names, group, strict=True)]


def _without_versions(candidates: Sequence[Candidate]) -> list[Candidate]:
    """One adapter a training run: the final one if it is there, else the latest checkpoint."""
    runs: dict[str, list[tuple[int, Candidate]]] = {}
    others: dict[str, Candidate] = {}
    for candidate in candidates:
        folder = os.path.realpath(candidate.adapter.path)
        parent, name = os.path.split(folder)
        step = _CHECKPOINT.fullmatch(name)
        if step:
            runs.setdefault(parent, []).append((int(step.group(1)), candidate))
        else:
            others[folder] = candidate
    latest = []
    for parent, versions in runs.items():
        finals = [f for f in others if os.path.dirname(f) == parent and _FINAL.fullmatch(os.path.basename(f))]
        if parent not in others and not finals:
            latest.append(max(versions, key=lambda v: v[0])[1])
    kept = {id(c) for c in (*others.values(), *latest)}
    return [c for c in candidates if id(c) in kept]
