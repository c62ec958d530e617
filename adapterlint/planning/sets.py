"""The largest sets of adapters that can be active together: cliques of pairs, by interaction signature."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from adapterlint.planning.pairs import Outcome, Pairs

MAX_STEPS = 5_000  # of the search for cliques
MAX_SETS = 8  # sets that are kept


@dataclass(frozen=True, slots=True)
class ActiveSet:
    """Adapters that can be active together.

    Args:
        slots: Each one adapter, or several of which any one can be taken: they exclude each other and are alike
            otherwise.
    """

    slots: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One choice."""
        return tuple(slot[0] for slot in self.slots)

    def is_within(self, other: ActiveSet) -> bool:
        """Whether another set has all of its slots, and more."""
        return set(self.slots) < set(other.slots)


def largest_sets(order: Sequence[str], pairs: Pairs, accepted: Collection[Outcome]) -> tuple[list[ActiveSet], bool]:
    """Maximal sets of at least two adapters of which each two get on, the largest first.

    Args:
        order: The adapters in load order; sets are in this order.
        accepted: Outcomes of a pair that count as getting on.

    Returns:
        The sets, and whether the search was complete.
    """
    groups: dict[int, list[str]] = {}
    for name in order:
        groups.setdefault(pairs.group_of[name], []).append(name)
    nodes = list(groups)
    place = {group: i for i, group in enumerate(nodes)}

    def get_on(one: int, other: int) -> bool:
        pair = pairs.found.get((one, other) if place[one] < place[other] else (other, one))
        return pair is None or pair.together in accepted

    near = {g: {h for h in nodes if h != g and get_on(g, h)} for g in nodes}
    social = {g: len(groups[g]) < 2 or get_on(g, g) for g in nodes}
    search = _Cliques(near, {g: len(groups[g]) if social[g] else 1 for g in nodes})
    search.run()
    rank = {name: i for i, name in enumerate(order)}
    found = []
    for clique in search.best():
        slots: list[tuple[str, ...]] = [(name,) for g in clique if social[g] for name in groups[g]]
        slots += [tuple(groups[g]) for g in clique if not social[g]]
        found.append(ActiveSet(tuple(sorted(slots, key=lambda slot: rank[slot[0]]))))
    return [one for one in found if len(one.slots) > 1], search.steps <= MAX_STEPS


class _Cliques:
    """Maximal cliques by Bron and Kerbosch, with a bound on the steps."""

    def __init__(self, near: Mapping[int, set[int]], weights: Mapping[int, int]) -> None:
        self.near = near
        self.weights = weights
        self.steps = 0
        self.cliques: list[tuple[int, ...]] = []

    def run(self) -> None:
        stack: list[tuple[tuple[int, ...], set[int], set[int]]] = [((), set(self.near), set())]
        while stack and self.steps <= MAX_STEPS:
            self.steps += 1
            clique, candidates, excluded = stack.pop()
            if not candidates:
                if not excluded and clique:
                    self.cliques.append(clique)
                continue
            pivot = max(sorted(candidates | excluded), key=lambda node: len(self.near[node] & candidates))
            rest, gone = set(candidates), set(excluded)
            branches = []
            for node in sorted(candidates - self.near[pivot]):
                branches.append(((*clique, node), rest & self.near[node], gone & self.near[node]))
                rest.discard(node)
                gone.add(node)
            stack += reversed(branches)

    def best(self) -> list[tuple[int, ...]]:
        """The heaviest ones."""
        return sorted(self.cliques, key=lambda clique: -sum(self.weights[node] for node in clique))[:MAX_SETS]
