"""Pairs of adapters: one loaded after the other, and both activated.

Adapters of one interaction signature stand for each other, so a fleet costs the square of its signatures, not of its
size.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.events import Event
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.refused import Refused
from adapterlint.peft.signature import is_inert, signature
from adapterlint.peft.simulate import Alone, Simulated, Step, simulate_fleet
from adapterlint.peft.versions import Versions

MAX_PAIRS = 600  # ordered pairs of signatures that are tried

Outcome = Literal["ok", "silent", "refused", "unknown", "untried"]
Role = Literal["first", "later", "both"]
Do = Literal["load", "switch", "activate", "merge", "weigh", "mix", "swap"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a pair does not work.

    Args:
        do: The operation: loading one after the other, switching to one of them afterwards, activating both; or an
            operation of `adapterlint.planning.operations`.
        kind: A kind of `adapterlint.peft.events.KINDS`; `forward` for a forward pass that raises, `unfaithful` for an
            adapter that gives something else than it gives alone; empty for a refusal without a kind.
        who: Whom it strikes.
        modules: Paths of the modules that it is about.
        error: The class of the exception, if one is raised.
        text: The text of the exception.
    """

    do: Do
    kind: str
    who: Role
    modules: tuple[str, ...] = ()
    error: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two adapters of which the second is loaded after the first.

    Args:
        load: Whether both load, and give afterwards what they give alone (`silent` if one does not).
        together: Whether both can be active then; never better than `load`.
        reasons: What is wrong.
    """

    load: Outcome
    together: Outcome
    reasons: tuple[Reason, ...] = ()


FINE = Pair("ok", "ok")
UNTRIED = Pair("untried", "untried")


@dataclass(slots=True, eq=False)
class Pairs:
    """The adapters of a fleet by interaction signature, and what happens between any two.

    Args:
        groups: Names of interchangeable adapters, in the order in which they were found.
        found: Index of the group that comes first, index of the other -> the pair; pairs within a group too.
        untried: Number of pairs that were too many to be tried.
    """

    groups: tuple[tuple[str, ...], ...]
    found: dict[tuple[int, int], Pair] = field(default_factory=dict)
    untried: int = 0
    group_of: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.group_of = {name: index for index, group in enumerate(self.groups) for name in group}

    def representatives(self, first: int, later: int) -> tuple[str, str]:
        """The adapters that are tried for a pair of groups."""
        return self.groups[first][0], self.groups[later][1 if first == later else 0]

    def between(self, first: str, later: str) -> Pair:
        """What happens between two adapters that are loaded in this order."""
        return self.found.get((self.group_of[first], self.group_of[later]), UNTRIED)


def try_pairs(
    adapters: Mapping[str, Adapter], tree: ModuleTree, versions: Versions, lone: Mapping[str, Alone]
) -> Pairs:
    """Try every ordered pair of signatures once; pairs that leave each other alone for sure are not simulated."""
    groups = _groups(adapters, lone)
    pairs = Pairs(tuple(map(tuple, groups)))
    inert = [_is_inert(adapters[group[0]], lone[group[0]]) for group in groups]
    left = MAX_PAIRS
    for i, j in _indices(groups):
        if inert[i] and inert[j]:
            pairs.found[i, j] = FINE
        elif left <= 0:
            pairs.untried += 1
        else:
            left -= 1
            first, later = pairs.representatives(i, j)
            both = {first: adapters[first], later: adapters[later]}
            simulated = simulate_fleet(both, tree, versions, activate=[(first, later)], known=lone)
            pairs.found[i, j] = judged(simulated, first, later)
    return pairs


def _groups(adapters: Mapping[str, Adapter], lone: Mapping[str, Alone]) -> list[list[str]]:
    groups: dict[Hashable, list[str]] = {}
    for name, adapter in adapters.items():
        groups.setdefault(_signature(name, adapter, lone[name]), []).append(name)
    return list(groups.values())


def _signature(name: str, adapter: Adapter, alone: Alone) -> Hashable:
    touched = footprint_of(adapter)
    if adapter.config is None or touched is None:
        return name
    broken = (alone.loads, alone.error.type if alone.error else None, alone.forward)
    return signature(adapter.config, touched), broken


def _is_inert(adapter: Adapter, alone: Alone) -> bool:
    touched = footprint_of(adapter)
    if adapter.config is None or touched is None or not alone.loads or alone.forward is not None:
        return False
    return is_inert(adapter.config, touched)


def _indices(groups: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Ordered pairs, those among the first groups before those with later ones."""
    for j in range(len(groups)):
        for i in range(j):
            yield i, j
            yield j, i
        if len(groups[j]) > 1:
            yield j, j


def judged(simulated: Simulated, first: str, later: str) -> Pair:
    """What a simulation of two adapters says of them as a pair; what is wrong with one alone does not count."""
    loads, activation = simulated.steps[:2], simulated.steps[2]
    if any(step.verdict == "unknown" for step in simulated.steps):
        return Pair("unknown", "unknown")
    roles: Mapping[str, Role] = {first: "first", later: "later"}
    refused = [step for step in loads if step.error]
    if refused:
        why = (
            reason for step in refused for reason in reasons("load", roles[step.adapters[0]], step.events, step.error)
        )
        return Pair("refused", "refused", tuple(why))
    changed = [
        Reason("switch", kind, role, error=None if kind == "unfaithful" else result)
        for name, role in roles.items()
        if (result := simulated.faithful[name]) not in (None, "yes", simulated.alone[name].forward)
        for kind in ["unfaithful" if result == "no" else "forward"]
    ]
    together = tuple(_activation(activation))
    load: Outcome = "silent" if changed else "ok"
    if not changed and not together:
        return FINE
    raises = activation.error is not None or any(reason.kind == "forward" for reason in together)
    return Pair(load, "refused" if raises else "silent", (*changed, *together))


def _activation(step: Step) -> Iterator[Reason]:
    yield from reasons("activate", "both", step.events, step.error)
    if step.error is None and step.forward not in ("ok", None):
        yield Reason("activate", "forward", "both", error=step.forward)


def reasons(do: Do, who: Role, events: Iterable[Event], error: Refused | None) -> Iterator[Reason]:
    """What is wrong with an operation: the error that it raises or, if it raises none, what happens silently."""
    events = tuple(events)
    if error is not None:
        found = _modules(events) or ((error.module,) if error.module else ())
        yield Reason(do, error.cause, who, found, error.type, error.text)
        return
    for kind in dict.fromkeys(event.kind for event in events):
        yield Reason(do, kind, who, _modules(event for event in events if event.kind == kind))


def _modules(events: Iterable[Event]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(event.module for event in events if event.module))
