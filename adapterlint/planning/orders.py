"""The search for an order in which adapters load: pairs give the constraints, real simulations have the last word."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.events import Event
from adapterlint.peft.refused import Refused
from adapterlint.peft.simulate import Alone, Simulated, Step, simulate_fleet
from adapterlint.peft.versions import Versions
from adapterlint.planning.pairs import Pairs

MAX_PERMUTED = 4  # adapters of which every order is tried, if need be
MAX_LOADS = 400  # loads in all simulations of one search; small fleets get at least `MIN_TRIES` orders
MIN_TRIES = 6
MAX_ONE_BY_ONE = 24  # adapters of which refused ones are left out one after the other

_PRICES = {"ok": 0, "untried": 0, "silent": 1, "unknown": 2, "refused": 1_000}

Order = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why an adapter is in no order.

    Args:
        alone: Whether it is so without any other adapter.
        error: What PEFT raises, alone or after those that are in the order; `None` if it is not known what happens.
        blocker: The one adapter after which it raises that.
        events: What PEFT says there, as events.
    """

    alone: bool
    error: Refused | None
    blocker: str | None = None
    events: tuple[Event, ...] = ()


@dataclass(slots=True, eq=False)
class Search:
    """Looks for the best order.

    Attributes:
        tries: Orders that were simulated.
        everything: Whether these were all orders that there are.
    """

    adapters: Mapping[str, Adapter]
    tree: ModuleTree
    versions: Versions
    lone: Mapping[str, Alone]
    pairs: Pairs
    tries: int = 0
    everything: bool = False
    seen: set[tuple[int, ...]] = field(default_factory=set)
    last: tuple[tuple[Order, tuple[Order, ...]], Simulated] | None = None

    def best(self, names: Sequence[str]) -> Simulated:
        """The best order of all names that was found: the most that load, then the most that are faithful."""
        found: list[tuple[tuple[int, ...], Simulated]] = []
        waiting = deque([greedy(names, self.pairs), tuple(names)])
        bound = max(MIN_TRIES, MAX_LOADS // max(len(names), 1))
        everything = len(names) <= MAX_PERMUTED
        others = permutations(names) if everything else iter(())
        while self.tries < bound:
            order = waiting.popleft() if waiting else next(others, None)
            if order is None:
                self.everything = everything
                break
            if (key := tuple(self.pairs.group_of[name] for name in order)) in self.seen:
                continue
            self.seen.add(key)
            self.tries += 1
            simulated = self.simulate(order)
            found.append((score(simulated), simulated))
            if is_perfect(simulated):
                break
            waiting += moves(order, simulated)
        return max(found, key=lambda one: one[0])[1]

    def simulate(self, order: Sequence[str], activate: Sequence[Order] = ()) -> Simulated:
        """Load in an order, then activate sets."""
        key = (tuple(order), tuple(activate))
        if self.last is None or self.last[0] != key:
            self.last = key, self._simulate(*key)
        return self.last[1]

    def _simulate(self, order: Order, activate: tuple[Order, ...]) -> Simulated:
        chosen = {name: self.adapters[name] for name in order}
        return simulate_fleet(chosen, self.tree, self.versions, activate=activate, known=self.lone)

    def without_refused(self, simulated: Simulated) -> Order:
        """The order without those that are refused in it, until none is."""
        while True:
            order = tuple(step.adapters[0] for step in simulated.steps)
            refused = [s.adapters[0] for s in simulated.steps if s.verdict in ("raises", "unknown")]
            if not refused:
                return order
            # Later ones may suffer from what the first one has left in the model; few are given another chance.
            kept = [name for name in order if name not in refused]
            many = len(order) > MAX_ONE_BY_ONE
            out = {refused[0], *(name for name in refused if many or self.is_blocked(name, kept))}
            simulated = self.simulate([name for name in order if name not in out])

    def is_blocked(self, name: str, order: Iterable[str]) -> bool:
        """Whether pairs tell that an adapter is refused after others."""
        return any(self.pairs.between(other, name).load == "refused" for other in order)


def loads(step: Step) -> bool:
    """Whether an adapter was loaded."""
    return step.verdict in ("ok", "warns")


def score(simulated: Simulated) -> tuple[int, ...]:
    """How good an order is: how many load before the first that does not, in all, are faithful, and the base."""
    loaded = [loads(step) for step in simulated.steps]
    wrong = sum(value not in ("yes", None) for value in simulated.faithful.values())
    return (int(all(loaded)), sum(loaded), -wrong, int(simulated.base in ("yes", None)))


def is_perfect(simulated: Simulated) -> bool:
    """Whether no order can be better."""
    all_load, _, wrong, base = score(simulated)
    return bool(all_load and not wrong and base)


def moves(order: Order, simulated: Simulated) -> Iterator[Order]:
    """Orders in which adapters that had trouble, or whose events name others, come first, earlier or last."""
    for step in simulated.steps:
        if step.verdict != "raises":
            continue
        name = step.adapters[0]
        rest = [other for other in order if other != name]
        before = [o for event in step.events for o in event.adapters if o in rest]
        yield (name, *rest)
        if before:
            at = min(rest.index(other) for other in before)
            yield (*rest[:at], name, *rest[at:])
        yield (*rest, name)
    for name in [n for n, value in simulated.faithful.items() if value not in ("yes", None)]:
        rest = [other for other in order if other != name]
        yield (name, *rest)
        yield (*rest, name)


def greedy(names: Sequence[str], pairs: Pairs) -> Order:
    """An order that keeps to what pairs tell, as far as it can: next comes who harms those that remain least.

    If some order respects every pair, this is one.
    """
    groups = list(dict.fromkeys(pairs.group_of[name] for name in names))
    members: dict[int, list[str]] = {group: [] for group in groups}
    for name in names:
        members[pairs.group_of[name]].append(name)
    excess = {i: sum(_excess(pairs, i, j) for j in groups if j != i) for i in groups}
    order: list[str] = []
    while groups:
        chosen = min(groups, key=lambda group: excess[group])  # the first found of equals
        groups.remove(chosen)
        order += members[chosen]
        for other in groups:
            excess[other] -= _excess(pairs, other, chosen)
    return tuple(order)


def _excess(pairs: Pairs, first: int, later: int) -> int:
    """What it costs to have a group before another one, instead of after it."""
    return max(0, _price(pairs, first, later) - _price(pairs, later, first))


def _price(pairs: Pairs, first: int, later: int) -> int:
    pair = pairs.found.get((first, later))
    return _PRICES[pair.load] if pair else 0


def compatible(names: Sequence[str], pairs: Pairs) -> Order:
    """Names without those that fit into one model with others in no order; who is in the way of most goes first."""
    kept = list(names)
    while kept:
        clashes = {name: sum(_never(pairs, name, other) for other in kept if other != name) for name in kept}
        worst = max(kept, key=lambda name: clashes[name])
        if not clashes[worst]:
            break
        kept.remove(worst)
    return tuple(kept)


def _never(pairs: Pairs, one: str, other: str) -> bool:
    return pairs.between(one, other).load == "refused" and pairs.between(other, one).load == "refused"
