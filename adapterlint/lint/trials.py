"""Which loads and activations of a fleet are simulated, and what goes wrong in them.

Members of one interaction signature are interchangeable, so one stands for all of them. Where an order is declared, the
members are loaded in it; otherwise each signature is loaded before and after each other one. Trouble between two of
them tells who is to blame, and whether the opposite order would do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

from adapterlint.base.tree import ModuleTree
from adapterlint.lint.fleet import Fleet, Member
from adapterlint.lint.troubles import ALONE, STALE, Behind, Group, Trouble, activating, loading
from adapterlint.peft.condense import Condensed, condense
from adapterlint.peft.methods import METHODS
from adapterlint.peft.refused import Refused
from adapterlint.peft.signature import is_inert, signature
from adapterlint.peft.simulate import Simulated, alone, simulate_fleet
from adapterlint.peft.versions import Versions

MAX_SIGNATURES = 24  # of a fleet whose members are tried with each other; pairs are their square
MAX_PERMUTED = 4  # members of a declared set of which every order is tried to find one that can be loaded

_A, _B = "adapterlint_a", "adapterlint_b"


@dataclass(slots=True, eq=False)
class Trials:
    """The simulations of a fleet in a base, for a release.

    Args:
        fleet: The fleet.
        tree: Its base.
    """

    fleet: Fleet
    tree: ModuleTree
    versions: Versions
    _pairs: dict[tuple[Group, Group], list[Trouble]] = field(default_factory=dict, init=False)
    _loads: dict[tuple[Group, Group], tuple[Simulated, list[Trouble]]] = field(default_factory=dict, init=False)
    _condensed: Condensed = field(init=False)

    def troubles(self) -> Iterator[Trouble]:
        """Everything that goes wrong; adapters of two types are never in one model."""
        for members in self.fleet.alike():
            groups = self._groups(members)
            for one in self._of_groups(members, groups):
                yield from (replace(one, module=module) for module in self._condensed.modules(one.module))

    def _of_groups(self, members: Sequence[Member], groups: Sequence[Group]) -> Iterator[Trouble]:
        if self.fleet.ordered:
            yield from self._in_order(members, groups)
        else:
            yield from self._in_pairs(groups)
        if self.fleet.activate:
            yield from self._sets(members, groups)
        else:
            yield from self._pairs_active(groups)

    def _groups(self, members: Sequence[Member]) -> list[Group]:
        """The signatures; those that never get in another's way come last, and those that do not load are left out."""
        classes: dict[Hashable, list[Member]] = {}
        for member in members:
            classes.setdefault(_signature(member), []).append(member)
        sorts = [(is_inert(those[0].config, those[0].footprint), those) for those in classes.values()]
        sorts.sort(key=lambda sort: sort[0])
        sorts = sorts[:MAX_SIGNATURES]
        self._condensed = condense(self.tree, [those[0].adapter for _, those in sorts], self.versions)
        tree, found = self._condensed.tree, []
        for (inert, those), adapter in zip(sorts, self._condensed.adapters, strict=True):
            lone = alone(adapter, ALONE, tree, self.versions)
            if lone.error is None:
                found.append(Group(those, adapter, lone, inert, tree.partial))
        return found

    # ------------------------------------------------------------------------------------------------------- loading

    def _in_pairs(self, groups: Sequence[Group]) -> Iterator[Trouble]:
        declared = self.fleet.declared
        for first, second in _couples(groups):
            for one in self._pair(first, second):
                if one.do == "load":
                    yield replace(one, declared=declared and one.hopeless)

    def _in_order(self, members: Sequence[Member], groups: Sequence[Group]) -> Iterator[Trouble]:
        group_of = {member: group for group in groups for member in group.members}
        behind = _representatives([m for m in members if m in group_of], group_of)
        names = {f"adapterlint_{i}": those for i, those in enumerate(behind)}
        found = self._simulated({name: group_of[those[0]] for name, those in names.items()})
        if self.tree.partial:
            yield from self._mirrored_in_order(members, group_of)
        yield from (
            replace(one, declared=True)
            for one in loading(found, {name: (group_of[those[0]], those) for name, those in names.items()}, self._blame)
        )

    def _mirrored_in_order(self, members: Sequence[Member], group_of: Mapping[Member, Group]) -> Iterator[Trouble]:
        groups = list(dict.fromkeys(group_of[m] for m in members if m in group_of))
        for i, first in enumerate(groups):
            for second in groups[i + 1 :]:
                yield from (replace(one, declared=True, hopeless=True) for one in self._mirrored(first, second))

    def _pair(self, first: Group, second: Group) -> list[Trouble]:
        """What goes wrong when one is loaded and then another, with whether the opposite order fails too."""
        ahead, back = self._tried(first, second), self._tried(second, first)
        hopeless = _fails(ahead) and _fails(back)
        return [replace(one, hopeless=hopeless and one.error is not None and one.do == "load") for one in ahead]

    def _tried(self, first: Group, second: Group) -> list[Trouble]:
        if (first, second) not in self._pairs:
            found, loads = self._loading(first, second)
            troubles = list(loads)
            if self.tree.partial and not _fails(troubles):
                troubles += self._mirrored(first, second)
            if not _fails(troubles):
                troubles += activating(found, _behind(first, second))
            self._pairs[first, second] = troubles
        return self._pairs[first, second]

    def _loading(self, first: Group, second: Group) -> tuple[Simulated, list[Trouble]]:
        """Two are loaded and then both activated; with what goes wrong in the loads."""
        if (first, second) not in self._loads:
            found = self._simulated({_A: first, _B: second}, [(_A, _B)])
            self._loads[first, second] = found, list(loading(found, _behind(first, second)))
        return self._loads[first, second]

    def _mirrored(self, first: Group, second: Group) -> Iterator[Trouble]:
        """An auxiliary module where another adapter tunes fails in both orders, which a partial base does not show."""
        for one in self._loading(second, first)[1]:
            if one.kind == "auxiliary-on-tuner":
                error = Refused("ValueError", "Target module is not supported")
                yield replace(one, first=one.later, later=one.first, error=error, roles=one.roles[::-1])

    def _blame(self, kind: str, earlier: Iterable[Group], later: Group) -> tuple[list[Group], bool]:
        """Those of earlier ones that are to blame for a trouble, and whether the opposite order fails too."""
        found = [g for g in dict.fromkeys(earlier) if any(one.kind == kind for one in self._tried(g, later))]
        return found, any(_fails(self._tried(later, g)) for g in found)

    def _simulated(self, groups: Mapping[str, Group], sets: Sequence[Sequence[str]] = ()) -> Simulated:
        adapters = {name: group.condensed for name, group in groups.items()}
        known = {name: group.alone_as(name) for name, group in groups.items()}
        return simulate_fleet(adapters, self._condensed.tree, self.versions, activate=sets, known=known)

    # ---------------------------------------------------------------------------------------------------- activating

    def _pairs_active(self, groups: Sequence[Group]) -> Iterator[Trouble]:
        for first, second in _couples(groups):
            yield from (one for one in self._tried(first, second) if one.do == "activate" and one.kind != STALE)

    def _sets(self, members: Sequence[Member], groups: Sequence[Group]) -> Iterator[Trouble]:
        group_of = {member: group for group in groups for member in group.members}
        for names in dict.fromkeys(self.fleet.activate):
            chosen = [m for m in members if m.name in names and m in group_of]
            if len(chosen) < 2:
                continue
            together = {f"adapterlint_{i}": m for i, m in enumerate(chosen)}
            found = self._loaded({name: group_of[m] for name, m in together.items()})
            if found is not None:
                behind = {name: (group_of[m], (m,)) for name, m in together.items()}
                yield from (replace(one, declared=True) for one in activating(found, behind))

    def _loaded(self, groups: Mapping[str, Group]) -> Simulated | None:
        """A set, loaded in its own order or, if none is declared, in one that works, and activated."""
        orders = permutations(groups) if len(groups) <= MAX_PERMUTED else iter([tuple(groups)])
        for order in orders:
            found = self._simulated({name: groups[name] for name in order}, [tuple(groups)])
            if not any(step.verdict == "raises" for step in found.steps if step.do == "load"):
                return found
            if self.fleet.ordered:
                break
        return None


def _signature(member: Member) -> Hashable:
    own = member.path if METHODS[member.peft_type].token_rows else ""  # whose indices are compared in a forward pass
    return signature(member.config, member.footprint), own


def _behind(first: Group, second: Group) -> Behind:
    return {_A: (first, tuple(first.members)), _B: (second, tuple(second.members))}


def _couples(groups: Sequence[Group]) -> Iterator[tuple[Group, Group]]:
    """Every ordered pair that can have trouble."""
    for first in groups:
        for second in groups:
            if first is second and len(first.members) < 2:
                continue
            if not (first.inert and second.inert) and _fit(first.adapter, second.adapter):
                yield first, second


def _fit(one: Member, other: Member) -> bool:
    """Whether two adapters can be in one model: they bring no module of the base in two sizes."""
    mine, theirs = one.footprint.plain, other.footprint.plain
    return all(
        tensor.shape == theirs[module][name].shape
        for module in mine.keys() & theirs.keys()
        for name, tensor in mine[module].items()
        if name in theirs[module]
    )


def _representatives(members: Sequence[Member], group_of: Mapping[Member, Group]) -> list[tuple[Member, ...]]:
    """Members in their order; those of one signature that follow the same signatures are one."""
    seen: dict[Group, int] = {}
    found: dict[Hashable, list[Member]] = {}
    for member in members:
        group = group_of[member]
        found.setdefault((group, frozenset(seen.items())), []).append(member)
        seen[group] = min(seen.get(group, 0) + 1, 2)
    return [tuple(those) for those in found.values()]


def _fails(troubles: Iterable[Trouble]) -> bool:
    return any(one.error is not None and one.do == "load" for one in troubles)
