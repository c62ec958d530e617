"""What rules read of the symbolic PEFT: an adapter alone in its base, and the causes of trouble in a fleet."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from adapterlint.base.tree import ModuleTree
from adapterlint.lint.fleet import Fleet, Member
from adapterlint.peft.events import Event
from adapterlint.peft.refused import Refused
from adapterlint.peft.releases import RELEASES, between
from adapterlint.peft.signature import is_inert, signature
from adapterlint.peft.simulate import Alone, Simulated, alone, simulate_fleet
from adapterlint.peft.versions import Versions, usual_transformers

FIRST_SIMULATED = "0.15"
MAX_SIGNATURES = 24  # of a fleet whose members are tried with each other; pairs are their square


@dataclass(frozen=True, slots=True)
class AdapterSimulation:
    """An adapter alone in its base.

    Args:
        alone: Release of PEFT -> what it does there, for the releases that are asked for; the newest last.
    """

    alone: Mapping[str, Alone]

    @property
    def newest(self) -> Alone:
        """The adapter in the newest of the releases."""
        return list(self.alone.values())[-1]


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of trouble in a fleet, with everybody whom it concerns.

    Args:
        kind: A kind of `adapterlint.peft.events.KINDS`, or `unfaithful` or `base-changed`: after all loads an adapter
            that is switched to, or the base without adapters, gives something else.
        do: The operation in which it shows.
        modules: Paths of modules; empty if it is about none.
        first: Those who were there before.
        later: Those with whom it goes wrong: who are refused, or whose loading changes things. In an activation those
            who are active together, and `first` is empty.
        error: What PEFT raises, if it does.
        peft: The releases in which it happens, as a specifier; `None` for all that are asked for.
        declared: Whether it happens in an order or a set that the settings or the command line declare.
    """

    kind: str
    do: str
    modules: tuple[str, ...]
    first: tuple[Member, ...]
    later: tuple[Member, ...]
    error: Refused | None = None
    peft: str | None = None
    declared: bool = False

    @property
    def members(self) -> tuple[Member, ...]:
        """Everybody."""
        return tuple(dict.fromkeys((*self.first, *self.later)))


@dataclass(slots=True, eq=False)
class FleetSimulation:
    """What PEFT does with the members of a fleet.

    A declared order and declared sets are simulated as they are. For the rest, one member of each interaction signature
    is loaded before and after one of each other, and both are activated.

    Args:
        fleet: The fleet.
        trees: Release of PEFT -> the base as transformers of its time builds it.
    """

    fleet: Fleet
    trees: Mapping[str, ModuleTree]
    _causes: tuple[Cause, ...] | None = field(default=None, init=False)

    @property
    def partial(self) -> bool:
        """Whether no more of the base is known than what the adapters name."""
        return any(tree.partial for tree in self.trees.values())

    def causes(self, *kinds: str) -> Iterator[Cause]:
        """The causes of some kinds, each with all its modules and members."""
        if self._causes is None:
            self._causes = tuple(self._find())
        return (cause for cause in self._causes if cause.kind in kinds)

    def _find(self) -> Iterator[Cause]:
        found = _Found()
        for release, tree in self.trees.items():
            versions = Versions.of(release, usual_transformers(release))
            if self.fleet.declared and (self.fleet.ordered or self.fleet.activate):
                found.take(release, _declared(self.fleet, tree, versions), declared=True)
            else:
                for pair in _pairs(self.fleet, tree, versions):
                    found.take(release, pair, declared=False)
        yield from found.causes(tuple(self.trees))


@dataclass(frozen=True, slots=True)
class _Trial:
    """A simulation, and the members that stand behind each name in it."""

    simulated: Simulated
    behind: Mapping[str, tuple[Member, ...]]


def _declared(fleet: Fleet, tree: ModuleTree, versions: Versions) -> _Trial:
    adapters = {member.name: member.adapter for member in fleet.members}
    sets = [tuple(n for n in names if n in adapters) for names in fleet.activate]
    found = simulate_fleet(adapters, tree, versions, activate=[s for s in sets if s])
    return _Trial(found, {member.name: (member,) for member in fleet.members})


def _pairs(fleet: Fleet, tree: ModuleTree, versions: Versions) -> Iterator[_Trial]:
    """Every ordered pair of signatures, once; pairs of adapters that leave all else alone are left out."""
    classes: dict[Hashable, list[Member]] = {}
    for member in fleet.members:
        classes.setdefault(signature(member.config, member.footprint), []).append(member)
    groups = sorted(classes.values(), key=lambda group: is_inert(group[0].config, group[0].footprint))[:MAX_SIGNATURES]
    lone = [alone(group[0].adapter, _name(group[0], "a"), tree, versions) for group in groups]
    for i, first in enumerate(groups):
        for j, second in enumerate(groups):
            if (i == j and len(first) < 2) or (_inert(first) and _inert(second) and _same_type(first, second)):
                continue
            other = second[1] if i == j else second[0]
            a, b = _name(first[0], "a"), _name(other, "b")
            known = {a: lone[i]} if lone[i].known else {}
            found = simulate_fleet(
                {a: first[0].adapter, b: other.adapter}, tree, versions, activate=[(a, b)], known=known
            )
            yield _Trial(found, {a: tuple(first), b: tuple(second)})


def _name(member: Member, fallback: str) -> str:
    """A name that is in nobody's way."""
    return f"adapterlint_{fallback}"


def _inert(group: Sequence[Member]) -> bool:
    return is_inert(group[0].config, group[0].footprint)


def _same_type(first: Sequence[Member], second: Sequence[Member]) -> bool:
    return first[0].peft_type == second[0].peft_type


_Key = tuple[str, str, str, str, bool]  # kind, operation, module, class of the error, declared


class _Found:
    """Collects events from many simulations."""

    def __init__(self) -> None:
        self.first: dict[_Key, dict[Member, None]] = {}
        self.later: dict[_Key, dict[Member, None]] = {}
        self.releases: dict[_Key, dict[str, None]] = {}
        self.errors: dict[_Key, Refused | None] = {}

    def take(self, release: str, trial: _Trial, *, declared: bool) -> None:
        """Take what happened in a simulation."""
        simulated = trial.simulated
        loaded: list[str] = []
        for step in simulated.steps:
            for event in step.events:
                self._event(release, trial, event, step.do, step.error, loaded, step.adapters, declared)
            loaded += step.adapters if step.do == "load" else ()
        for name, faithful in simulated.faithful.items():
            if faithful == "no":
                others = [n for n in simulated.faithful if n != name]
                self._add(release, ("unfaithful", "load", "", "", declared), trial, others, [name], None)
        if simulated.base == "no":
            self._add(release, ("base-changed", "load", "", "", declared), trial, [], list(simulated.faithful), None)

    def _event(
        self,
        release: str,
        trial: _Trial,
        event: Event,
        do: str,
        error: Refused | None,
        loaded: Iterable[str],
        names: Sequence[str],
        declared: bool,
    ) -> None:
        lone = all(self._happens_alone(trial, name, event) for name in names)
        if do == "load" and lone:
            return  # what an adapter does by itself is nothing between adapters
        before = [name for name in event.adapters if name not in names and name in trial.behind]
        before = before or (list(loaded) if do == "load" else [])
        key = (event.kind, do, event.module, error.type if error else "", declared)
        self._add(release, key, trial, before, list(names), error)

    def _happens_alone(self, trial: _Trial, name: str, event: Event) -> bool:
        known = trial.simulated.alone[name].events
        return any(e.kind == event.kind and e.module == event.module for e in known)

    def _add(
        self, release: str, key: _Key, trial: _Trial, first: Iterable[str], later: Iterable[str], error: Refused | None
    ) -> None:
        self.errors.setdefault(key, error)
        self.releases.setdefault(key, {})[release] = None
        self.first.setdefault(key, {}).update(dict.fromkeys(m for name in first for m in trial.behind[name]))
        self.later.setdefault(key, {}).update(dict.fromkeys(m for name in later for m in trial.behind[name]))

    def causes(self, asked: tuple[str, ...]) -> Iterator[Cause]:
        """One cause for all modules with which the same members have the same trouble."""
        groups: dict[tuple[object, ...], list[_Key]] = {}
        for key in self.errors:
            kind, do, _, error, declared = key
            who = (tuple(self.first[key]), tuple(self.later[key]), tuple(self.releases[key]))
            groups.setdefault((kind, do, error, declared, who), []).append(key)
        for keys in groups.values():
            kind, do, _, _, declared = keys[0]
            modules = tuple(dict.fromkeys(module for _, _, module, _, _ in keys if module))
            releases = tuple(self.releases[keys[0]])
            yield Cause(
                kind,
                do,
                modules,
                tuple(self.first[keys[0]]),
                tuple(self.later[keys[0]]),
                self.errors[keys[0]],
                None if releases == asked else _specifier(releases),
                declared,
            )


def _specifier(releases: Sequence[str]) -> str | None:
    """Releases as a specifier: `">=0.15,<0.18"` if they follow each other, else one by one."""
    lines = [".".join(r.split(".")[:2]) for r in releases]
    places = sorted(RELEASES.index(line) for line in lines if line in RELEASES)
    if not places:
        return None
    if all(b - a == 1 for a, b in pairwise(places)):
        return between(RELEASES[places[0]], RELEASES[places[-1]])
    return f"=={lines[-1]}.*"
