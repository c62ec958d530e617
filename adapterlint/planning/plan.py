"""The plan of a fleet: what `adapterlint plan` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.condense import condense
from adapterlint.peft.simulate import Alone, Simulated, Step, alone
from adapterlint.peft.versions import Versions
from adapterlint.planning.operations import Operation, operations
from adapterlint.planning.orders import LeftOut, Order, Search, compatible, greedy, loads
from adapterlint.planning.pairs import Outcome, Pair, Pairs, try_pairs
from adapterlint.planning.retell import Retelling
from adapterlint.planning.sets import ActiveSet, largest_sets

MAX_ALIKE = 3  # adapters of one signature that are in the search for an order
MAX_CUT = 400  # smaller sets that are tried where large ones do not work


@dataclass(frozen=True, slots=True)
class Plan:
    """How to load adapters and what can be done with them then.

    Args:
        order: The adapters that load, in an order in which they do.
        left: Name -> why it is not in the order.
        tries: Orders that were simulated.
        everything: Whether these were all orders that there are.
        simulated: The order, and the sets activated after it: those of `together`, then those of `accepted`.
        alone: Each adapter in a fresh base.
        pairs: Every pair, by groups of interchangeable adapters.
        together: The largest sets that can be active together, and give what they should.
        accepted: Sets that PEFT accepts, though something is silently wrong; larger than those in `together`, or
            others.
        bounded: Whether there may be larger sets that were not looked at.
        operations: What else can be done with the adapters of the order.
    """

    order: tuple[str, ...]
    left: Mapping[str, LeftOut]
    tries: int
    everything: bool
    simulated: Simulated
    alone: Mapping[str, Alone]
    pairs: Pairs
    together: tuple[ActiveSet, ...]
    accepted: tuple[ActiveSet, ...]
    bounded: bool
    operations: tuple[Operation, ...] = ()


def plan(adapters: Mapping[str, Adapter], tree: ModuleTree, versions: Versions) -> Plan:
    """Plan a fleet: polynomial in the number of interaction signatures, whatever the number of adapters.

    Args:
        adapters: Name -> adapter.
        tree: The base.
    """
    condensed = condense(tree, adapters.values(), versions, adapters)
    found = _plan(dict(zip(adapters, condensed.adapters, strict=True)), condensed.tree, versions)
    return _in_all_layers(found, Retelling(condensed, adapters, tree, versions)) if condensed.lists else found


def _plan(adapters: Mapping[str, Adapter], tree: ModuleTree, versions: Versions) -> Plan:
    lone = {name: alone(adapter, name, tree, versions) for name, adapter in adapters.items()}
    left = {name: LeftOut(True, None) for name, one in lone.items() if not one.known}
    decided = {name: adapter for name, adapter in adapters.items() if name not in left}
    pairs = try_pairs(decided, tree, versions, lone)
    search = Search(decided, tree, versions, lone, pairs)
    order = _order(search, left)
    simulated, together, accepted, bounded = _sets(search, order)
    faithful = [name for name in order if simulated.faithful[name] in ("yes", None)]
    others = operations(search, order, faithful)
    return Plan(
        order, left, search.tries, search.everything, simulated, lone, pairs, together, accepted, bounded, others
    )


def _in_all_layers(plan: Plan, told: Retelling) -> Plan:
    lone = told.alone(plan.alone)
    return replace(
        plan,
        left=told.left(plan.left, plan.order, lone),
        pairs=told.pairs(plan.pairs),
        operations=tuple(replace(one, pairs=told.operated(one.pairs)) for one in plan.operations),
        simulated=told.simulated(plan.simulated, lone),
        alone=lone,
    )


def _order(search: Search, left: dict[str, LeftOut]) -> Order:
    """The best order, of as many adapters as were found to go into one; says in `left` why others do not."""
    names = [name for name in search.adapters if _may_load(search, name)]
    few = _some_of_each(names, search.pairs)
    order: Order = ()
    if few:
        order = search.without_refused(search.best(few))
        if len(order) < len(few):
            kept = compatible([name for name in few if search.lone[name].error is None], search.pairs)
            if len(kept) > len(order):
                order = max(order, search.without_refused(search.simulate(greedy(kept, search.pairs))), key=len)
    if len(few) < len(names):
        order = search.without_refused(search.simulate(_with_alike(order, names, search.pairs)))
    return _completed(search, order, left)


def _some_of_each(names: Sequence[str], pairs: Pairs) -> list[str]:
    """As many adapters of each signature as it takes to see what they do; the search is for them."""
    counts: Counter[int] = Counter()
    few = []
    for name in names:
        counts[pairs.group_of[name]] += 1
        if counts[pairs.group_of[name]] <= MAX_ALIKE:
            few.append(name)
    return few


def _with_alike(order: Order, names: Sequence[str], pairs: Pairs) -> Order:
    """An order with all others of each signature behind the last one of it."""
    last = {pairs.group_of[name]: name for name in order}
    others: dict[str, list[str]] = {}
    for name in names:
        if name not in order and (group := pairs.group_of[name]) in last:
            others.setdefault(last[group], []).append(name)
    return tuple(n for name in order for n in (name, *others.get(name, ())))


def _may_load(search: Search, name: str) -> bool:
    """Whether an adapter loads alone, or at least after some other one."""
    if search.lone[name].error is None:
        return True
    mine = search.pairs.group_of[name]
    return any(later == mine and pair.load != "refused" for (_, later), pair in search.pairs.found.items())


def _completed(search: Search, order: Order, left: dict[str, LeftOut]) -> Order:
    """An order with everybody at its end who loads there after all; of the others, what PEFT says to them there."""
    others = [name for name in search.adapters if name not in order]
    blockers = {name: next((o for o in order if search.is_blocked(name, [o])), None) for name in others}
    free = [name for name in others if search.lone[name].error is None and blockers[name] is None]
    at_end = dict(zip(free, search.simulate((*order, *free)).steps[len(order) :], strict=True)) if free else {}
    if any(loads(step) for step in at_end.values()):
        more = [name for name in free if loads(at_end[name])]
        order = search.without_refused(search.simulate((*order, *more)))
    said: dict[int, LeftOut] = {}
    for name in others:
        error, group = search.lone[name].error, search.pairs.group_of[name]
        blocker = blockers[name]
        if name in order:
            continue
        if error is not None:
            left[name] = LeftOut(True, error)
        elif blocker is None:
            left[name] = LeftOut(False, at_end[name].error, None, at_end[name].events)
        else:
            if group not in said:
                last = search.simulate((blocker, name)).steps[-1]
                said[group] = LeftOut(False, last.error, blocker, last.events)
            left[name] = said[group]
    return order


_Sets = tuple[ActiveSet, ...]


def _sets(search: Search, order: Order) -> tuple[Simulated, _Sets, _Sets, bool]:
    """The sets that stand the test of a simulation after all loads."""
    loaded, pairs = _loaded(search, order)
    faithful = [name for name in order if loaded.faithful[name] in ("yes", None)]
    clean, all_clean = largest_sets(faithful, pairs, ("ok", "untried"))
    others, all_others = largest_sets(order, pairs, ("ok", "untried", "silent"))
    tested = _tested(search, order, list(dict.fromkeys([*clean, *others])))
    wrong = {name for name in order if name not in faithful}
    together = [one for one, step in tested if not step.events and not wrong & set(step.adapters)]
    accepted = [one for one, _ in tested if one not in together and not any(map(one.is_within, together))]
    chosen = [*_maximal(together), *_maximal(accepted)]
    simulated = search.simulate(order, [one.names for one in chosen])
    first = tuple(one for one in chosen if one in together)
    return simulated, first, tuple(one for one in chosen if one not in first), not (all_clean and all_others)


def _loaded(search: Search, order: Order) -> tuple[Simulated, Pairs]:
    """The order, and the pairs in it: two that do not load by themselves may do so after a third one."""
    first = {search.pairs.group_of[name]: name for name in reversed(order)}
    keys = [k for k, p in search.pairs.found.items() if p.load == "refused" and k[0] != k[1] and first.keys() >= {*k}]
    keys = [(i, j) for i, j in keys if order.index(first[i]) < order.index(first[j])]
    loaded = search.simulate(order, [(first[i], first[j]) for i, j in keys])
    outcomes: list[Outcome] = [
        "refused" if not works(step) else "silent" if step.events else "ok" for step in loaded.steps[len(order) :]
    ]
    now = {key: Pair("ok", outcome) for key, outcome in zip(keys, outcomes, strict=True)}
    return loaded, Pairs(search.pairs.groups, search.pairs.found | now)


def _tested(search: Search, order: Order, sets: list[ActiveSet]) -> list[tuple[ActiveSet, Step]]:
    """Sets that work when all adapters are loaded; of one that does not, as much as does from its beginning."""
    cut = [ActiveSet(one.slots[:n]) for one in sets for n in range(len(one.slots), 1, -1)][:MAX_CUT]
    candidates = list(dict.fromkeys([*sets, *cut]))
    steps = search.simulate(order, [one.names for one in sets]).steps[len(order) :]
    if not all(map(works, steps)):
        steps = search.simulate(order, [one.names for one in candidates]).steps[len(order) :]
    working = {one: step for one, step in zip(candidates, steps, strict=False) if works(step)}
    return list(working.items())


def _maximal(sets: Sequence[ActiveSet]) -> list[ActiveSet]:
    """Sets that are in no other one, the largest first."""
    kept = [one for one in sets if not any(map(one.is_within, sets))]
    return sorted(kept, key=lambda one: -len(one.slots))


def works(step: Step) -> bool:
    """Whether an activation is accepted and a forward pass runs."""
    return step.verdict == "ok" and step.forward == "ok"
